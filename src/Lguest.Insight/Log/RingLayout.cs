using System.Buffers.Binary;
using Lguest.Insight.Memory;

namespace Lguest.Insight.Log;

/// <summary>A <c>struct printk_ringbuffer</c> of a 32-bit kernel, read and found to make sense.</summary>
internal readonly record struct RingLayout
{
    private const int Words = 9;
    private const int DescriptorRingWords = 5;
    private const int FewestCountBits = 2;
    private const int MostCountBits = 20;
    private const int FewestSizeBits = 8;
    private const int MostSizeBits = 27;
    private const uint IdMask = 0x3fff_ffff;

    private int CountBits { get; init; }

    private int SizeBits { get; init; }

    /// <summary>Address of the descriptors.</summary>
    public uint Descriptors { get; private init; }

    /// <summary>Address of what is known of each record.</summary>
    public uint Infos { get; private init; }

    /// <summary>The newest descriptor.</summary>
    public uint HeadId { get; private init; }

    /// <summary>The oldest.</summary>
    public uint TailId { get; private init; }

    /// <summary>Address of the texts.</summary>
    public uint Text { get; private init; }

    /// <summary>How many descriptors there are.</summary>
    public uint Count => 1u << CountBits;

    /// <summary>Bytes of text.</summary>
    public uint TextSize => 1u << SizeBits;

    /// <summary>Reads it.</summary>
    /// <returns>Whether it makes sense.</returns>
    public static bool TryRead(IGuestMemoryReader memory, uint address, out RingLayout layout)
    {
        Span<byte> bytes = stackalloc byte[Words * sizeof(uint)];
        layout = default;
        if (!memory.TryReadVirtual(address, bytes))
        {
            return false;
        }

        // Some kernels have one word more at the descriptor ring's end, last_finalized_id. What follows the ring of
        // texts' first word, a small number, is a pointer.
        int text = DescriptorRingWords;
        if (!IsTextRing(bytes, text) && IsTextRing(bytes, text + 1))
        {
            text++;
        }

        layout = new RingLayout
        {
            CountBits = (int)Math.Min(Word(bytes, 0), 32),
            Descriptors = Word(bytes, 1),
            Infos = Word(bytes, 2),
            HeadId = Word(bytes, 3) & IdMask,
            TailId = Word(bytes, 4) & IdMask,
            SizeBits = (int)Math.Min(Word(bytes, text), 32),
            Text = Word(bytes, text + 1),
        };
        return layout.CountBits is >= FewestCountBits and <= MostCountBits
            && IsTextRing(bytes, text)
            && ((layout.HeadId - layout.TailId) & IdMask) <= layout.Count;
    }

    /// <summary>Which descriptor has an id.</summary>
    public uint IndexOf(uint id) => id & (Count - 1);

    /// <summary>Where in the texts a logical position is.</summary>
    public uint OffsetOf(uint position) => position & (TextSize - 1);

    /// <summary>How often the texts had wrapped at a logical position.</summary>
    public uint WrapOf(uint position) => position >> SizeBits;

    private static bool IsTextRing(ReadOnlySpan<byte> bytes, int at) =>
        Word(bytes, at) is >= FewestSizeBits and <= MostSizeBits && Word(bytes, at + 1) > MostSizeBits;

    private static uint Word(ReadOnlySpan<byte> bytes, int index) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[(index * sizeof(uint))..]);
}
