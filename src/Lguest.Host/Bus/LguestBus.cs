using System.Buffers.Binary;
using Lguest.Cpu.Memory;
using Lguest.Host.Dma;
using Microsoft.Extensions.Logging;

namespace Lguest.Host.Bus;

/// <summary>
/// The lguest bus: a page of descriptors at the end of low RAM, then each device's own pages. It places devices, and describes
/// them to the guest.
/// </summary>
public sealed class LguestBus : DeviceBus
{
    /// <summary>Descriptors on the page.</summary>
    public const int MostDevices = 16;

    private const int DescriptorSize = 12;
    private const int FeaturesOffset = 2;
    private const int PagesOffset = 6;
    private const int FrameOffset = 8;
    private const int PageShift = 12;
    private const string What = "the descriptor page";

    private readonly IReadOnlyList<ILguestDevice> _devices;

    /// <summary>Makes a bus; <see cref="Attach"/> puts the devices into their places.</summary>
    /// <param name="devices">In the guest's order; see <see cref="Place"/> for how many.</param>
    /// <param name="memory">Guest memory, with all device pages.</param>
    /// <param name="router">DMA.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="events">What happens at moments of virtual time.</param>
    /// <param name="signal">Wakes the processor's thread.</param>
    public LguestBus(
        IReadOnlyList<ILguestDevice> devices,
        GuestMemory memory,
        DmaRouter router,
        GuestClock clock,
        DeviceEvents events,
        HostSignal signal)
        : base(devices, clock, events)
    {
        _devices = devices;
        Memory = memory;
        Router = router;
        Clock = clock;
        Events = events;
        Signal = signal;
    }

    internal GuestMemory Memory { get; }

    internal DmaRouter Router { get; }

    internal GuestClock Clock { get; }

    internal DeviceEvents Events { get; }

    internal HostSignal Signal { get; }

    /// <summary>Adds RAM, the descriptor page and the devices' pages to physical memory.</summary>
    /// <param name="memory">Empty.</param>
    /// <param name="layout">Where RAM is.</param>
    /// <param name="devices">At most 16.</param>
    /// <exception cref="ArgumentException">Too many devices, or their pages don't fit below 4 GiB.</exception>
    public static void Place(PhysicalMemory memory, MemoryLayout layout, IReadOnlyList<ILguestDevice> devices)
    {
        if (devices.Count > MostDevices)
        {
            throw new ArgumentException($"{devices.Count} devices are too many: the bus has room for {MostDevices}.", nameof(devices));
        }

        // One mapping from 0 up to the first page that is shared with others, and so on.
        ulong start = 0;
        ulong end = layout.Devices + PhysicalMemory.PageSize;
        foreach (ILguestDevice device in devices)
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
        foreach (MemoryRange range in layout.HighRam)
        {
            memory.AddRam(range.Start, range.Length);
        }
    }

    /// <summary>Tells each device its place and writes its descriptor.</summary>
    /// <param name="layout">Where RAM is.</param>
    /// <param name="logger">Hears where devices are.</param>
    public void Attach(MemoryLayout layout, ILogger logger)
    {
        uint ram = (uint)layout.Devices;
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

    private static void AddRam(PhysicalMemory memory, ulong start, ulong end)
    {
        if (end > start)
        {
            memory.AddRam((uint)start, checked((uint)(end - start)));
        }
    }
}
