using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>What a far JMP or CALL names: a code segment, a call gate, a task gate or a TSS (SDM 3A, 5.8 and 7.3).</summary>
internal static unsafe class FarTarget
{
    private const int MaxParameters = 31;

    /// <summary>SS, ESP, the parameters, CS and EIP.</summary>
    private const int FrameWordsAtMost = 2 + MaxParameters + 2;

    /// <summary>Goes there, or raises.</summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="op">The instruction.</param>
    /// <param name="selector">Its operand's selector.</param>
    /// <param name="offset">Its operand's offset, which only a code segment needs.</param>
    /// <param name="size">Bytes of its operand: 2 or 4.</param>
    /// <param name="isCall">CALL rather than JMP.</param>
    public static Operation* Transfer(ProcessorState* s, Operation* op, ushort selector, uint offset, uint size, bool isCall)
    {
        Processor processor = Processor.From(s);
        ExceptionInfo fault = default;
        if (Selector.IsNull(selector))
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        if (!DescriptorTables.TryRead(
            processor, selector, ExceptionVector.GeneralProtection, out Descriptor descriptor, ref fault))
        {
            return Fault.Raise(s, op, fault);
        }

        uint next = Operation.NextEip(s, op);
        if (descriptor.IsCode)
        {
            bool done = TryEnterCode(processor, selector, descriptor, offset, size, next, isCall, ref fault);
            return FarExit.Finish(s, op, done, fault);
        }

        bool isVisible = descriptor.Dpl >= Math.Max(s->Cpl, selector & Selector.RplMask);
        if (descriptor.IsCodeOrData || !isVisible)
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
        }

        switch (descriptor.SystemType)
        {
            case SystemDescriptorType.CallGate16 or SystemDescriptorType.CallGate32:
                bool done = IsPresent(selector, descriptor, ref fault)
                    && TryEnterGate(processor, descriptor, next, isCall, ref fault);
                return FarExit.Finish(s, op, done, fault);
            case SystemDescriptorType.TaskGate:
                return IsPresent(selector, descriptor, ref fault)
                    ? SwitchTask(s, op, descriptor.GateSelector, isCall)
                    : Fault.Raise(s, op, fault);
            case SystemDescriptorType.AvailableTss16 or SystemDescriptorType.AvailableTss32:
                return SwitchTask(s, op, selector, isCall);
            default:
                return Fault.Raise(s, op, ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
        }
    }

    private static bool IsPresent(ushort selector, in Descriptor descriptor, ref ExceptionInfo fault)
    {
        if (!descriptor.IsPresent)
        {
            fault = ExceptionInfo.Of(ExceptionVector.SegmentNotPresent, Selector.ErrorCode(selector));
        }

        return descriptor.IsPresent;
    }

    private static Operation* SwitchTask(ProcessorState* s, Operation* op, ushort selector, bool isCall)
    {
        ExceptionInfo fault = default;
        var request = new TaskSwitchRequest(
            selector,
            isCall ? TaskSwitchKind.Call : TaskSwitchKind.Jump,
            Operation.NextEip(s, op),
            s->Eflags,
            ErrorCode: null);
        bool done = TaskSwitch.TrySwitch(Processor.From(s), request, out bool inNewTask, ref fault);
        return FarExit.FinishTaskSwitch(s, op, done, inNewTask, fault);
    }

    /// <summary>A code segment directly: the privilege level stays.</summary>
    private static bool TryEnterCode(
        Processor processor,
        ushort selector,
        Descriptor descriptor,
        uint offset,
        uint size,
        uint next,
        bool isCall,
        ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        int cpl = s->Cpl;
        bool fits = descriptor.IsConforming
            ? descriptor.Dpl <= cpl
            : descriptor.Dpl == cpl && (selector & Selector.RplMask) <= cpl;
        if (!fits)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        return CodeSegmentLoader.TryFinish(processor, selector, cpl, ref descriptor, out SegmentRegister code, ref fault)
            && TryEnterSameLevel(processor, code, offset, size, next, isCall, ref fault);
    }

    private static bool TryEnterSameLevel(
        Processor processor,
        in SegmentRegister code,
        uint offset,
        uint size,
        uint next,
        bool isCall,
        ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        if (offset > code.Limit)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        uint esp = s->Esp;
        if (isCall && !SystemStack.TryPushAligned(processor, ref esp, [s->Cs.Selector, next], size, ref fault))
        {
            return false;
        }

        s->Esp = esp;
        s->Cs = code;
        s->Eip = offset;
        processor.UpdateMode();
        return true;
    }

    /// <summary>A call gate: the target is the gate's, and CALL may go to an inner level.</summary>
    private static bool TryEnterGate(
        Processor processor, in Descriptor gate, uint next, bool isCall, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        ushort selector = gate.GateSelector;
        if (!CodeSegmentLoader.TryRead(processor, selector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        bool toInner = isCall && !descriptor.IsConforming && descriptor.Dpl < s->Cpl;
        bool fits = toInner || (descriptor.IsConforming ? descriptor.Dpl <= s->Cpl : descriptor.Dpl == s->Cpl);
        if (!fits)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        int privilege = toInner ? descriptor.Dpl : s->Cpl;
        if (!CodeSegmentLoader.TryFinish(
            processor, selector, privilege, ref descriptor, out SegmentRegister code, ref fault))
        {
            return false;
        }

        bool is32 = gate.SystemType == SystemDescriptorType.CallGate32;
        uint offset = is32 ? gate.GateOffset32 : gate.GateOffset16;
        uint size = is32 ? 4u : 2u;
        return toInner
            ? TryEnterInner(processor, code, offset, size, gate.GateParameters, next, ref fault)
            : TryEnterSameLevel(processor, code, offset, size, next, isCall, ref fault);
    }

    private static bool TryEnterInner(
        Processor processor,
        in SegmentRegister code,
        uint offset,
        uint size,
        int parameters,
        uint next,
        ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        int privilege = code.Selector & Selector.RplMask;
        if (!InnerStack.TryLoad(processor, privilege, out SegmentRegister stack, out uint esp, ref fault))
        {
            return false;
        }

        Span<uint> frame = stackalloc uint[FrameWordsAtMost];
        int words = 0;
        frame[words++] = s->Ss.Selector;
        frame[words++] = s->Esp;
        for (int i = parameters - 1; i >= 0; i--)
        {
            // The last parameter is the deepest on both stacks.
            if (!SystemStack.TryPeek(
                processor, s->Ss, s->Esp, (uint)i * size, size, user: s->Cpl == 3, out frame[words++], ref fault))
            {
                return false;
            }
        }

        frame[words++] = s->Cs.Selector;
        frame[words++] = next;
        if (offset > code.Limit)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        if (!SystemStack.TryPush(
            processor,
            stack,
            ref esp,
            frame[..words],
            size,
            user: false,
            Selector.ErrorCode(stack.Selector),
            ref fault))
        {
            return false;
        }

        s->Cs = code;
        s->Ss = stack;
        s->Esp = esp;
        s->Eip = offset;
        processor.UpdateMode();
        return true;
    }
}
