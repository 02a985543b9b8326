using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>The code and the stack that a far RET or an IRET goes back to (SDM 2B, RET; SDM 2A, IRET).</summary>
internal unsafe ref struct FarReturn
{
    private SegmentRegister _code;
    private SegmentRegister _stack;
    private uint _eip;
    private uint _esp;
    private bool _toOuter;

    /// <summary>Checks everything, and pops SS and ESP when the return is to an outer level.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">The popped CS.</param>
    /// <param name="eip">The popped EIP.</param>
    /// <param name="frame">Bytes popped so far.</param>
    /// <param name="parameters">Bytes that RET n takes off both stacks.</param>
    /// <param name="size">Bytes of a word: 2 or 4.</param>
    /// <param name="target">Where to go, when the answer is true.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryUnwind(
        Processor processor,
        ushort selector,
        uint eip,
        uint frame,
        uint parameters,
        uint size,
        out FarReturn target,
        ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        target = default;
        if (!CodeSegmentLoader.TryRead(processor, selector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        int privilege = selector & Selector.RplMask;
        bool fits = descriptor.IsConforming ? descriptor.Dpl <= privilege : descriptor.Dpl == privilege;
        if (privilege < s->Cpl || !fits)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        // The accessed bit is the only thing that changes before the last check.
        if (!CodeSegmentLoader.TryFinish(processor, selector, privilege, ref descriptor, out target._code, ref fault))
        {
            return false;
        }

        target._eip = eip;
        target._toOuter = privilege > s->Cpl;
        if (target._toOuter)
        {
            if (!target.TryPopStack(processor, privilege, frame + parameters, parameters, size, ref fault))
            {
                return false;
            }
        }
        else
        {
            target._stack = s->Ss;
            target._esp = SystemStack.Replace(s->Ss, s->Esp, s->Esp + frame + parameters);
        }

        if (eip > target._code.Limit)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        return true;
    }

    /// <summary>Goes there. The caller updates the mode.</summary>
    public readonly void Apply(Processor processor)
    {
        ProcessorState* s = processor.StatePointer;
        s->Cs = _code;
        s->Eip = _eip;
        s->Ss = _stack;
        s->Esp = _esp;
        if (_toOuter)
        {
            ClearInnerSegments(s);
        }
    }

    /// <summary>With a 16-bit stack only SP is loaded, and the upper half of the inner ESP shows: so do processors.</summary>
    private bool TryPopStack(
        Processor processor, int privilege, uint distance, uint parameters, uint size, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;

        // Whoever returns to an outer ring is in 0 to 2, where stacks are the supervisor's.
        if (!SystemStack.TryPeek(processor, s->Ss, s->Esp, distance, size, user: false, out uint esp, ref fault)
            || !SystemStack.TryPeek(processor, s->Ss, s->Esp, distance + size, size, user: false, out uint ss, ref fault)
            || !SegmentLoader.TryLoadStack(
                processor, (ushort)ss, privilege, ExceptionVector.GeneralProtection, out _stack, ref fault))
        {
            return false;
        }

        _esp = SystemStack.Replace(_stack, s->Esp, esp + parameters);
        return true;
    }

    /// <summary>
    /// Data segments that the outer level may not use become null (SDM 2B, RET), and null selectors with an RPL 0. Real processors
    /// do that too: an interrupt makes 0 of the 3 that a program has loaded.
    /// </summary>
    private static void ClearInnerSegments(ProcessorState* s)
    {
        ReadOnlySpan<int> segments = [(int)SegmentName.Es, (int)SegmentName.Ds, (int)SegmentName.Fs, (int)SegmentName.Gs];
        foreach (int number in segments)
        {
            ref SegmentRegister segment = ref s->Segment(number);
            const SegmentAccess ConformingCode = SegmentAccess.Code | SegmentAccess.ExpandDownOrConforming;
            bool isConforming = (segment.Access & ConformingCode) == ConformingCode;
            if (!segment.IsUsable || (!isConforming && segment.Dpl < s->Cpl))
            {
                segment = default;
            }
        }
    }
}
