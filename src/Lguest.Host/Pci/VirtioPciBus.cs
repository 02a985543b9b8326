using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Host.Bus;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;
using Microsoft.Extensions.Logging;

namespace Lguest.Host.Pci;

/// <summary>Virtio devices on a PCI bus: a console first, where kernels look for it before they know of any device, then the others in their order.</summary>
public sealed class VirtioPciBus : DeviceBus
{
    /// <summary>Lines that a guest without an IO-APIC has for devices. What is over is shared.</summary>
    private const int DeviceLines = 15;

    private readonly VirtioPciFunction[] _functions;
    private readonly PciHostBridge _bridge;

    /// <summary>Makes a bus with all devices in their places.</summary>
    /// <param name="devices">In the guest's order, at most <see cref="PciHostBridge.MostDevices"/>.</param>
    /// <param name="guestId">The guest's number among others.</param>
    /// <param name="physical">Empty physical memory: RAM and the devices' registers are added.</param>
    /// <param name="layout">Where RAM is.</param>
    /// <param name="memory">The same memory, as the host uses it.</param>
    /// <param name="interrupts">The guest's interrupts.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="events">What happens at moments of virtual time.</param>
    /// <param name="signal">Wakes the processor's thread.</param>
    /// <param name="stop">Makes the processor stop soon.</param>
    /// <param name="logger">Hears where devices are.</param>
    /// <exception cref="ArgumentException">There are too many devices.</exception>
    public VirtioPciBus(
        IReadOnlyList<IVirtioDevice> devices,
        ushort guestId,
        PhysicalMemory physical,
        MemoryLayout layout,
        GuestMemory memory,
        InterruptController interrupts,
        GuestClock clock,
        DeviceEvents events,
        HostSignal signal,
        Action stop,
        ILogger logger)
        : base(devices, clock, events)
    {
        if (devices.Count > PciHostBridge.MostDevices)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{devices.Count} devices are too many: the bus has room for {PciHostBridge.MostDevices}."),
                nameof(devices));
        }

        foreach (MemoryRange range in (IEnumerable<MemoryRange>)[layout.LowRam, .. layout.HighRam])
        {
            physical.AddRam(range.Start, range.Length);
        }

        _functions = new VirtioPciFunction[devices.Count];
        int[] places = [.. Enumerable.Range(0, devices.Count).OrderBy(i => devices[i].Identity.Type == VirtioType.Console ? 0 : 1)];
        for (int place = 0; place < places.Length; place++)
        {
            int i = places[place];
            uint region = (uint)layout.Devices + ((uint)place * VirtioPciFunction.RegionSize);
            int irq = 1 + (place % DeviceLines);
            var function = new VirtioPciFunction(devices[i], region, irq, memory, () => interrupts.Raise(irq), stop);
            _functions[place] = function;
            physical.AddDevice(region, VirtioPciFunction.RegionSize, function);
            devices[i].Attach(
                new VirtioSlot(i, guestId, memory, function.Queues, clock, events, signal, () => function.AgreedFeatures, () => function.IsServing));
            HostLog.VirtioDevicePlaced(logger, i, devices[i].Identity.Type, region, irq);
        }

        _bridge = new PciHostBridge(_functions);
    }

    /// <inheritdoc />
    public override IPortHandler Ports => _bridge;

    /// <inheritdoc />
    public override IReadOnlyList<SplitRingState> State
    {
        get => [.. _functions.SelectMany(function => function.Queues).Select(queue => queue.Ring.State)];
        set
        {
            int i = 0;
            foreach (Virtqueue queue in _functions.SelectMany(function => function.Queues))
            {
                queue.Ring.State = value[i++];
            }
        }
    }

    /// <inheritdoc />
    public override string Transport
    {
        get => JsonSerializer.Serialize(
            new PciBusState(_bridge.Address, [.. _functions.Select(function => function.State)]), PciJson.Default.PciBusState);
        set
        {
            PciBusState state = JsonSerializer.Deserialize(value, PciJson.Default.PciBusState)!;
            _bridge.Address = state.Address;
            for (int i = 0; i < _functions.Length; i++)
            {
                _functions[i].State = state.Functions[i];
            }
        }
    }

    /// <inheritdoc />
    protected override void ServiceTransport()
    {
        foreach (VirtioPciFunction function in _functions)
        {
            function.Service();
        }
    }
}

/// <summary>What a saved state has of a PCI bus.</summary>
internal sealed record PciBusState(uint Address, VirtioPciState[] Functions);

/// <summary>Serialises without reflection.</summary>
[JsonSerializable(typeof(PciBusState))]
internal sealed partial class PciJson : JsonSerializerContext;
