using Lguest.Cpu;

namespace Lguest.Host.Traps;

/// <summary>
/// A kindness to kernels at CPL 1: they may read debug registers, and find them unused. Linux 2.6.23's handler of the
/// debug trap reads DR6 first of all, then clears DR7, and would die of either.
/// </summary>
/// <param name="processor">The processor.</param>
internal sealed class DebugRegisterReads(Processor processor)
{
    private const byte EscapeOpcode = 0x0f;
    private const byte MoveFromDebug = 0x21;
    private const byte MoveToDebug = 0x23;
    private const int InstructionLength = 3;
    private const uint Dr6Fixed = 0xffff_0ff0;
    private const uint Dr6SingleStep = 1 << 14;
    private const uint Dr7Fixed = 0x400;

    /// <summary>Whether the last debug trap was that of a single step: what DR6.BS says.</summary>
    public bool LastWasSingleStep { get; set; }

    /// <summary>Executes the instruction that faulted if it is such a move; also notes what kind a debug trap is of.</summary>
    public bool TryExecute(in ExceptionInfo trap)
    {
        if (trap.Vector == ExceptionVector.Debug)
        {
            LastWasSingleStep = trap.Origin == ExceptionOrigin.Trap;
            return false;
        }

        ref ProcessorState state = ref processor.State;
        if (trap.Vector != ExceptionVector.GeneralProtection || trap.ErrorCode != 0
            || state.Cpl != SegmentTable.KernelPrivilege)
        {
            return false;
        }

        Span<byte> code = stackalloc byte[InstructionLength];
        if (!processor.TryReadLinear(state.Cs.Base + state.Eip, code, out _) || code[0] != EscapeOpcode)
        {
            return false;
        }

        int debugRegister = (code[2] >> 3) & 7;
        int general = code[2] & 7;
        switch (code[1])
        {
            case MoveFromDebug:
                state.SetGeneral(general, Read(debugRegister));
                break;
            case MoveToDebug when debugRegister is 7 or 5 && (state.GetGeneral(general) | Dr7Fixed) == Dr7Fixed:
                break;
            default:
                return false;
        }

        state.Eip += InstructionLength;
        return true;
    }

    /// <summary>DR4 and DR5 are other names for DR6 and DR7.</summary>
    private uint Read(int debugRegister) => debugRegister switch
    {
        6 or 4 => LastWasSingleStep ? Dr6Fixed | Dr6SingleStep : Dr6Fixed,
        7 or 5 => Dr7Fixed,
        _ => 0,
    };
}
