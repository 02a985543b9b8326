using System.Runtime.InteropServices;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// What 32-bit code finds before it runs on the host's processor, and what it leaves behind. It lies beyond the first 4 GiB, where
/// that code can't reach it.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal unsafe struct CompatibilityState
{
    /// <summary>Bytes of the whole structure.</summary>
    public const int Size = 1216;

    internal const int GeneralOffset = 512;
    internal const int FlagsOffset = 576;
    internal const int EipOffset = 584;
    internal const int SelectorsOffset = 592;
    internal const int SignalOffset = 608;
    internal const int VectorOffset = 616;
    internal const int ErrorCodeOffset = 624;
    internal const int FaultAddressOffset = 632;
    internal const int HostStackOffset = 640;
    internal const int HostFsBaseOffset = 648;
    internal const int SignalsBeforeOffset = 656;
    internal const int BlockedSignalsOffset = 664;
    internal const int HostSelectorsOffset = 672;
    internal const int HostFloatingPointOffset = 704;

    /// <summary>x87, MMX, SSE.</summary>
    [FieldOffset(0)]
    public FxsaveImage Fx;

    /// <summary>EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.</summary>
    [FieldOffset(GeneralOffset)]
    public fixed ulong General[8];

    /// <summary>EFLAGS, TF too.</summary>
    [FieldOffset(FlagsOffset)]
    public ulong Flags;

    /// <summary>Offset in CS: of the first instruction, and of what the exception at the end would push.</summary>
    [FieldOffset(EipOffset)]
    public ulong Eip;

    /// <summary>ES, CS, SS, DS, FS, GS. CS and SS must be good ones.</summary>
    [FieldOffset(SelectorsOffset)]
    public fixed ushort Selectors[6];

    /// <summary>The signal that the exception at the end became.</summary>
    [FieldOffset(SignalOffset)]
    public ulong Signal;

    /// <summary>The exception's vector.</summary>
    [FieldOffset(VectorOffset)]
    public ulong Vector;

    /// <summary>Its error code.</summary>
    [FieldOffset(ErrorCodeOffset)]
    public ulong ErrorCode;

    /// <summary>CR2, after a page fault.</summary>
    [FieldOffset(FaultAddressOffset)]
    public ulong FaultAddress;

    [FieldOffset(BlockedSignalsOffset)]
    private ulong _blockedSignals;

    /// <summary>Sets what FNINIT and a fresh MXCSR would, and zeros everything else.</summary>
    public void Reset()
    {
        this = default;
        Fx.Control = 0x37F;
        Fx.Mxcsr = 0x1F80;
        _blockedSignals = HostSystemCalls.AllButFaults;
    }
}
