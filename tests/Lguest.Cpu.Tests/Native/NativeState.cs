using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// What an instruction finds before it runs on the real processor, and what it leaves behind. It lives in
/// native memory, aligned to 64 bytes (see <see cref="NativeProcessor"/>).
/// </summary>
/// <remarks>
/// RSP stays the host's stack pointer, always. R8 to R15 aren't loaded: instructions of 32-bit code can't name
/// them, and R15 points to this state meanwhile.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal unsafe struct NativeState
{
    /// <summary>Bytes of the whole structure.</summary>
    public const int Size = 1856;

    internal const int GeneralOffset = 512;
    internal const int FlagsOffset = 576;
    internal const int SignalOffset = 584;
    internal const int VectorOffset = 592;
    internal const int ErrorCodeOffset = 600;
    internal const int FaultAddressOffset = 608;
    internal const int SignalsBeforeOffset = 616;
    internal const int BlockedSignalsOffset = 624;
    internal const int HostOffset = 640;
    private const int ScratchOffset = 1152;

    /// <summary>x87, MMX, SSE.</summary>
    [FieldOffset(0)]
    public FxsaveImage Fx;

    /// <summary>RAX, RCX, RDX, RBX, RSP (ignored), RBP, RSI, RDI.</summary>
    [FieldOffset(GeneralOffset)]
    public fixed ulong General[8];

    /// <summary>RFLAGS. Loading changes only what user code may change; keep TF clear.</summary>
    [FieldOffset(FlagsOffset)]
    public ulong Flags;

    /// <summary>The signal that a fault ended in, or 0 when the instruction completed.</summary>
    [FieldOffset(SignalOffset)]
    public ulong Signal;

    /// <summary>The exception's vector, when <see cref="Signal"/> isn't 0.</summary>
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

    [FieldOffset(HostOffset)]
    private FxsaveImage _host;

    /// <summary>A place for a memory operand: aligned to 64 bytes, with room for an FXSAVE image.</summary>
    [FieldOffset(ScratchOffset)]
    public fixed byte Scratch[Size - ScratchOffset];

    /// <summary>Sets what FNINIT and a fresh MXCSR would, and zeros everything else.</summary>
    public void Reset()
    {
        this = default;
        Fx.Control = 0x37F;
        Fx.Mxcsr = 0x1F80;
        Flags = 0x202;
        _blockedSignals = HostSystemCalls.AllButFaults;
    }
}

/// <summary>The memory image of FXSAVE in 32-bit mode (SDM 2A, FXSAVE).</summary>
[StructLayout(LayoutKind.Explicit, Size = 512)]
internal unsafe struct FxsaveImage
{
    /// <summary>The x87 control word.</summary>
    [FieldOffset(0)]
    public ushort Control;

    /// <summary>The x87 status word.</summary>
    [FieldOffset(2)]
    public ushort Status;

    /// <summary>Bit n is set when physical register n isn't empty.</summary>
    [FieldOffset(4)]
    public byte Valid;

    /// <summary>Opcode of the last x87 instruction, as far as the processor records it.</summary>
    [FieldOffset(6)]
    public ushort LastOpcode;

    /// <summary>Its address.</summary>
    [FieldOffset(8)]
    public uint InstructionPointer;

    /// <summary>Its segment.</summary>
    [FieldOffset(12)]
    public ushort InstructionSelector;

    /// <summary>Its operand's address.</summary>
    [FieldOffset(16)]
    public uint DataPointer;

    /// <summary>Its operand's segment.</summary>
    [FieldOffset(20)]
    public ushort DataSelector;

    /// <summary>SSE control and status.</summary>
    [FieldOffset(24)]
    public uint Mxcsr;

    [FieldOffset(32)]
    private fixed byte _x87[8 * 16];

    [FieldOffset(160)]
    private fixed byte _xmm[16 * 16];

    /// <summary>TOP of the status word.</summary>
    public readonly int Top => (Status >> 11) & 7;

    /// <summary>ST(i), counted from the top; MMX register n is ST(n) while TOP is 0.</summary>
    public ref Float80 St(int index) => ref Unsafe.As<byte, Float80>(ref _x87[16 * index]);

    /// <summary>An XMM register.</summary>
    public ref XmmRegister Xmm(int index) => ref Unsafe.As<byte, XmmRegister>(ref _xmm[16 * index]);
}
