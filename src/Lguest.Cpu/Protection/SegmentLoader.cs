using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>
/// What it takes to load a segment register (SDM 3A, 5.5 to 5.8, and SDM 2B, MOV). Nothing is changed: the
/// caller puts the register where it belongs once all else has gone well.
/// </summary>
internal static unsafe class SegmentLoader
{
    /// <summary>Loads as MOV to a segment register does at the current privilege level; CS isn't for this.</summary>
    public static bool TryLoad(
        Processor processor, int segment, ushort selector, out SegmentRegister register, ref ExceptionInfo fault)
    {
        int cpl = processor.StatePointer->Cpl;
        if (segment != (int)SegmentName.Ss)
        {
            return TryLoadData(processor, selector, cpl, ExceptionVector.GeneralProtection, out register, ref fault);
        }

        return TryLoadStack(processor, selector, cpl, ExceptionVector.GeneralProtection, out register, ref fault);
    }

    /// <summary>Loads DS, ES, FS or GS.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">Null gives a register that can't be used.</param>
    /// <param name="cpl">The privilege level that the register will be used at.</param>
    /// <param name="vector">#GP, or #TS in a task switch.</param>
    /// <param name="register">The register, when the answer is true.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryLoadData(
        Processor processor,
        ushort selector,
        int cpl,
        int vector,
        out SegmentRegister register,
        ref ExceptionInfo fault)
    {
        register = new SegmentRegister { Selector = selector };
        if (Selector.IsNull(selector))
        {
            return true;
        }

        if (!DescriptorTables.TryRead(processor, selector, vector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        int weakest = Math.Max(cpl, selector & Selector.RplMask);
        if (!descriptor.IsReadable || (!descriptor.IsConforming && weakest > descriptor.Dpl))
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(selector));
            return false;
        }

        if (!descriptor.IsPresent)
        {
            fault = ExceptionInfo.Of(ExceptionVector.SegmentNotPresent, Selector.ErrorCode(selector));
            return false;
        }

        return TryFinish(processor, selector, ref descriptor, out register, ref fault);
    }

    /// <summary>Loads SS.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">Null isn't allowed.</param>
    /// <param name="cpl">The privilege level that the stack will be used at: RPL and DPL must be it.</param>
    /// <param name="vector">#GP, or #TS for a selector from a TSS.</param>
    /// <param name="register">The register, when the answer is true.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryLoadStack(
        Processor processor,
        ushort selector,
        int cpl,
        int vector,
        out SegmentRegister register,
        ref ExceptionInfo fault)
    {
        register = default;
        if (Selector.IsNull(selector))
        {
            fault = ExceptionInfo.Of(vector, 0);
            return false;
        }

        if (!DescriptorTables.TryRead(processor, selector, vector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        if ((selector & Selector.RplMask) != cpl || !descriptor.IsWritableData || descriptor.Dpl != cpl)
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(selector));
            return false;
        }

        if (!descriptor.IsPresent)
        {
            fault = ExceptionInfo.Of(ExceptionVector.StackSegment, Selector.ErrorCode(selector));
            return false;
        }

        return TryFinish(processor, selector, ref descriptor, out register, ref fault);
    }

    /// <summary>Marks a descriptor that has passed all checks as accessed, and makes the register of it.</summary>
    public static bool TryFinish(
        Processor processor,
        ushort selector,
        ref Descriptor descriptor,
        out SegmentRegister register,
        ref ExceptionInfo fault)
    {
        bool done = DescriptorTables.TryMarkAccessed(processor, selector, ref descriptor, ref fault);
        register = descriptor.ToRegister(selector);
        return done;
    }
}
