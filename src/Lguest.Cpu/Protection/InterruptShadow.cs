using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>
/// When interrupts may come in: the shadow of STI, MOV SS and POP SS (SDM 3A, 6.8.3), and what the machine must
/// hear of when IF becomes 1.
/// </summary>
internal static unsafe class InterruptShadow
{
    /// <summary>
    /// After MOV SS or POP SS: neither interrupts nor debug traps before the next instruction is over. Where that is another
    /// one of the two, it casts no shadow (SDM 2B, POP: only the first of a sequence is sure to).
    /// </summary>
    public static void AfterStackSegment(ProcessorState* s, Operation* op)
    {
        ulong before = BlockExit.RetiredBefore(s, op);
        if (before >= s->DebugShadowUntil)
        {
            s->ShadowUntil = before + 2;
            s->DebugShadowUntil = s->ShadowUntil;
        }
    }

    /// <summary>When an exception or interrupt is delivered (SDM 3A, 6.8.3).</summary>
    public static void End(ProcessorState* s)
    {
        s->ShadowUntil = 0;
        s->DebugShadowUntil = 0;
    }

    /// <summary>After STI: no interrupts before the next instruction is over.</summary>
    public static void AfterEnabling(ProcessorState* s, Operation* op) =>
        s->ShadowUntil = BlockExit.RetiredBefore(s, op) + 2;

    /// <summary>Sets the system flags; if IF becomes 1 while an interrupt waits, the run will end soon.</summary>
    public static void SetSystemFlags(ProcessorState* s, uint flags)
    {
        uint set = flags & ~s->SystemFlags;
        s->SystemFlags = flags;
        if ((set & Eflags.If) != 0 && s->InterruptLine != 0)
        {
            s->WindowWanted = 1;
        }
    }
}
