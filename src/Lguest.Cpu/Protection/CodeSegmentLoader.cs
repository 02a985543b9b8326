using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>Loads CS, for those who have decided what privilege level comes of it (SDM 3A, 5.8).</summary>
internal static unsafe class CodeSegmentLoader
{
    /// <summary>Loads a code segment whose level is known: a non-conforming one must have that DPL.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">The selector; its RPL is replaced.</param>
    /// <param name="privilege">The level that becomes the current one.</param>
    /// <param name="register">CS, when the answer is true.</param>
    /// <param name="fault">#GP or #NP, or a page fault, when the answer is false.</param>
    public static bool TryLoadAt(
        Processor processor, ushort selector, int privilege, out SegmentRegister register, ref ExceptionInfo fault)
    {
        register = default;
        if (!TryRead(processor, selector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        bool fits = descriptor.IsConforming ? descriptor.Dpl <= privilege : descriptor.Dpl == privilege;
        if (!fits)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        return TryFinish(processor, selector, privilege, ref descriptor, out register, ref fault);
    }

    /// <summary>Reads the descriptor of a code segment: #GP(0) for a null selector, #GP(selector) for anything else.</summary>
    public static bool TryRead(
        Processor processor, ushort selector, out Descriptor descriptor, ref ExceptionInfo fault)
    {
        descriptor = default;
        if (Selector.IsNull(selector))
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        if (!DescriptorTables.TryRead(processor, selector, ExceptionVector.GeneralProtection, out descriptor, ref fault))
        {
            return false;
        }

        if (!descriptor.IsCode)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        return true;
    }

    /// <summary>Checks presence, marks the descriptor as accessed, and makes the register of it.</summary>
    public static bool TryFinish(
        Processor processor,
        ushort selector,
        int privilege,
        ref Descriptor descriptor,
        out SegmentRegister register,
        ref ExceptionInfo fault)
    {
        if (!descriptor.IsPresent)
        {
            register = default;
            fault = ExceptionInfo.Of(ExceptionVector.SegmentNotPresent, Selector.ErrorCode(selector));
            return false;
        }

        ushort loaded = (ushort)((selector & ~Selector.RplMask) | privilege);
        return SegmentLoader.TryFinish(processor, loaded, ref descriptor, out register, ref fault);
    }
}
