using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>Finds descriptors by selector, in the GDT, the LDT, or the table that the host keeps.</summary>
internal static unsafe class DescriptorTables
{
    private const uint EntrySize = 8;
    private const uint BusyBit = SystemDescriptorType.BusyBit << 8;

    /// <summary>Reads the descriptor that a selector (not a null one) names.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">Any but the null ones.</param>
    /// <param name="vector">What a selector beyond its table raises, with the selector as error code.</param>
    /// <param name="descriptor">The descriptor, when the answer is true.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryRead(
        Processor processor, ushort selector, int vector, out Descriptor descriptor, ref ExceptionInfo fault)
    {
        bool found = TryFind(processor, selector, out descriptor, ref fault, out bool outside);
        if (outside)
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(selector));
        }

        return found;
    }

    /// <summary>The same for LAR, LSL, VERR and VERW, which fault for no selector.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">Any selector.</param>
    /// <param name="descriptor">The descriptor, when the answer is true.</param>
    /// <param name="fault">The page fault, when the answer is false and <paramref name="outside"/> too.</param>
    /// <param name="outside">The selector is null or beyond its table.</param>
    public static bool TryFind(
        Processor processor,
        ushort selector,
        out Descriptor descriptor,
        ref ExceptionInfo fault,
        out bool outside)
    {
        descriptor = default;
        uint index = (uint)selector & ~7u;
        bool isLocal = (selector & Selector.TableIndicator) != 0;
        if (!isLocal && processor.HostGdt is { } host)
        {
            outside = Selector.IsNull(selector) || index / EntrySize >= (uint)host.Length;
            if (!outside)
            {
                ulong value = host[index / EntrySize];
                descriptor = new Descriptor((uint)value, (uint)(value >> 32));
            }

            return !outside;
        }

        ProcessorState* s = processor.StatePointer;
        outside = Selector.IsNull(selector)
            || (isLocal
                ? !s->Ldtr.IsUsable || index + EntrySize - 1 > s->Ldtr.Limit
                : index + EntrySize - 1 > s->Gdtr.Limit);
        if (outside || !TryMap(s, selector, AccessKind.Read, out LinearRange range, ref fault))
        {
            return false;
        }

        descriptor = new Descriptor(range.ReadUInt32(0), range.ReadUInt32(4));
        return true;
    }

    /// <summary>Sets the accessed bit of a descriptor just read, in memory too where the table lies there.</summary>
    public static bool TryMarkAccessed(
        Processor processor, ushort selector, ref Descriptor descriptor, ref ExceptionInfo fault)
    {
        if ((descriptor.Access & SegmentAccess.Accessed) != 0)
        {
            return true;
        }

        return TryReplace(processor, selector, descriptor.High | (uint)SegmentAccess.Accessed, ref descriptor, ref fault);
    }

    /// <summary>Sets or clears the busy bit of a TSS's descriptor just read.</summary>
    public static bool TryMarkBusy(
        Processor processor, ushort selector, bool busy, ref Descriptor descriptor, ref ExceptionInfo fault)
    {
        uint high = busy ? descriptor.High | BusyBit : descriptor.High & ~BusyBit;
        return high == descriptor.High || TryReplace(processor, selector, high, ref descriptor, ref fault);
    }

    /// <summary>Whether the bits of a descriptor just read can be changed; if not, with the page fault.</summary>
    public static bool IsWritable(Processor processor, ushort selector, ref ExceptionInfo fault) =>
        IsHosts(processor, selector) || TryMap(processor.StatePointer, selector, AccessKind.Write, out _, ref fault);

    /// <summary>Whether the host keeps the table: then it isn't in memory, and nothing is written to it.</summary>
    private static bool IsHosts(Processor processor, ushort selector) =>
        processor.HostGdt is not null && (selector & Selector.TableIndicator) == 0;

    private static bool TryReplace(
        Processor processor, ushort selector, uint high, ref Descriptor descriptor, ref ExceptionInfo fault)
    {
        if (!IsHosts(processor, selector))
        {
            if (!TryMap(processor.StatePointer, selector, AccessKind.Write, out LinearRange range, ref fault))
            {
                return false;
            }

            range.WriteUInt32(4, high);
            range.Complete(processor);
        }

        descriptor = descriptor with { High = high };
        return true;
    }

    private static bool TryMap(
        ProcessorState* s, ushort selector, AccessKind kind, out LinearRange range, ref ExceptionInfo fault)
    {
        uint table = (selector & Selector.TableIndicator) != 0 ? s->Ldtr.Base : s->Gdtr.Base;
        return LinearRange.TryMap(
            s, table + ((uint)selector & ~7u), EntrySize, kind, user: false, out range, ref fault);
    }
}
