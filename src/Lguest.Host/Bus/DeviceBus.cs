using System.Buffers.Binary;
using Lguest.Cpu.Memory;
using Lguest.Host.Dma;
using Microsoft.Extensions.Logging;

namespace Lguest.Host.Bus;

/// <summary>
/// The lguest bus: a page of descriptors at the end of RAM, then each device's own pages. It places devices, describes them
/// to the guest, and lets each look for work.
/// </summary>
public sealed class DeviceBus
{
    /// <summary>Descriptors on the page.</summary>
    public const int MostDevices = 16;

    private const int DescriptorSize = 12;
    private const int FeaturesOffset = 2;
    private const int PagesOffset = 6;
    private const int FrameOffset = 8;
    private const int PageShift = 12;
    private const string What = "the descriptor page";

    private readonly IReadOnlyList<IGuestDevice> _devices;

    /// <summary>Makes a bus; <see cref="Attach"/> puts the devices into their places.</summary>
    /// <param name="devices">In the guest's order; see <see cref="Place"/> for how many.</param>
    /// <param name="memory">Guest memory, with all device pages.</param>
    /// <param name="router">DMA.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="events">What happens at moments of virtual time.</param>
    /// <param name="signal">Wakes the processor's thread.</param>
    public DeviceBus(
        IReadOnlyList<IGuestDevice> devices,
        GuestMemory memory,
        DmaRouter router,
        GuestClock clock,
        DeviceEvents events,
        HostSignal signal)
    {
        _devices = devices;
        SkipsIdleTime = clock.IsVirtual && devices.All(device => device.CanRepeat);
        Memory = memory;
        Router = router;
        Clock = clock;
        Events = events;
        Signal = signal;
    }

    /// <summary>Whether time may jump to the next thing that happens while the guest waits.</summary>
    public bool SkipsIdleTime { get; }

    internal GuestMemory Memory { get; }

    internal DmaRouter Router { get; }

    internal GuestClock Clock { get; }

    internal DeviceEvents Events { get; }

    internal HostSignal Signal { get; }

    /// <summary>Adds RAM, the descriptor page and the devices' pages to physical memory.</summary>
    /// <param name="memory">Empty.</param>
    /// <param name="ram">Bytes of RAM, a multiple of 4096.</param>
    /// <param name="devices">At most 16.</param>
    /// <exception cref="ArgumentException">Too many devices, or all of it doesn't fit into 4 GiB.</exception>
    public static void Place(PhysicalMemory memory, uint ram, IReadOnlyList<IGuestDevice> devices)
    {
        if (devices.Count > MostDevices)
        {
            throw new ArgumentException($"{devices.Count} devices are too many: the bus has room for {MostDevices}.", nameof(devices));
        }

        // One mapping from 0 up to the first page that is shared with others, and so on.
        ulong start = 0;
        ulong end = (ulong)ram + PhysicalMemory.PageSize;
        foreach (IGuestDevice device in devices)
        {
            ulong length = (ulong)device.Identity.Pages << PageShift;
            if (device.SharedPages != 0)
            {
                AddRam(memory, start, end);
                memory.AddShared(checked((uint)end), device.SharedPages, (uint)length);
                start = end + length;
            }

            end += length;
        }

        AddRam(memory, start, end);
    }

    /// <summary>Tells each device its place and writes its descriptor.</summary>
    /// <param name="ram">Bytes of RAM: where the descriptor page is.</param>
    /// <param name="logger">Hears where devices are.</param>
    public void Attach(uint ram, ILogger logger)
    {
        uint page = ram + PhysicalMemory.PageSize;
        Span<byte> descriptor = stackalloc byte[DescriptorSize];
        for (int i = 0; i < _devices.Count; i++)
        {
            DeviceIdentity identity = _devices[i].Identity;
            uint place = ram + (uint)(i * DescriptorSize);
            var slot = new DeviceSlot(this, i, place, page);
            HostLog.DevicePlaced(logger, i, identity.Type, page, slot.Irq);
            descriptor.Clear();
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor, (ushort)identity.Type);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[FeaturesOffset..], identity.Features);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[PagesOffset..], (ushort)identity.Pages);
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[FrameOffset..], identity.Pages == 0 ? 0 : page >> PageShift);
            Memory.Write(place, descriptor, What);
            _devices[i].Attach(slot);
            page += (uint)identity.Pages << PageShift;
        }
    }

    /// <summary>Lets every device look for work.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    public void Service()
    {
        // An enumerator would be an allocation, and this is done all the time.
        for (int i = 0; i < _devices.Count; i++)
        {
            _devices[i].Service();
        }
    }

    /// <summary>Lets what is due at this moment happen.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    public void ServiceDue()
    {
        while (Events.TryTake(Clock.Now, out int device))
        {
            _devices[device].OnDue();
        }
    }

    private static void AddRam(PhysicalMemory memory, ulong start, ulong end)
    {
        if (end > start)
        {
            memory.AddRam((uint)start, checked((uint)(end - start)));
        }
    }
}
