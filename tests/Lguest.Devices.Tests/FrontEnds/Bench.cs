using System.Buffers.Binary;
using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Dma;
using Lguest.Host.Traps;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>One device on a bus, with the test in the place of the guest.</summary>
public sealed class Bench : IDisposable
{
    public const uint Ram = 0x4_0000;

    /// <summary>The device's page, and key.</summary>
    public const uint Page = Ram + 0x1000;

    private readonly PhysicalMemory _physical = new();
    private readonly Processor _processor;
    private readonly ILguestDevice _device;
    private readonly DeviceEvents _events = new();
    private readonly LguestBus _bus;

    public Bench(ILguestDevice device, ClockKind clock = ClockKind.Real)
    {
        _device = device;
        var layout = MemoryLayout.Of(Ram);
        LguestBus.Place(_physical, layout, [device]);
        _processor = new Processor(_physical);
        Memory = new GuestMemory(_physical);
        Clock = clock == ClockKind.Virtual ? new VirtualClock(_processor) : new RealClock();
        Data = new LguestData(Memory, LguestDataLayout.Linux2623);
        Interrupts = new InterruptController(Data, Clock);
        Router = new DmaRouter(Memory, Interrupts, NullLogger.Instance);
        _bus = new LguestBus([device], Memory, Router, Clock, _events, Signal);
        _bus.Attach(layout, NullLogger.Instance);
    }

    public GuestMemory Memory { get; }

    public LguestData Data { get; }

    public InterruptController Interrupts { get; }

    public DmaRouter Router { get; }

    public GuestClock Clock { get; }

    public HostSignal Signal { get; } = new();

    public uint Pending => Interrupts.Pending;

    public void Service() => _bus.Service();

    /// <summary>Lets virtual time pass, and what is due happen.</summary>
    public void Pass(ulong nanoseconds)
    {
        Clock.SkipTo(Clock.Now + nanoseconds);
        _bus.ServiceDue();
        _bus.Service();
    }

    /// <summary>Lets the device look around until an interrupt is pending.</summary>
    public void ServiceUntilInterrupt()
    {
        while (Pending == 0)
        {
            _bus.Service();
            if (Pending == 0)
            {
                Signal.Wait(1_000_000);
            }
        }
    }

    public void ClearInterrupts() => Interrupts.State = new InterruptState(0, false);

    public void WriteList(uint address, params (uint Address, ushort Length)[] pieces)
    {
        Span<byte> list = stackalloc byte[DmaList.Size];
        list.Clear();
        for (int i = 0; i < pieces.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(list[(4 + (i * 4))..], pieces[i].Address);
            BinaryPrimitives.WriteUInt16LittleEndian(list[(68 + (i * 2))..], pieces[i].Length);
        }

        Memory.Write(address, list, "a list");
    }

    public byte[] Read(uint address, int length)
    {
        var bytes = new byte[length];
        Memory.Read(address, bytes, "bytes");
        return bytes;
    }

    public uint Used(uint list) => Memory.ReadUInt32(list, "used_len");

    public void SetUsed(uint list, uint value) => Memory.WriteUInt32(list, value, "used_len");

    /// <summary>Writes the status that a driver gives in the device's descriptor.</summary>
    public void SetStatus(ushort value) => Memory.WriteUInt32(Ram + 4, value | (1u << 16), "the status, and one page");

    public void Dispose()
    {
        _device.Dispose();
        _processor.Dispose();
        _physical.Dispose();
    }
}
