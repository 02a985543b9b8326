using System.Buffers.Binary;

namespace Lguest.Host.Virtio;

/// <summary>
/// The device's side of a split virtqueue (virtio 1.0, 2.4): a table of descriptors, a ring of chains that the guest has made
/// available, and a ring of those that the device has used. Where the three are is for the transport to say.
/// </summary>
/// <remarks>Whatever the guest writes there can end the guest and nothing else: indices are checked, and no loop is longer than the ring.</remarks>
public sealed class SplitRing
{
    private const int DescriptorSize = 16;
    private const int UsedElementSize = 8;
    private const int RingStart = 4;
    private const int IndexOffset = 2;
    private const ushort NoInterrupt = 1;
    private const ushort HasNext = 1;
    private const ushort DeviceWrites = 2;
    private const ushort Indirect = 4;
    private const string What = "a virtqueue";

    private readonly GuestMemory _memory;
    private uint _descriptors;
    private uint _available;
    private uint _used;
    private ushort _nextAvailable;
    private ushort _nextUsed;
    private bool _isInUse;

    /// <summary>Makes a ring that has no place yet.</summary>
    /// <param name="memory">Guest memory.</param>
    /// <param name="size">See <see cref="Size"/>.</param>
    public SplitRing(GuestMemory memory, int size) => (_memory, Size) = (memory, size);

    /// <summary>
    /// How many descriptors the table has, and as many slots each of the two rings: a power of two, at most 32768. It changes only when the ring gets a
    /// place.
    /// </summary>
    public int Size { get; private set; }

    /// <summary>Whether it has a place.</summary>
    public bool IsPlaced => _available != 0;

    /// <summary>How far both sides are. Counts that wrap at 65536.</summary>
    public SplitRingState State
    {
        get => new(_nextAvailable, _nextUsed, IsInUse);
        set => (_nextAvailable, _nextUsed, _isInUse) = (value.NextAvailable, value.NextUsed, value.IsInUse);
    }

    /// <summary>Whether the guest has made a chain available that hasn't been taken.</summary>
    /// <exception cref="GuestFaultException">It claims more than there can be.</exception>
    public bool HasAvailable => Waiting != 0;

    /// <summary>Whether the guest has ever made a chain available.</summary>
    public bool IsInUse
    {
        get
        {
            // The guest's count wraps to 0.
            _isInUse |= _available != 0 && ReadUInt16(_available + IndexOffset) != 0;
            return _isInUse;
        }
    }

    /// <summary>Whether the guest wants to be interrupted when chains come back.</summary>
    public bool WantsInterrupts => (ReadUInt16(_available) & NoInterrupt) == 0;

    /// <summary>How many chains the guest has made available that haven't been taken.</summary>
    /// <exception cref="GuestFaultException">It claims more than there can be.</exception>
    public int Waiting
    {
        get
        {
            if (_available == 0)
            {
                return 0;
            }

            ushort index = ReadUInt16(_available + IndexOffset);
            _isInUse |= index != 0;
            int waiting = (ushort)(index - _nextAvailable);
            return waiting <= Size
                ? waiting
                : throw new GuestFaultException($"{What} of {Size} descriptors has {waiting} chains available");
        }
    }

    /// <summary>Bytes of the descriptors of a ring of some size.</summary>
    public static uint DescriptorBytes(int size) => (uint)size * DescriptorSize;

    /// <summary>Bytes of the available ring that the device reads.</summary>
    public static uint AvailableBytes(int size) => RingStart + ((uint)size * sizeof(ushort));

    /// <summary>Bytes of the used ring that the device writes.</summary>
    public static uint UsedBytes(int size) => RingStart + ((uint)size * UsedElementSize);

    /// <summary>Gives the ring its place, with nothing in it.</summary>
    /// <param name="descriptors">Physical address of the descriptors.</param>
    /// <param name="available">Of the available ring; not 0.</param>
    /// <param name="used">Of the used ring.</param>
    public void Place(uint descriptors, uint available, uint used)
    {
        (_descriptors, _available, _used) = (descriptors, available, used);
        State = default;
    }

    /// <summary>The same for a ring whose size the guest chooses.</summary>
    /// <param name="descriptors">Physical address of the descriptors.</param>
    /// <param name="available">Of the available ring; not 0.</param>
    /// <param name="used">Of the used ring.</param>
    /// <param name="size">See <see cref="Size"/>.</param>
    public void Place(uint descriptors, uint available, uint used, int size)
    {
        Size = size;
        Place(descriptors, available, used);
    }

    /// <summary>Takes its place away: nothing is available.</summary>
    public void Remove() => Place(0, 0, 0);

    /// <summary>Loads a chain that the guest has made available, and leaves it there.</summary>
    /// <param name="chain">Is loaded.</param>
    /// <param name="ahead">0: the next one.</param>
    /// <returns>False when there are no more than so many.</returns>
    /// <exception cref="GuestFaultException">The guest has written nonsense.</exception>
    public bool TryPeek(VirtioChain chain, int ahead = 0)
    {
        if (Waiting <= ahead)
        {
            return false;
        }

        Load(ReadUInt16(_available + RingStart + (uint)((ushort)(_nextAvailable + ahead) % Size * sizeof(ushort))), chain);
        return true;
    }

    /// <summary>Takes the chain that <see cref="TryPeek"/> has shown.</summary>
    public void Take() => _nextAvailable++;

    /// <summary>Loads a chain by its head.</summary>
    /// <param name="head">Index of its first descriptor.</param>
    /// <param name="chain">Is loaded.</param>
    /// <exception cref="GuestFaultException">The guest has written nonsense.</exception>
    public void Load(ushort head, VirtioChain chain)
    {
        chain.Begin(head);
        Span<byte> descriptor = stackalloc byte[DescriptorSize];
        ushort index = head;
        for (int i = 0; i < Size; i++)
        {
            if (index >= Size)
            {
                throw new GuestFaultException($"{What} of {Size} descriptors has a chain with descriptor {index}");
            }

            _memory.Read(_descriptors + (uint)(index * DescriptorSize), descriptor, What);
            ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(descriptor[12..]);
            if ((flags & Indirect) != 0)
            {
                throw new GuestFaultException($"{What} has an indirect descriptor, which the device hasn't offered");
            }

            chain.Add(
                BinaryPrimitives.ReadUInt64LittleEndian(descriptor),
                BinaryPrimitives.ReadUInt32LittleEndian(descriptor[8..]),
                (flags & DeviceWrites) != 0);
            if ((flags & HasNext) == 0)
            {
                return;
            }

            index = BinaryPrimitives.ReadUInt16LittleEndian(descriptor[14..]);
        }

        throw new GuestFaultException($"{What} of {Size} descriptors has a chain that doesn't end");
    }

    /// <summary>Gives a chain back to the guest.</summary>
    /// <param name="head">Index of its first descriptor.</param>
    /// <param name="length">Bytes written into its writable part.</param>
    public void Return(ushort head, uint length)
    {
        uint element = _used + RingStart + (uint)(_nextUsed % Size * UsedElementSize);
        _memory.WriteUInt32(element, head, What);
        _memory.WriteUInt32(element + sizeof(uint), length, What);
        _nextUsed++;
        Span<byte> index = stackalloc byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16LittleEndian(index, _nextUsed);
        _memory.Write(_used + IndexOffset, index, What);
    }

    private ushort ReadUInt16(uint address)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        _memory.Read(address, bytes, What);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }
}

/// <summary>How far a ring is.</summary>
/// <param name="NextAvailable">Chains taken from the guest, modulo 65536.</param>
/// <param name="NextUsed">Chains given back, modulo 65536.</param>
/// <param name="IsInUse">See <see cref="SplitRing.IsInUse"/>.</param>
public readonly record struct SplitRingState(ushort NextAvailable, ushort NextUsed, bool IsInUse);
