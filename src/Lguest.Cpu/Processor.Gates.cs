using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <content>What a host does in place of the processor's own segment loads and deliveries.</content>
public sealed unsafe partial class Processor
{
    private const int FrameWordsAtMost = 6;

    /// <summary>Loads a segment register as MOV does at the current privilege level.</summary>
    /// <param name="name">Any but CS, which answers #UD.</param>
    /// <param name="selector">The selector.</param>
    /// <param name="fault">What MOV would have raised, when the answer is false; nothing has changed then.</param>
    public bool TryLoadSegment(SegmentName name, ushort selector, out ExceptionInfo fault)
    {
        ExceptionInfo pending = default;
        if (name == SegmentName.Cs)
        {
            pending = ExceptionInfo.Of(ExceptionVector.InvalidOpcode, 0);
        }
        else if (SegmentLoader.TryLoad(this, (int)name, selector, out SegmentRegister register, ref pending))
        {
            _state->Segment((int)name) = register;
            UpdateMode();
            fault = default;
            return true;
        }

        fault = Describe(pending);
        return false;
    }

    /// <summary>
    /// Builds an interrupt frame (SS and ESP if the stack is switched, EFLAGS, CS, EIP, error code, 32 bits each) and
    /// enters the handler. Ends a HLT.
    /// </summary>
    /// <param name="entry">The frame and the target.</param>
    /// <param name="fault">
    /// Why it can't be, when the answer is false; nothing has changed then. Selector errors are #GP, #TS (for the stack's), #NP
    /// or #SS as for a gate; the frame is written with supervisor rights.
    /// </param>
    public bool TryEnterGate(in GateEntry entry, out ExceptionInfo fault)
    {
        ExceptionInfo pending = default;
        if (TryBuildFrame(entry, ref pending))
        {
            fault = default;
            return true;
        }

        fault = Describe(pending);
        return false;
    }

    private bool TryBuildFrame(in GateEntry entry, ref ExceptionInfo fault)
    {
        ProcessorState* s = _state;
        int privilege = entry.CodeSelector & Selector.RplMask;
        if (!CodeSegmentLoader.TryLoadAt(this, entry.CodeSelector, privilege, out SegmentRegister code, ref fault))
        {
            return false;
        }

        SegmentRegister stack = s->Ss;
        uint esp = s->Esp;
        if (entry.SwitchStack)
        {
            if (!SegmentLoader.TryLoadStack(
                this, entry.StackSelector, privilege, ExceptionVector.InvalidTss, out stack, ref fault))
            {
                return false;
            }

            esp = entry.StackPointer;
        }

        Span<uint> frame = stackalloc uint[FrameWordsAtMost];
        int words = 0;
        if (entry.SwitchStack)
        {
            frame[words++] = s->Ss.Selector;
            frame[words++] = s->Esp;
        }

        frame[words++] = entry.PushedEflags;
        frame[words++] = s->Cs.Selector;
        frame[words++] = s->Eip;
        if (entry.ErrorCode is { } errorCode)
        {
            frame[words++] = errorCode;
        }

        if (!SystemStack.TryPush(this, stack, ref esp, frame[..words], sizeof(uint), user: false, 0, ref fault))
        {
            return false;
        }

        s->Cs = code;
        s->Ss = stack;
        s->Esp = esp;
        s->Eip = entry.Offset;
        s->SystemFlags &= ~entry.ClearEflags | Cpu.State.Eflags.Fixed;
        s->Halted = 0;
        InterruptShadow.End(s);
        s->RepetitionGoesOnAt = 0;
        UpdateMode();
        return true;
    }
}
