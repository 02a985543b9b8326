using System.Buffers.Binary;
using Lguest.Cpu.Memory;

namespace Lguest.Host.Dma;

/// <summary>
/// One <c>struct lguest_dma</c>: up to 16 pieces of guest memory that together are a message or room for one.
/// </summary>
/// <remarks>One list is used again and again, so that a transfer allocates nothing.</remarks>
/// <param name="memory">Guest memory.</param>
public sealed class DmaList(GuestMemory memory)
{
    /// <summary>Bytes of the structure.</summary>
    public const int Size = 100;

    /// <summary>Pieces in the structure.</summary>
    public const int Sections = 16;

    /// <summary>The most bytes that a list can hold.</summary>
    public const int LongestTransfer = Sections * ushort.MaxValue;

    private const int AddressOffset = 4;
    private const int LengthOffset = 68;
    private const string What = "a dma list";
    private const string PieceOf = "a piece of a dma list";

    private readonly uint[] _addresses = new uint[Sections];
    private readonly int[] _lengths = new int[Sections];
    private int _count;

    /// <summary>Bytes in all pieces.</summary>
    public int Length { get; private set; }

    /// <summary>What was in its used_len: in a message, a device may understand something by it.</summary>
    public uint Request { get; private set; }

    /// <summary>Whether a piece crosses into another page, as none may where another guest has a part in the transfer.</summary>
    internal bool CrossesPage => FindCrossing() >= 0;

    /// <summary>Reads a list, and checks that all it names is guest memory.</summary>
    /// <param name="address">Its physical address.</param>
    /// <exception cref="GuestFaultException">Some of it, or of what it names, isn't.</exception>
    public void Load(uint address)
    {
        if (!TryLoad(address))
        {
            memory.Check(address, Size, What);
            memory.Check(_addresses[_count], (uint)_lengths[_count], PieceOf);
        }
    }

    /// <summary>Sees that each piece lies within a page, as it must where another guest has a part in the transfer.</summary>
    /// <exception cref="GuestFaultException">One crosses into the next.</exception>
    public void CheckPages()
    {
        int i = FindCrossing();
        if (i >= 0)
        {
            throw new GuestFaultException(
                $"{PieceOf} at 0x{_addresses[i]:x8}, {_lengths[i]} bytes, crosses a page, which it may not between guests");
        }
    }

    /// <summary>Copies the message out of guest memory.</summary>
    /// <returns>Bytes copied: all of the message, or as much as fits.</returns>
    public int CopyTo(Span<byte> destination)
    {
        int done = 0;
        for (int i = 0; i < _count && done < destination.Length; i++)
        {
            int length = Math.Min(_lengths[i], destination.Length - done);
            memory.Read(_addresses[i], destination.Slice(done, length), PieceOf);
            done += length;
        }

        return done;
    }

    /// <summary>Copies into guest memory.</summary>
    /// <returns>Bytes copied: all of the source, or as much as there is room for.</returns>
    public int CopyFrom(ReadOnlySpan<byte> source)
    {
        int done = 0;
        for (int i = 0; i < _count && done < source.Length; i++)
        {
            int length = Math.Min(_lengths[i], source.Length - done);
            memory.Write(_addresses[i], source.Slice(done, length), PieceOf);
            done += length;
        }

        return done;
    }

    /// <summary>As <see cref="Load"/>, for a list that may be bad: false when it is.</summary>
    internal bool TryLoad(uint address)
    {
        _count = 0;
        Length = 0;
        if (!memory.Contains(address, Size))
        {
            return false;
        }

        Span<byte> structure = stackalloc byte[Size];
        memory.Read(address, structure, What);
        Request = BinaryPrimitives.ReadUInt32LittleEndian(structure);
        for (int i = 0; i < Sections; i++)
        {
            ushort length = BinaryPrimitives.ReadUInt16LittleEndian(structure[(LengthOffset + (i * sizeof(ushort)))..]);
            if (length == 0)
            {
                break;
            }

            _addresses[i] = BinaryPrimitives.ReadUInt32LittleEndian(structure[(AddressOffset + (i * sizeof(uint)))..]);
            _lengths[i] = length;
            if (!memory.Contains(_addresses[i], length))
            {
                return false;
            }

            _count++;
            Length += length;
        }

        return true;
    }

    private int FindCrossing()
    {
        for (int i = 0; i < _count; i++)
        {
            if ((_addresses[i] & PhysicalMemory.PageOffsetMask) + (uint)_lengths[i] > PhysicalMemory.PageSize)
            {
                return i;
            }
        }

        return -1;
    }
}
