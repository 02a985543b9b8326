using System.Globalization;
using Lguest.Cpu.Memory;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Traps;
using Microsoft.Extensions.Logging;

namespace Lguest.Host.Virtio;

/// <summary>
/// The lguest bus of Linux 2.6.24 to 3.19: a page of descriptors at the end of RAM, then the pages of each device's virtqueues.
/// The guest tells of both by NOTIFY with a physical address.
/// </summary>
/// <remarks>
/// For descriptors see <see cref="VirtioDescriptors"/>. The guest may write all of one: nothing is ever read there but the status and the features that
/// the driver has agreed on.
/// </remarks>
public sealed class LguestVirtioBus : DeviceBus
{
    /// <summary>Devices on a bus: their descriptors fit on the page, and their rings behind it.</summary>
    public const int MostDevices = 32;

    /// <summary>Descriptors of each virtqueue.</summary>
    public const int QueueSize = 256;

    /// <summary>A kernel without an IO-APIC has sixteen lines, the first of them the timer's. What is over is shared.</summary>
    private const int DeviceLines = 15;

    private const int PageShift = 12;
    private const int LongestEarlyText = 256;
    private const string What = "the descriptor page";
    private const string Rings = "a virtqueue's pages";

    // Of each virtqueue's pages: descriptors and available ring, and from the next page on the used ring.
    private static readonly uint AvailableOffset = SplitRing.DescriptorBytes(QueueSize);
    private static readonly uint UsedOffset = WholePages(AvailableOffset + SplitRing.AvailableBytes(QueueSize));
    private static readonly uint RingBytes = UsedOffset + WholePages(SplitRing.UsedBytes(QueueSize));

    private readonly GuestMemory _memory;
    private readonly DescriptorNotice _notices;
    private readonly DescriptorWriter _describe;
    private readonly uint _descriptorPage;
    private readonly List<Place> _places = [];

    /// <summary>Makes a bus with all devices in their places.</summary>
    /// <param name="devices">In the guest's order, at most <see cref="MostDevices"/>; see <see cref="PlaceMemory"/>.</param>
    /// <param name="notices">What a NOTIFY about a descriptor means.</param>
    /// <param name="describe">Writes descriptors.</param>
    /// <param name="guestId">The guest's number among others.</param>
    /// <param name="layout">Where RAM is.</param>
    /// <param name="memory">Guest memory, with the bus's pages.</param>
    /// <param name="interrupts">The guest's interrupts.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="events">What happens at moments of virtual time.</param>
    /// <param name="signal">Wakes the processor's thread.</param>
    /// <param name="logger">Hears where devices are.</param>
    public LguestVirtioBus(
        IReadOnlyList<IVirtioDevice> devices,
        DescriptorNotice notices,
        DescriptorWriter describe,
        ushort guestId,
        MemoryLayout layout,
        GuestMemory memory,
        InterruptController interrupts,
        GuestClock clock,
        DeviceEvents events,
        HostSignal signal,
        ILogger logger)
        : base(devices, clock, events)
    {
        _memory = memory;
        _notices = notices;
        _describe = describe;
        _descriptorPage = (uint)layout.Devices;
        uint ring = _descriptorPage + PhysicalMemory.PageSize;
        uint descriptor = _descriptorPage;
        int line = 0;
        for (int i = 0; i < devices.Count; i++)
        {
            VirtioIdentity identity = devices[i].Identity;
            var queues = new QueuePlace[identity.Queues];
            for (int q = 0; q < queues.Length; q++)
            {
                int irq = 1 + (line++ % DeviceLines);
                queues[q] = new QueuePlace(ring, irq, new Virtqueue(new SplitRing(memory, QueueSize), () => interrupts.Raise(irq)));
                ring += RingBytes;
            }

            var place = new Place(devices[i], descriptor, queues);
            _places.Add(place);
            Empty(place);
            Virtqueue[] ofDevice = [.. queues.Select(queue => queue.Queue)];
            devices[i].Attach(
                new VirtioSlot(i, guestId, memory, ofDevice, clock, events, signal, () => AgreedFeatures(place), () => IsDriverReady(place)));
            HostLog.VirtioDevicePlaced(logger, i, identity.Type, queues[0].Address, queues[0].Irq);
            descriptor += WriteDescriptor(place);
        }
    }

    /// <inheritdoc />
    public override IReadOnlyList<SplitRingState> State
    {
        get => [.. _places.SelectMany(place => place.Queues).Select(queue => queue.Queue.Ring.State)];
        set
        {
            int i = 0;
            foreach (QueuePlace queue in _places.SelectMany(place => place.Queues))
            {
                queue.Queue.Ring.State = value[i++];
            }
        }
    }

    /// <summary>Adds RAM, the descriptor page and the pages of all virtqueues to physical memory.</summary>
    /// <param name="memory">Empty.</param>
    /// <param name="layout">Where RAM is.</param>
    /// <param name="devices">At most <see cref="MostDevices"/>.</param>
    /// <exception cref="ArgumentException">There are too many.</exception>
    public static void PlaceMemory(PhysicalMemory memory, MemoryLayout layout, IReadOnlyList<IVirtioDevice> devices)
    {
        if (devices.Count > MostDevices)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{devices.Count} devices are too many: the bus has room for {MostDevices}."),
                nameof(devices));
        }

        uint rings = (uint)devices.Sum(device => device.Identity.Queues) * RingBytes;
        memory.AddRam(0, checked((uint)layout.Devices + PhysicalMemory.PageSize + rings));
        foreach (MemoryRange range in layout.HighRam)
        {
            memory.AddRam(range.Start, range.Length);
        }
    }

    /// <summary>What the guest tells by an address: of a virtqueue, that there are chains; of a descriptor, that its status has changed; in RAM, an early text.</summary>
    /// <exception cref="GuestFaultException">It is none of these, or the guest is over.</exception>
    public override void Notify(uint address)
    {
        if (address < _descriptorPage)
        {
            ShowEarly(address);
            return;
        }

        foreach (Place place in _places)
        {
            if (address == place.Descriptor && _notices != DescriptorNotice.None)
            {
                OnStatus(place);
                return;
            }

            for (int q = 0; q < place.Queues.Length; q++)
            {
                if (address == place.Queues[q].Address)
                {
                    place.Device.OnNotify(q);
                    return;
                }
            }
        }

        throw new GuestFaultException($"nothing is at 0x{address:x8} to be notified");
    }

    private void OnStatus(Place place)
    {
        const int Status = VirtioDescriptors.StatusOffset;
        if (_notices == DescriptorNotice.StatusChanged && _memory.ReadByte(place.Descriptor + Status, What) != 0)
        {
            return;
        }

        Empty(place);
        _memory.Write(place.Descriptor + Status, [0], What);
        _memory.WriteUInt32(place.Descriptor + (uint)VirtioDescriptors.AcknowledgedOffset(place.Queues.Length), 0, What);
        place.Device.OnReset();
    }

    /// <summary>What is read in a descriptor that has no place for them means nothing: no feature is offered there that anything depends on.</summary>
    private uint AgreedFeatures(Place place) =>
        _memory.ReadUInt32(place.Descriptor + (uint)VirtioDescriptors.AcknowledgedOffset(place.Queues.Length), What) & place.Device.Identity.Features;

    /// <summary>A kernel that tells nothing of its descriptors (2.6.24) agrees on no features: there is nothing to wait for.</summary>
    private bool IsDriverReady(Place place) => _notices == DescriptorNotice.None
        || (_memory.ReadByte(place.Descriptor + VirtioDescriptors.StatusOffset, What) & VirtioStatus.DriverReady) != 0;

    /// <summary>The guest's ring code takes zeros for granted, and never writes them.</summary>
    private void Empty(Place place)
    {
        Span<byte> page = stackalloc byte[(int)PhysicalMemory.PageSize];
        page.Clear();
        foreach (QueuePlace queue in place.Queues)
        {
            for (uint at = 0; at < RingBytes; at += PhysicalMemory.PageSize)
            {
                _memory.Write(queue.Address + at, page, Rings);
            }

            queue.Queue.Ring.Place(queue.Address, queue.Address + AvailableOffset, queue.Address + UsedOffset);
        }
    }

    private uint WriteDescriptor(Place place)
    {
        QueueDescription[] queues =
            [.. place.Queues.Select(queue => new QueueDescription(queue.Queue.Size, queue.Irq, queue.Address >> PageShift))];
        byte[] bytes = _describe(place.Device.Identity, queues, place.Device.Configuration.Span);
        _memory.Write(place.Descriptor, bytes, What);
        return (uint)bytes.Length;
    }

    private void ShowEarly(uint address)
    {
        Span<byte> text = stackalloc byte[LongestEarlyText];
        int length = 0;
        for (; length < LongestEarlyText; length++)
        {
            text[length] = _memory.ReadByte(address + (uint)length, "an early text");
            if (text[length] == 0)
            {
                break;
            }
        }

        foreach (Place place in _places)
        {
            place.Device.OnEarlyText(text[..length]);
        }
    }

    private static uint WholePages(uint bytes) => (bytes + PhysicalMemory.PageOffsetMask) & ~PhysicalMemory.PageOffsetMask;

    /// <summary>A device in its place.</summary>
    private sealed record Place(IVirtioDevice Device, uint Descriptor, QueuePlace[] Queues);

    /// <summary>A virtqueue in its place.</summary>
    private sealed record QueuePlace(uint Address, int Irq, Virtqueue Queue);
}
