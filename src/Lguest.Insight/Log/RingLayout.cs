using Lguest.Insight.Memory;

namespace Lguest.Insight.Log;

/// <summary>A <c>struct printk_ringbuffer</c> of a 32-bit kernel, read and found to make sense.</summary>
internal readonly record struct RingLayout
{
    private const int FewestCountBits = 2;
    private const int MostCountBits = 20;
    private const int FewestSizeBits = 8;
    private const int MostSizeBits = 27;
    private const uint IdMask = 0x3fff_ffff;

    private int CountBits { get; init; }

    private int SizeBits { get; init; }

    /// <summary>Where the fields are.</summary>
    public RingFields Fields { get; private init; }

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
    public static bool TryRead(IGuestMemoryReader memory, uint address, RingFields fields, out RingLayout layout)
    {
        layout = default;
        if (!memory.TryReadUInt32(address + (uint)fields.CountBits, out uint countBits) || countBits is < FewestCountBits or > MostCountBits
            || !memory.TryReadUInt32(address + (uint)fields.SizeBits, out uint sizeBits) || sizeBits is < FewestSizeBits or > MostSizeBits
            || !memory.TryReadUInt32(address + (uint)fields.Descriptors, out uint descriptors)
            || !memory.TryReadUInt32(address + (uint)fields.Infos, out uint infos)
            || !memory.TryReadUInt32(address + (uint)fields.HeadId, out uint head)
            || !memory.TryReadUInt32(address + (uint)fields.TailId, out uint tail)
            || !memory.TryReadUInt32(address + (uint)fields.Text, out uint text))
        {
            return false;
        }

        layout = new RingLayout
        {
            Fields = fields,
            CountBits = (int)countBits,
            SizeBits = (int)sizeBits,
            Descriptors = descriptors,
            Infos = infos,
            HeadId = head & IdMask,
            TailId = tail & IdMask,
            Text = text,
        };
        return ((layout.HeadId - layout.TailId) & IdMask) <= layout.Count;
    }

    /// <summary>Which descriptor has an id.</summary>
    public uint IndexOf(uint id) => id & (Count - 1);

    /// <summary>Where in the texts a logical position is.</summary>
    public uint OffsetOf(uint position) => position & (TextSize - 1);

    /// <summary>How often the texts had wrapped at a logical position.</summary>
    public uint WrapOf(uint position) => position >> SizeBits;
}
