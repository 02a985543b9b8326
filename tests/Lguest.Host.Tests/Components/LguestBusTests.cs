using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Host.Tests.Components;

public sealed class LguestBusTests
{
    private const uint Ram = 0x10_0000;

    [Fact]
    public void Descriptors_are_at_the_end_of_ram_and_device_pages_after_them_in_order()
    {
        var disk = new Device(DeviceType.Block, 0x8001, 1);
        var net = new Device(DeviceType.Network, 0x4003, 2);
        var console = new Device(DeviceType.Console, 0, 0);
        using Guest guest = Make(disk, net, console);

        Assert.Equal("030001800000010001010000"u8, Hex(guest, 0));
        Assert.Equal("020003400000020002010000"u8, Hex(guest, 1));
        Assert.Equal("010000000000000000000000"u8, Hex(guest, 2));
        Assert.Equal("000000000000000000000000"u8, Hex(guest, 3));
        Assert.Equal((Ram + 0x1000, 1), (disk.Slot!.PageAddress, disk.Slot.Irq));
        Assert.Equal((Ram + 0x2000, 2), (net.Slot!.PageAddress, net.Slot.Irq));
        Assert.Equal(3, console.Slot!.Irq);
        Assert.Equal(Ram + 0x4000ul, guest.PhysicalMemory.Top);
    }

    [Fact]
    public void A_device_may_bring_its_own_pages()
    {
        unsafe
        {
            void* page = System.Runtime.InteropServices.NativeMemory.AlignedAlloc(4096, 4096);
            new Span<byte>(page, 4096).Clear();
            var net = new Device(DeviceType.Network, 0, 1) { SharedPages = (nint)page };
            var disk = new Device(DeviceType.Block, 0, 1);
            using (Guest guest = Make(net, disk))
            {
                net.Slot!.WritePage(8, 0x1234_5678);
                disk.Slot!.WritePage(8, 1);

                Assert.Equal(0x1234_5678u, ((uint*)page)[2]);
                Assert.Equal(1u, disk.Slot.ReadPage(8));
            }

            System.Runtime.InteropServices.NativeMemory.AlignedFree(page);
        }
    }

    [Fact]
    public void Sixteen_devices_fit()
    {
        Device[] devices = [.. Enumerable.Range(0, 16).Select(_ => new Device(DeviceType.Block, 0, 1))];
        using Guest guest = Make(devices);

        Assert.Equal(16, devices[15].Slot!.Irq);
        ArgumentException error = Assert.Throws<ArgumentException>(
            () => Make([.. devices, new Device(DeviceType.Console, 0, 0)]).Dispose());
        Assert.StartsWith("17 devices are too many: the bus has room for 16.", error.Message, StringComparison.Ordinal);
    }

    private static Guest Make(params Device[] devices) =>
        new(new GuestConfiguration { MemoryBytes = Ram, Devices = devices });

    private static byte[] Hex(Guest guest, uint index) => System.Text.Encoding.ASCII.GetBytes(
        Convert.ToHexStringLower(guest.PhysicalMemory.Span(Ram + (index * 12), 12)));

    private sealed class Device(DeviceType type, ushort features, int pages) : ILguestDevice
    {
        public string Kind => $"{type}";

        public DeviceIdentity Identity => new(type, features, pages);

        public nint SharedPages { get; init; }

        public DeviceSlot? Slot { get; private set; }

        public void Attach(DeviceSlot slot) => Slot = slot;

        public uint Send(uint key, DmaList message) => 0;

        public void Service()
        {
        }

        public void OnDue()
        {
        }

        public void Dispose()
        {
        }
    }
}
