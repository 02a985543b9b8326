using Lguest.Host.Abi;
using Lguest.Insight.Log;

namespace Lguest.Running.Watching;

/// <summary>The log of a kernel that has said at its first hypercall where it is and what it looks like.</summary>
internal static class DescribedLog
{
    /// <summary>Makes it; null if the kernel has none, or what it says can't be.</summary>
    public static IKernelLog? Of(KernelDescription kernel) =>
        kernel.Log == 0 ? null : RingLog.Of(kernel.Log + kernel.PageOffset, FieldsOf(kernel.LogLayout));

    private static RingFields FieldsOf(KernelLogLayout layout) => new()
    {
        CountBits = layout.CountBits,
        Descriptors = layout.Descriptors,
        Infos = layout.Infos,
        HeadId = layout.HeadId,
        TailId = layout.TailId,
        SizeBits = layout.SizeBits,
        Text = layout.Data,
        DescriptorSize = layout.DescriptorSize,
        State = layout.DescriptorState,
        Positions = layout.DescriptorText,
        InfoSize = layout.InfoSize,
        Sequence = layout.InfoSequence,
        Time = layout.InfoTime,
        TextLength = layout.InfoTextLength,
        Facility = layout.InfoFacility,
    };
}
