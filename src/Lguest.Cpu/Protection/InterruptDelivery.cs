using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>
/// Delivery of exceptions and interrupts through the IDT (SDM 3A, 6.12, and SDM 2A, INT n). A delivery through an
/// interrupt or trap gate happens whole or not at all.
/// </summary>
internal static unsafe class InterruptDelivery
{
    private const uint GateSize = 8;
    private const int FrameWordsAtMost = 6;

    /// <summary>Enters the handler.</summary>
    /// <param name="processor">The processor; EIP is what will be pushed.</param>
    /// <param name="exception">What is delivered.</param>
    /// <param name="inNewTask">A task gate has led to a new task, and the fault is that task's.</param>
    /// <param name="fault">Why it can't be, when the answer is false.</param>
    public static bool TryDeliver(
        Processor processor, in ExceptionInfo exception, out bool inNewTask, ref ExceptionInfo fault)
    {
        if (TryEnter(processor, exception, out inNewTask, ref fault))
        {
            ProcessorState* s = processor.StatePointer;
            s->Halted = 0;
            InterruptShadow.End(s);
            s->RepetitionGoesOnAt = 0;
            if (exception.Vector == ExceptionVector.Debug && exception.Origin != ExceptionOrigin.Software)
            {
                s->SetDebug(7, s->GetDebug(7) & ~Debug.GeneralDetect);
            }

            return true;
        }

        bool namesSelector = fault.Vector is >= ExceptionVector.InvalidTss and <= ExceptionVector.GeneralProtection;
        if (namesSelector && exception.Origin != ExceptionOrigin.Software)
        {
            fault.ErrorCode |= Selector.ErrorExternal;
        }

        return false;
    }

    private static bool TryEnter(
        Processor processor, in ExceptionInfo exception, out bool inNewTask, ref ExceptionInfo fault)
    {
        inNewTask = false;
        ProcessorState* s = processor.StatePointer;
        uint offset = (uint)exception.Vector * GateSize;
        uint gateError = offset | Selector.ErrorIdt;
        if (offset + GateSize - 1 > s->Idtr.Limit)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, gateError);
            return false;
        }

        if (!LinearRange.TryMap(
            s, s->Idtr.Base + offset, GateSize, AccessKind.Read, user: false, out LinearRange range, ref fault))
        {
            return false;
        }

        var gate = new Descriptor(range.ReadUInt32(0), range.ReadUInt32(4));
        bool isGate = !gate.IsCodeOrData && gate.SystemType is SystemDescriptorType.TaskGate
            or SystemDescriptorType.InterruptGate16 or SystemDescriptorType.TrapGate16
            or SystemDescriptorType.InterruptGate32 or SystemDescriptorType.TrapGate32;
        bool isForbidden = exception.Origin == ExceptionOrigin.Software && gate.Dpl < s->Cpl;
        if (!isGate || isForbidden)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, gateError);
            return false;
        }

        if (!gate.IsPresent)
        {
            fault = ExceptionInfo.Of(ExceptionVector.SegmentNotPresent, gateError);
            return false;
        }

        return gate.SystemType == SystemDescriptorType.TaskGate
            ? TryEnterTask(processor, exception, gate, out inNewTask, ref fault)
            : TryEnterHandler(processor, exception, gate, ref fault);
    }

    private static bool TryEnterTask(
        Processor processor,
        in ExceptionInfo exception,
        in Descriptor gate,
        out bool inNewTask,
        ref ExceptionInfo fault)
    {
        uint? errorCode = HasErrorCode(exception) ? exception.ErrorCode : null;
        var request = new TaskSwitchRequest(
            gate.GateSelector,
            TaskSwitchKind.Interrupt,
            processor.StatePointer->Eip,
            PushedEflags(processor, exception),
            errorCode);
        return TaskSwitch.TrySwitch(processor, request, out inNewTask, ref fault);
    }

    private static bool TryEnterHandler(
        Processor processor, in ExceptionInfo exception, in Descriptor gate, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        if (!CodeSegmentLoader.TryRead(processor, gate.GateSelector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        if (descriptor.Dpl > s->Cpl)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(gate.GateSelector));
            return false;
        }

        bool toInner = !descriptor.IsConforming && descriptor.Dpl < s->Cpl;
        int privilege = toInner ? descriptor.Dpl : s->Cpl;
        if (!CodeSegmentLoader.TryFinish(
            processor, gate.GateSelector, privilege, ref descriptor, out SegmentRegister code, ref fault))
        {
            return false;
        }

        SegmentRegister stack = s->Ss;
        uint esp = s->Esp;
        if (toInner && !InnerStack.TryLoad(processor, privilege, out stack, out esp, ref fault))
        {
            return false;
        }

        bool is32 = (gate.SystemType & SystemDescriptorType.Is32Bit) != 0;
        uint target = is32 ? gate.GateOffset32 : gate.GateOffset16;
        if (target > code.Limit)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        Span<uint> frame = stackalloc uint[FrameWordsAtMost];
        int words = BuildFrame(processor, exception, toInner, frame);
        uint stackError = toInner ? Selector.ErrorCode(stack.Selector) : 0;
        uint size = is32 ? 4u : 2u;
        if (!SystemStack.TryPush(
            processor, stack, ref esp, frame[..words], size, user: privilege == 3, stackError, ref fault))
        {
            return false;
        }

        s->Cs = code;
        s->Ss = stack;
        s->Esp = esp;
        s->Eip = target;
        bool masks = gate.SystemType is SystemDescriptorType.InterruptGate16 or SystemDescriptorType.InterruptGate32;
        s->SystemFlags &= ~(Eflags.Tf | Eflags.Nt | Eflags.Rf | Eflags.Vm | (masks ? Eflags.If : 0));
        processor.UpdateMode();
        return true;
    }

    private static int BuildFrame(Processor processor, in ExceptionInfo exception, bool withStack, Span<uint> frame)
    {
        ProcessorState* s = processor.StatePointer;
        int words = 0;
        if (withStack)
        {
            frame[words++] = s->Ss.Selector;
            frame[words++] = s->Esp;
        }

        frame[words++] = PushedEflags(processor, exception);
        frame[words++] = s->Cs.Selector;
        frame[words++] = s->Eip;
        if (HasErrorCode(exception))
        {
            frame[words++] = exception.ErrorCode;
        }

        return words;
    }

    private static bool HasErrorCode(in ExceptionInfo exception) =>
        exception.Origin == ExceptionOrigin.Fault && ExceptionVector.HasErrorCode(exception.Vector);

    /// <summary>
    /// RF is 1 where the instruction comes again, so that its breakpoint isn't met again on return: for faults but the one of that
    /// breakpoint, and between the steps of a REP. Else it is what it was (SDM 3B, 17.3.1.1).
    /// </summary>
    private static uint PushedEflags(Processor processor, in ExceptionInfo exception)
    {
        ProcessorState* s = processor.StatePointer;
        bool isBreakpoint = exception.Vector == ExceptionVector.Debug && (s->GetDebug(6) & Debug.StatusBreakpoints) != 0;
        bool resumes = exception.Origin switch
        {
            ExceptionOrigin.Fault => !isBreakpoint,
            ExceptionOrigin.Software => false,
            _ => processor.IsWithinRepetition,
        };
        return s->Eflags | (resumes ? Eflags.Rf : 0);
    }
}
