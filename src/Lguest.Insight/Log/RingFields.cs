using System.Buffers.Binary;
using Lguest.Insight.Memory;

namespace Lguest.Insight.Log;

/// <summary>Where the fields of a kernel's log are in its structures: offsets and sizes in bytes.</summary>
public sealed record RingFields
{
    private const int Words = 9;
    private const int FewestSizeBits = 8;
    private const int MostSizeBits = 27;

    /// <summary>In struct printk_ringbuffer: u32, log2 of how many descriptors there are.</summary>
    public int CountBits { get; init; }

    /// <summary>There: pointer to the descriptors.</summary>
    public int Descriptors { get; init; } = 4;

    /// <summary>There: pointer to the infos.</summary>
    public int Infos { get; init; } = 8;

    /// <summary>There: u32, the newest descriptor.</summary>
    public int HeadId { get; init; } = 12;

    /// <summary>There: u32, the oldest descriptor.</summary>
    public int TailId { get; init; } = 16;

    /// <summary>There: u32, log2 of the bytes of text.</summary>
    public int SizeBits { get; init; } = 24;

    /// <summary>There: pointer to the text.</summary>
    public int Text { get; init; } = 28;

    /// <summary>Of struct prb_desc: its size.</summary>
    public int DescriptorSize { get; init; } = 12;

    /// <summary>There: u32, state and id.</summary>
    public int State { get; init; }

    /// <summary>There: u32 begin and u32 next, the text's logical positions.</summary>
    public int Positions { get; init; } = 4;

    /// <summary>Of struct printk_info: its size; null where it must be found out.</summary>
    public int? InfoSize { get; init; }

    /// <summary>There: u64, the record's number.</summary>
    public int Sequence { get; init; }

    /// <summary>There: u64, nanoseconds.</summary>
    public int Time { get; init; } = 8;

    /// <summary>There: u16, bytes of text.</summary>
    public int TextLength { get; init; } = 16;

    /// <summary>There: u8 facility, then u8 flags and level.</summary>
    public int Facility { get; init; } = 18;

    /// <summary>Whether they can be what a kernel says: each field is in its structure, and the structures are small.</summary>
    internal bool MakeSense
    {
        get
        {
            const int Largest = 1024;
            int info = InfoSize ?? Largest;
            int[] ring = [CountBits, Descriptors, Infos, HeadId, TailId, SizeBits, Text];
            return ring.All(offset => offset is >= 0 and <= Largest)
                && DescriptorSize is > 0 and <= Largest && State >= 0 && State + 4 <= DescriptorSize && Positions >= 0 && Positions + 8 <= DescriptorSize
                && info is > 0 and <= Largest && Sequence >= 0 && Sequence + 8 <= info && Time >= 0 && Time + 8 <= info
                && TextLength >= 0 && TextLength + 2 <= info && Facility >= 0 && Facility + 2 <= info;
        }
    }

    /// <summary>
    /// Finds out what a 32-bit kernel has that doesn't say it: some have one word more at the end of the descriptor ring,
    /// last_finalized_id. What follows the first word of the ring of texts, a small number, is a pointer.
    /// </summary>
    internal static RingFields? Find(IGuestMemoryReader memory, uint ring)
    {
        Span<byte> bytes = stackalloc byte[Words * sizeof(uint)];
        if (!memory.TryReadVirtual(ring, bytes))
        {
            return null;
        }

        var usual = new RingFields();
        return IsTextRing(bytes, usual.SizeBits - sizeof(uint)) ? usual with { SizeBits = usual.SizeBits - sizeof(uint), Text = usual.Text - sizeof(uint) }
            : IsTextRing(bytes, usual.SizeBits) ? usual : null;
    }

    private static bool IsTextRing(ReadOnlySpan<byte> bytes, int at) =>
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]) is >= FewestSizeBits and <= MostSizeBits
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at + sizeof(uint))..]) > MostSizeBits;
}
