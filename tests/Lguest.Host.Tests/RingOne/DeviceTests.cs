using Iced.Intel;
using Lguest.Devices;
using Lguest.Devices.Lgbus;
using Lguest.Devices.Tests.FrontEnds;
using Microsoft.Extensions.Logging.Abstractions;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>Console and disk, from a kernel that drives them.</summary>
public sealed class DeviceTests
{
    private const uint Buffer = 0x2_0000;
    private const uint Reply = DmaArea + 0x100;
    private const uint BlockPage = FirstDevicePage;
    private const uint BlockVector = 33;

    [Fact]
    public void A_kernel_prints_before_it_has_looked_for_devices()
    {
        var port = new FakePort();
        using var guest = new RingOneGuest(ClockKind.Virtual, new ConsoleDevice(port));
        guest.WriteText(Strings + 64, "hello");
        guest.WriteDma(DmaArea, (Strings + 64, 5));
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.SendDma, 0, DmaArea);
            a.Hypercall(KernelAssembly.SendDma, 0, DmaArea);
            a.Note(eax);
            a.PowerOff();
        });

        guest.RunUntilPowerOff();

        Assert.Equal(["hello", "hello"], port.Writes);
        Assert.Equal(5u, guest.Read(DmaArea));
        Assert.Equal(KernelAssembly.SendDma, guest.Read(Scratch));
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void A_kernel_sleeps_until_somebody_types_and_echoes_it(ClockKind clock)
    {
        var port = new FakePort();
        using var guest = new RingOneGuest(clock, new ConsoleDevice(port));
        Echo(guest);
        guest.WriteDma(DmaArea, (Buffer, 256));
        using var timer = new Timer(_ => port.Type("date\n"), null, 20, Timeout.Infinite);

        guest.RunUntilPowerOff();

        Assert.Equal(["date\n"], port.Writes);
    }

    [Fact]
    public void In_virtual_time_piped_input_comes_when_the_kernel_has_bound_a_buffer()
    {
        ulong Run()
        {
            var port = new FakePort { Interactive = false };
            port.Type("date\n");
            using var guest = new RingOneGuest(ClockKind.Virtual, new ConsoleDevice(port));
            Echo(guest);
            guest.RunUntilPowerOff();
            Assert.Equal(["date\n"], port.Writes);
            return guest.Guest.Processor.Retired;
        }

        Assert.Equal(Run(), Run());
    }

    [Fact]
    public void A_key_that_must_be_a_multiple_of_4_and_is_not_kills()
    {
        using var guest = new RingOneGuest();
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.SendDma, 2, DmaArea);
        });

        Assert.StartsWith("hypercall SEND_DMA: the key 0x00000002 isn't a multiple of 4 (EIP", guest.RunUntilKilled());
    }

    [Fact]
    public void Binding_answers_1_or_0()
    {
        using var guest = new RingOneGuest();
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.BindDma, 0, DmaArea, 0x101);
            a.Note(eax, 0);
            a.Hypercall(KernelAssembly.BindDma, 0, DmaArea, 0x120);
            a.Note(eax, 1);
            a.Hypercall(KernelAssembly.BindDma, 0, DmaArea, 0);
            a.Note(eax, 2);
            a.Hypercall(KernelAssembly.BindDma, 0, DmaArea, 0);
            a.Note(eax, 3);
            a.PowerOff();
        });

        guest.RunUntilPowerOff();

        Assert.Equal([1u, 0, 1, 0], Enumerable.Range(0, 4).Select(slot => guest.Read(Scratch + ((uint)slot * 4))));
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void A_kernel_writes_a_block_and_reads_it_back(ClockKind clock)
    {
        var disk = new MemoryDisk(8192);
        using var guest = new RingOneGuest(
            clock, new BlockDevice(disk, NullLogger.Instance), new ConsoleDevice(new FakePort()));
        guest.WriteText(Strings + 64, "Written by the guest.");
        guest.WriteDma(DmaArea, (Strings + 64, 512));
        guest.WriteDma(DmaArea + 0x80, []);
        guest.WriteDma(Reply, (Buffer, 512));
        uint handler = guest.Handler(0, a =>
        {
            a.push(eax);
            a.mov(eax, __dword_ptr[Linear(BlockPage) + 12]);
            a.Note(eax);
            a.pop(eax);
            a.EnableInterrupts();
            a.iretd();
        });
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(BlockVector, handler);
            a.Hypercall(KernelAssembly.BindDma, BlockPage, Reply, 0x101);
            Request(a, type: 1, sector: 5, bytes: 512, DmaArea);
            Request(a, type: 0, sector: 5, bytes: 512, DmaArea + 0x80);
            a.PowerOff();
        });

        guest.RunUntilPowerOff();

        Assert.Equal("Written by the guest.", guest.ReadText(Buffer, 21));
        Assert.Equal("Written by the guest."u8, disk.Contents.AsSpan(5 * 512, 21));
        Assert.Equal(1u, guest.Read(Scratch));
        Assert.Equal(512u, guest.Read(Reply));
        Assert.Equal(2ul, guest.Guest.Interrupts.Delivered[1]);
    }

    [Fact]
    public void In_virtual_time_a_disk_takes_as_many_instructions_whatever_the_host_does()
    {
        static uint Run(bool isSlow)
        {
            var disk = new MemoryDisk(8192);
            using var guest = new RingOneGuest(ClockKind.Virtual, new BlockDevice(disk, NullLogger.Instance));
            guest.WriteDma(Reply, (Buffer, 512));
            uint handler = guest.Handler(0, a =>
            {
                a.Note(esi);
                a.PowerOff();
            });
            guest.Kernel(a =>
            {
                Label again = a.CreateLabel();
                a.InitHypercall();
                a.SetGate(BlockVector, handler);
                a.EnableInterrupts();
                a.Hypercall(KernelAssembly.BindDma, BlockPage, Reply, 0x101);
                a.mov(__dword_ptr[Linear(BlockPage) + 8], 512);
                a.Hypercall(KernelAssembly.SendDma, BlockPage, DmaArea);
                a.Label(ref again);
                a.inc(esi);
                a.jmp(again);
            });
            Timer? timer = null;
            if (isSlow)
            {
                disk.Hold();
                timer = new Timer(_ => disk.Release(), null, 50, Timeout.Infinite);
            }

            guest.RunUntilPowerOff();
            timer?.Dispose();
            return guest.Read(Scratch);
        }

        Assert.Equal((uint)(IDiskDevice.VirtualDelay / VirtualClock.NanosecondsPerInstruction / 2), Run(isSlow: false));
        Assert.Equal(Run(isSlow: false), Run(isSlow: true));
    }

    [Fact]
    public void The_number_of_sectors_is_on_the_disks_page()
    {
        using var guest = new RingOneGuest(ClockKind.Virtual, new BlockDevice(new MemoryDisk(8192 + 100), NullLogger.Instance));

        Assert.Equal(16u, guest.Read(BlockPage + 16));
        Assert.Equal(3u, guest.Read(DescriptorPage) & 0xffff);
    }

    [Fact]
    public void A_guest_saved_in_the_middle_goes_on_as_if_nothing_had_happened()
    {
        static RingOneGuest Make(MemoryDisk disk)
        {
            var guest = new RingOneGuest(ClockKind.Virtual, new BlockDevice(disk, NullLogger.Instance));
            guest.WriteDma(Reply, (Buffer, 512));
            uint handler = guest.Handler(0, a => a.NoteFrameAndPowerOff());
            guest.Kernel(a =>
            {
                Label again = a.CreateLabel();
                a.InitHypercall();
                a.SetGate(BlockVector, handler);
                a.EnableInterrupts();
                a.Hypercall(KernelAssembly.BindDma, BlockPage, Reply, 0x101);
                a.mov(__dword_ptr[Linear(BlockPage) + 8], 512);
                a.Hypercall(KernelAssembly.SendDma, BlockPage, DmaArea);
                a.Label(ref again);
                a.inc(esi);
                a.jmp(again);
            });
            return guest;
        }

        using RingOneGuest guest = Make(new MemoryDisk(8192));
        guest.Run(1234);
        GuestState state = guest.Guest.State;

        Assert.Equal(guest.Guest.Clock.Now, state.Clock.Now);
        Assert.Single(state.Events);
        Assert.Single(state.Bindings);
        Assert.NotNull(state.Data);
        using RingOneGuest other = Make(new MemoryDisk(8192));
        other.Guest.State = state;
        GuestState copy = other.Guest.State;
        Assert.Equal(state with { Segments = [], Gates = copy.Gates, Bindings = [], Events = [] },
            copy with { Segments = [], Bindings = [], Events = [] });
        Assert.Equal(state.Segments, copy.Segments);
        Assert.Equal(state.Gates.Gates, copy.Gates.Gates);
        Assert.Equal(state.Bindings, copy.Bindings);
        Assert.Equal(state.Events, copy.Events);
    }

    /// <summary>A kernel that binds a buffer on the console's key, sleeps until it is filled, sends it back and ends.</summary>
    private static void Echo(RingOneGuest guest)
    {
        guest.WriteDma(DmaArea, (Buffer, 256));
        guest.WriteDma(Reply, (Buffer, 5));
        uint handler = guest.Handler(0, a =>
        {
            a.Hypercall(KernelAssembly.SendDma, 0, Reply);
            a.PowerOff();
        });
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(33, handler);
            a.Hypercall(KernelAssembly.BindDma, 0, DmaArea, 0x101);
            a.Hypercall(KernelAssembly.Halt);
        });
    }

    /// <summary>
    /// Makes one request, with interrupts off so that the answer can't come before the sleep, and sleeps until it is there.
    /// </summary>
    private static void Request(Assembler a, uint type, uint sector, uint bytes, uint dma)
    {
        a.mov(__dword_ptr[Linear(BlockPage)], type);
        a.mov(__dword_ptr[Linear(BlockPage) + 4], sector);
        a.mov(__dword_ptr[Linear(BlockPage) + 8], bytes);
        a.mov(__dword_ptr[Linear(BlockPage) + 12], 0);
        a.mov(__dword_ptr[Linear(Reply)], 0);
        a.DisableInterrupts();
        a.Hypercall(KernelAssembly.SendDma, BlockPage, dma);
        a.Hypercall(KernelAssembly.Halt);
    }
}
