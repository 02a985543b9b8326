using System.Globalization;
using System.Text;
using Iced.Intel;
using Lguest.Devices.Tests.FrontEnds;
using Lguest.Devices.Tests.Networks.Segments;
using Lguest.Devices.Virtio;
using Lguest.Host.Abi;
using Lguest.Host.Virtio;
using Microsoft.Extensions.Logging.Abstractions;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Virtio.VirtioGuest;

namespace Lguest.Host.Tests.Virtio;

/// <summary>Kernels of the dialects from 2.6.24 to 3.19, as far as their host can tell.</summary>
public sealed class VirtioGuestTests
{
    private const uint LaterInMemory = Buffers + 0x1000;

    // Of a disk, a network card with three, a source of random bytes, and a console.
    private const int MostHostileQueues = 7;

    [Fact]
    public void The_first_call_tells_the_kernel_its_page_directory_and_the_clocks_rate()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal((PageDirectory, 4u << 20, 1_000_000u), (guest.Read(DirectoryField), guest.Read(ReservedMemory), guest.Read(TscKilohertz)));
    }

    [Fact]
    public void A_structure_with_another_system_call_vector_ends_the_guest()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.Write(SystemCallVector, 0x81);
        guest.Kernel(a => Hypercall(a, 1, Data));

        Assert.Contains("system call vector 0x81, not 0x80", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_structure_that_cannot_be_there_ends_the_guest_with_a_hint_at_the_dialect()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.Kernel(a => Hypercall(a, 1, 0xf000_0000));

        Assert.Contains(
            "lguest_data at 0xf0000000, 1136 bytes, is outside guest memory: the kernel may speak another dialect, which --abi can name",
            Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence,
            StringComparison.Ordinal);
    }

    [Fact]
    public void From_2_6_29_on_the_host_maps_memory_at_the_kernels_address_too()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2629);
        guest.Write(Scratch, 0x1234_5678);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            a.mov(ecx, __dword_ptr[KernelAddress + Scratch]);
            a.mov(__dword_ptr[Scratch + 4], ecx);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(0x1234_5678u, guest.Read(Scratch + 4));
    }

    [Fact]
    public void Before_that_it_is_for_the_kernel_to_do()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            a.mov(ecx, __dword_ptr[KernelAddress + Scratch]);
        });

        Assert.Contains("trap 14", Assert.IsType<GuestOutcome.Died>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_call_in_the_ring_has_its_arguments_in_the_order_of_that_kernel()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.WriteText(Strings + 64, "Oops");
        guest.Write(RingCalls, Shutdown);
        guest.Write(RingCalls + 4, Restart);
        guest.Write(RingCalls + 12, Strings + 64);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            a.mov(__byte_ptr[RingStatus], 0);
            Hypercall(a, 0);
        });

        Assert.IsType<GuestOutcome.Restart>(guest.Run());
    }

    [Theory]
    [InlineData(Strings)]
    [InlineData(0x4000_0000u)]
    public void A_restart_is_one_whatever_its_text_is(uint text)
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Shutdown, text, Restart);
        });

        Assert.IsType<GuestOutcome.Restart>(guest.Run());
    }

    [Fact]
    public void A_text_other_than_that_of_a_power_off_is_a_panic()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2625);
        guest.WriteText(Strings + 64, "Attempted to kill init!");
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Shutdown, Strings + 64, PowerOff);
        });

        Assert.Equal(new GuestOutcome.Panic("Attempted to kill init!"), guest.Run());
    }

    [Theory]
    [InlineData(3u, 12u)]
    [InlineData(2u, 13u)]
    [InlineData(2u, 18u)]
    public void Calls_of_other_dialects_are_none(uint first, uint call)
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, call, first);
        });

        Assert.Contains($"there is no hypercall {call}", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Descriptors + 1)]
    [InlineData(Rings + 4)]
    [InlineData(0xffff_f000u)]
    public void To_notify_nothing_ends_the_guest(uint address)
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioConsole(new FakePort()));
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, address);
        });

        Assert.Contains($"nothing is at 0x{address:x8}", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_after_ram_describes_the_devices()
    {
        var disk = new MemoryDisk(1024);
        using var guest = new VirtioGuest(
            KnownAbis.Linux2626, ClockKind.Virtual, new VirtioDisk(disk, NullLogger.Instance), new VirtioConsole(new FakePort()));

        byte[] expected =
        [
            // A disk: one virtqueue of 256 with IRQ 1 at page 0x101, features 2, 4, 6 and 9, none acknowledged, two sectors, 254 segments, a cylinder with 16
            // heads and 63 sectors, blocks of 512 bytes.
            2, 1, 4, 24, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0x54, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254, 0, 0, 0,
            1, 0, 16, 63, 0, 2, 0, 0,

            // A console: two of them, at pages 0x104 and 0x107, with IRQs 2 and 3.
            3, 2, 4, 0, 0, 0, 1, 2, 0, 4, 1, 0, 0, 0, 1, 3, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,

            // The end.
            0,
        ];
        Assert.Equal(expected, guest.Bytes(Descriptors, expected.Length));
    }

    [Fact]
    public void In_2_6_24_a_descriptor_has_a_field_for_each_thing()
    {
        using var guest = new VirtioGuest(
            KnownAbis.Linux2624,
            ClockKind.Virtual,
            new VirtioDisk(new MemoryDisk(1024), NullLogger.Instance, VirtioHeaders.Linux2624.Block),
            new VirtioNetwork(new FakeCable(), null, VirtioHeaders.Linux2624.Network),
            new VirtioConsole(new FakePort()));

        byte[] expected =
        [
            // A disk: 26 bytes of fields; a virtqueue of 256 with IRQ 1 at page 0x101, two sectors, 254 segments.
            2, 26, 0, 2, 8, 0, 1, 1, 0, 1, 1, 0, 0, 0x41, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0x43, 4, 254, 0, 0, 0,

            // A network card: two virtqueues and its address.
            1, 28, 0, 2, 8, 0, 1, 2, 0, 4, 1, 0, 0, 2, 8, 0, 1, 3, 0, 7, 1, 0, 0, 0x41, 6, 2, 0, 0x34, 0x12, 0, 1,

            // A console: two virtqueues.
            3, 20, 0, 2, 8, 0, 1, 4, 0, 0xa, 1, 0, 0, 2, 8, 0, 1, 5, 0, 0xd, 1, 0, 0,

            // The end.
            0,
        ];
        Assert.Equal(expected, guest.Bytes(Descriptors, expected.Length));
    }

    [Fact]
    public void Nothing_is_told_of_such_a_descriptor()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2624, ClockKind.Virtual, new VirtioConsole(new FakePort()));
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Descriptors);
        });

        Assert.Contains("nothing is at 0x00100000", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_of_2_6_24_ends_by_its_text_alone_and_restarts_by_the_keyboard_controller()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2624);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, 2, Strings, Restart);
        });

        guest.RunUntilPowerOff();

        using var other = new VirtioGuest(KnownAbis.Linux2624);
        other.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            a.mov(al, 0xfe);
            a.@out(0x64, al);
        });

        Assert.IsType<GuestOutcome.Restart>(other.Run());
    }

    [Fact]
    public void The_headers_of_2_6_24_have_other_lengths()
    {
        var disk = new MemoryDisk(8192);
        var cable = new FakeCable();
        byte[] written = new byte[512];
        new Random(5).NextBytes(written);
        byte[] sent = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];
        byte[] received = [.. Enumerable.Range(0, 60).Select(i => (byte)(i * 3))];
        using var guest = new VirtioGuest(
            KnownAbis.Linux2624,
            ClockKind.Virtual,
            new VirtioDisk(disk, NullLogger.Instance, KnownAbis.Linux2624.Headers.Block),
            new VirtioNetwork(cable, null, KnownAbis.Linux2624.Headers.Network));
        WriteHeader(guest, Buffers, type: 1, sector: 4);
        guest.Write(Buffers + 24, written);
        guest.Write(LaterInMemory + 8, sent);
        cable.Arrive(received);

        // A request whose header has no end is none.
        ushort whole = guest.MakeAvailable(0, (Buffers, 24, false), (Buffers + 24, 512, false), (Buffers + 0x2000, 1, true));
        ushort cut = guest.MakeAvailable(0, (Buffers, 23, false), (Buffers + 0x2001, 1, true));
        guest.MakeAvailable(1, (Buffers + 0x3000, 8, true), (Buffers + 0x3008, 1514, true));
        guest.MakeAvailable(2, (LaterInMemory, 8, false), (LaterInMemory + 8, 100, false));
        guest.KernelThatSleepsAfter(
            a =>
            {
                Hypercall(a, Notify, Queue(2));
                Hypercall(a, Notify, Queue(0));
            },
            used: 2);

        guest.RunUntilPowerOff();

        Assert.Equal([(whole, 1u), (cut, 1u)], guest.Used(0));
        Assert.Equal([0, 1], guest.Bytes(Buffers + 0x2000, 2));
        Assert.Equal(written, disk.Contents[2048..2560]);
        Assert.Equal(sent, Assert.Single(cable.Sent));
        Assert.Equal([(0u, 68u)], guest.Used(1));
        Assert.Equal([.. new byte[8], .. received], guest.Bytes(Buffers + 0x3000, 68));
    }

    [Fact]
    public void A_kernel_prints_before_it_has_looked_for_devices()
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioConsole(port));
        guest.WriteText(Strings + 64, "hello");
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Strings + 64);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(["hello"], port.Writes);
    }

    [Fact]
    public void What_a_console_is_given_has_been_used_when_the_kernel_goes_on()
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioConsole(port));
        guest.WriteText(Buffers, "hello, world");
        ushort head = guest.MakeAvailable(1, (Buffers, 5, false), (Buffers + 5, 7, false));
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Queue(1));
            a.movzx(ecx, __word_ptr[Queue(1) + 0x2002]);
            a.mov(__dword_ptr[Scratch], ecx);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal("hello, world", string.Concat(port.Writes));
        Assert.Equal(1u, guest.Read(Scratch));
        Assert.Equal([(head, 0u)], guest.Used(1));
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void A_kernel_sleeps_until_somebody_types(ClockKind clock)
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.Linux2626, clock, new VirtioConsole(port));
        guest.MakeAvailable(0, (Buffers, 4096, true));
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)));
        using var timer = new Timer(_ => port.Type("date\n"), null, 20, Timeout.Infinite);

        guest.RunUntilPowerOff();

        Assert.Equal("date\n", Encoding.ASCII.GetString(guest.Bytes(Buffers, 5)));
        Assert.Equal([(0u, 5u)], guest.Used(0));
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void A_disk_is_read_and_written_however_the_guest_cuts_its_requests(ClockKind clock)
    {
        var disk = new MemoryDisk(8192);
        new Random(1).NextBytes(disk.Contents);
        byte[] sectors = disk.Contents[512..1536];
        using var guest = new VirtioGuest(KnownAbis.Linux2626, clock, new VirtioDisk(disk, NullLogger.Instance));
        byte[] written = new byte[1024];
        new Random(2).NextBytes(written);
        guest.Write(LaterInMemory, written);
        WriteHeader(guest, Buffers, type: 1, sector: 4);
        WriteHeader(guest, Buffers + 16, type: 0, sector: 1);
        guest.Write(Buffers + 32, [0xee, 0xee]);
        ushort write = guest.MakeAvailable(0, (Buffers, 16, false), (LaterInMemory, 700, false), (LaterInMemory + 700, 324, false), (Buffers + 32, 1, true));
        ushort read = guest.MakeAvailable(
            0, (Buffers + 16, 3, false), (Buffers + 19, 13, false), (Buffers + 0x2000, 1000, true), (Buffers + 0x2000 + 1000, 25, true));
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)), used: 2);

        guest.RunUntilPowerOff();

        Assert.Equal([(write, 1u), (read, 1025u)], guest.Used(0));
        Assert.Equal(written, disk.Contents[2048..3072]);
        Assert.Equal(sectors, guest.Bytes(Buffers + 0x2000, 1024));
        Assert.Equal([0, 0xee], guest.Bytes(Buffers + 32, 2));
        Assert.Equal(0, guest.Bytes(Buffers + 0x2000 + 1024, 1)[0]);
    }

    [Theory]
    [InlineData(0u, 16u, 1u)]
    [InlineData(0u, 15u, 1u)]
    [InlineData(1u, 3u, 1u)]
    [InlineData(2u, 0u, 2u)]
    [InlineData(99u, 0u, 2u)]
    public void What_a_disk_cannot_do_is_an_error_in_the_guest(uint type, uint sector, uint status)
    {
        using var guest = new VirtioGuest(
            KnownAbis.Linux2626, ClockKind.Virtual, new VirtioDisk(new MemoryDisk(8192) { IsReadOnly = true }, NullLogger.Instance));
        WriteHeader(guest, Buffers, type, sector);
        guest.Write(Buffers + 0x2000, [0xee]);
        guest.MakeAvailable(
            0,
            type == 1
                ? [(Buffers, 16, false), (LaterInMemory, 512, false), (Buffers + 0x2000, 1, true)]
                : [(Buffers, 16, false), (LaterInMemory, 1024, true), (Buffers + 0x2000, 1, true)]);
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)));

        guest.RunUntilPowerOff();

        Assert.Equal([(0u, 1u)], guest.Used(0));
        Assert.Equal(status, guest.Bytes(Buffers + 0x2000, 1)[0]);
    }

    [Fact]
    public void Text_longer_than_any_driver_prints_at_once_ends_the_guest()
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioConsole(port));
        guest.MakeAvailable(1, (Text, 0x8000, false), (Text, 0x8001, false));
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Queue(1));
        });

        Assert.Contains("print 65537 bytes at once", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
        Assert.Empty(port.Writes);
    }

    [Fact]
    public void A_disks_name_is_empty_and_no_error()
    {
        var disk = new VirtioDisk(new MemoryDisk(8192), NullLogger.Instance);
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, disk);
        WriteHeader(guest, Buffers, type: 8, sector: 0);
        guest.Write(Buffers + 0x2000, Enumerable.Repeat((byte)0xee, 21).ToArray());
        guest.MakeAvailable(0, (Buffers, 16, false), (Buffers + 0x2000, 20, true), (Buffers + 0x2000 + 20, 1, true));
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)));

        guest.RunUntilPowerOff();

        Assert.All(guest.Bytes(Buffers + 0x2000, 21), each => Assert.Equal(0, each));
        Assert.Equal((1ul, 0ul, 0ul), (disk.Statistics.Requests, disk.Statistics.Errors, disk.Statistics.Flushes));
    }

    [Fact]
    public void An_interrupt_that_a_kernel_blocks_is_none_that_waits()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2631, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.MakeAvailable(0, (Buffers, 64, true));
        guest.Kernel(a =>
        {
            Vmcall(a, 1, Data);
            Vmcall(a, 6, 33, (0x61u << 16) | Handler, 0x8e00);
            a.mov(__dword_ptr[BlockedInterrupts], uint.MaxValue);
            Vmcall(a, Notify, Queue(0));
            Vmcall(a, 19);
            a.mov(eax, __dword_ptr[InterruptPending]);
            a.mov(__dword_ptr[Scratch], eax);
            Vmcall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(64u, guest.Used(0)[0].Length);
        Assert.Equal(0u, guest.Read(Scratch));
    }

    [Fact]
    public void Behind_an_int_of_an_exceptions_number_no_instruction_is_passed()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2625);
        guest.Assemble(Handler, a => Hypercall(a, Shutdown, Strings, PowerOff));
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, 6, 13, (0x61u << 16) | Handler, 0xef00);
            a.@int(13);
            a.cli();
            a.ud2();
        });

        guest.RunUntilPowerOff();
    }

    [Fact]
    public void Where_memory_reaches_the_kernels_address_its_repetition_is_of_what_was_there()
    {
        const uint Where = 4u << 20;
        using var guest = new VirtioGuest(KnownAbis.Linux2629);
        guest.Write(PageDirectory + 4, 0x111_0067);
        guest.Write(Data + 1128, Where);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(guest.Read(PageDirectory), guest.Read(PageDirectory + 4));
        Assert.Equal(0x111_0067u, guest.Read(PageDirectory + 8));
    }

    [Fact]
    public void A_driver_that_wants_no_interrupt_gets_none()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.MakeAvailable(0, (Buffers, 64, true));
        guest.Suppress(0);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Queue(0));
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal([(0u, 64u)], guest.Used(0));
        Assert.Equal(0u, guest.Guest.Interrupts.Pending);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Random_bytes_are_the_seeds(byte seed)
    {
        byte[] Run()
        {
            using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioEntropy(new byte[] { seed }));
            guest.MakeAvailable(0, (Buffers, 64, true));
            guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)));
            guest.RunUntilPowerOff();
            return guest.Bytes(Buffers, 64);
        }

        byte[] first = Run();

        Assert.Equal(first, Run());

        // ChaCha20 of a key of zeros: RFC 8439, A.1, test vector 1.
        Assert.Equal(seed == 0, Convert.ToHexString(first).StartsWith("76B8E0ADA0F13D90405D6AE55386BD28", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("2.6.25", 4, true)]
    [InlineData("2.6.26", 4, false)]
    [InlineData("2.6.26", 0, true)]
    public void A_reset_empties_the_rings(string abi, byte status, bool isReset)
    {
        using var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == abi), ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.MakeAvailable(0, (Buffers, 64, true));
        guest.Write(Descriptors + 4, [status]);
        guest.Write(Descriptors + 5 + 8 + 4, 0xffff_ffff);
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Queue(0));
            Hypercall(a, Notify, Descriptors);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(isReset ? [] : [(0u, 64u)], guest.Used(0));
        Assert.Equal(isReset ? 0 : status, guest.Bytes(Descriptors + 4, 1)[0]);
        Assert.Equal(isReset ? 0u : 0xffff_ffffu, guest.Read(Descriptors + 5 + 8 + 4));
    }

    [Fact]
    public void A_reset_drops_what_a_disk_has_in_hand_and_the_next_driver_gets_its_own()
    {
        using var guest = new VirtioGuest(
            KnownAbis.Linux2626, ClockKind.Virtual, new VirtioDisk(new MemoryDisk(8192), NullLogger.Instance));
        WriteHeader(guest, Buffers, type: 0, sector: 0);
        guest.MakeAvailable(0, (Buffers, 16, false), (LaterInMemory, 512, true), (Buffers + 0x2000, 1, true));
        guest.KernelThatSleepsAfter(a =>
        {
            Hypercall(a, Notify, Queue(0));
            Hypercall(a, Notify, Descriptors);

            // The next driver makes the same chain available.
            a.mov(__dword_ptr[Queue(0)], Buffers);
            a.mov(__dword_ptr[Queue(0) + 8], 16);
            a.mov(__dword_ptr[Queue(0) + 12], 0x0001_0001);
            a.mov(__dword_ptr[Queue(0) + 16], Buffers + 0x2000);
            a.mov(__dword_ptr[Queue(0) + 24], 1);
            a.mov(__dword_ptr[Queue(0) + 28], 2);
            a.mov(__dword_ptr[Queue(0) + 0x1000], 0x0001_0000);
            Hypercall(a, Notify, Queue(0));
        });

        guest.RunUntilPowerOff();

        Assert.Equal([(0u, 1u)], guest.Used(0));
    }

    [Fact]
    public void A_saved_guest_goes_on_with_its_requests()
    {
        string path = Path.GetTempFileName();
        try
        {
            var disk = new MemoryDisk(8192);
            new Random(3).NextBytes(disk.Contents);
            using (var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioDisk(disk, NullLogger.Instance)))
            {
                WriteHeader(guest, Buffers, type: 0, sector: 2);
                guest.MakeAvailable(0, (Buffers, 16, false), (LaterInMemory, 512, true), (Buffers + 0x2000, 1, true));
                guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)));

                // As far as its sleep.
                Assert.IsType<GuestOutcome.InstructionLimit>(guest.Guest.Run(new RunLimits(22), TestContext.Current.CancellationToken));
                Assert.Empty(guest.Used(0));
                using FileStream output = File.Create(path);
                guest.Guest.Save(output);
            }

            using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(path);
            var saved = Saving.SavedState.Read(file, path);
            using var other = new VirtioDisk(new MemoryDisk(8192), NullLogger.Instance);
            using var next = new Guest(saved.Configuration([other]));

            Assert.Equal(new GuestOutcome.PowerOff(0), next.Run(new RunLimits(1_000_000), TestContext.Current.CancellationToken));
            Assert.Equal(disk.Contents[1024..1536], next.PhysicalMemory.Span(LaterInMemory, 512).ToArray());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_network_card_has_the_guests_address_and_carries_frames_both_ways()
    {
        byte[] sent = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];
        byte[] received = [.. Enumerable.Range(0, 60).Select(i => (byte)(i * 3))];
        var cable = new FakeCable();
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioNetwork(cable));
        guest.SetDriverReady();
        cable.Arrive(received);
        guest.Write(Buffers, new byte[10]);
        guest.Write(Buffers + 10, sent);
        guest.MakeAvailable(0, (LaterInMemory, 10, true), (LaterInMemory + 10, 1514, true));
        guest.MakeAvailable(1, (Buffers, 10, false), (Buffers + 10, 100, false));
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(1)));

        guest.RunUntilPowerOff();

        Assert.Equal([2, 0, 0x34, 0x12, 0, 0, 1, 0], guest.Bytes(Descriptors + 5 + (3 * 8) + 8, 8));
        Assert.Equal(sent, Assert.Single(cable.Sent));
        Assert.Equal(0, Assert.Single(cable.SentLargest));
        Assert.Equal([(0u, 70u)], guest.Used(0));
        Assert.Equal([(0u, 0u)], guest.Used(1));
        Assert.Equal([.. new byte[10], .. received], guest.Bytes(LaterInMemory, 70));
    }

    [Fact]
    public void Frames_wait_for_buffers_and_what_does_not_fit_is_lost_alone()
    {
        var cable = new FakeCable();
        using var card = new VirtioNetwork(cable);
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, card);
        guest.SetDriverReady();
        cable.Arrive(new byte[61], new byte[62], new byte[63]);
        guest.MakeAvailable(0, (LaterInMemory, 70, true));
        guest.MakeAvailable(0, (LaterInMemory, 100, true));
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)), used: 2);

        guest.RunUntilPowerOff();

        Assert.Equal([(0u, 0u), (1u, 72u)], guest.Used(0));
        Assert.Equal(1, cable.Waiting);
        Assert.Equal((1ul, 1ul), (card.Statistics.ReceivingDropped, card.Statistics.FramesReceived));
    }

    /// <summary>Drivers of 2.6.25 to 2.6.30 offer buffers before they agree on features, on which the length of a frame's header depends.</summary>
    [Theory]
    [InlineData("2.6.25")]
    [InlineData("2.6.30")]
    public void What_arrives_before_the_driver_is_ready_is_lost_though_there_are_buffers(string id)
    {
        GuestAbi abi = KnownAbis.All.Single(each => each.Id == id);
        Action<Assembler, uint, uint, uint> call = abi.CallsByVmcall
            ? (a, number, first, second) => Vmcall(a, number, first, second)
            : (a, number, first, second) => Hypercall(a, number, first, second);
        var cable = new FakeCable();
        using var card = new VirtioNetwork(cable);
        using var guest = new VirtioGuest(abi, ClockKind.Virtual, card);
        cable.Arrive(new byte[60]);
        guest.MakeAvailable(0, (LaterInMemory, 2048, true));
        guest.Kernel(a =>
        {
            call(a, 1, Data, 0);
            call(a, Notify, Queue(0), 0);
            a.mov(__byte_ptr[Descriptors + 4], 7);
            call(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Empty(guest.Used(0));
        Assert.Equal((1ul, 0ul), (card.Statistics.ReceivingDropped, card.Statistics.FramesReceived));

        cable.Arrive(new byte[60]);
        card.OnNotify(0);

        Assert.Equal([(0u, 70u)], guest.Used(0));
    }

    [Theory]
    [InlineData(13u)]
    [InlineData(1515u)]
    public void What_is_no_frame_is_not_sent(uint length)
    {
        var cable = new FakeCable();
        using var card = new VirtioNetwork(cable);
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, card);
        guest.MakeAvailable(1, (Buffers, 10 + length, false));
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Queue(1));
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Empty(cable.Sent);
        Assert.Equal([(0u, 0u)], guest.Used(1));
        Assert.Equal(1ul, card.Statistics.SendingDropped);
    }

    [Theory]
    [InlineData("2.6.30", DirectoryField)]
    [InlineData("2.6.31", LaterDirectoryField)]
    [InlineData("2.6.34", LaterDirectoryField)]
    public void From_2_6_30_on_calls_are_made_by_vmcall_with_other_registers(string abi, uint directory)
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == abi), ClockKind.Virtual, new VirtioConsole(port));
        guest.WriteText(Strings + 64, "hello");
        guest.Kernel(a =>
        {
            Vmcall(a, 1, Data);
            Vmcall(a, Notify, Strings + 64);
            a.mov(eax, Shutdown);
            a.mov(ebx, Strings);
            a.mov(ecx, PowerOff);
            a.@int(0x1f);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(["hello"], port.Writes);
        Assert.Equal(PageDirectory, guest.Read(directory));
    }

    [Fact]
    public void Before_that_vmcall_is_an_invalid_opcode()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2629);
        guest.Kernel(a => Vmcall(a, 1, Data));

        Assert.Contains("trap 6", Assert.IsType<GuestOutcome.Died>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2.6.30", RingStatus, RingCalls, 16u)]
    [InlineData("2.6.31", LaterRingStatus, LaterRingCalls, 20u)]
    public void Queued_calls_have_their_arguments_in_order_then(string abi, uint status, uint calls, uint size)
    {
        using var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == abi));
        guest.Write(calls + size, Shutdown);
        guest.Write(calls + size + 4, Strings);
        guest.Write(calls + size + 8, Restart);
        guest.Kernel(a =>
        {
            Vmcall(a, 1, Data);
            a.mov(__word_ptr[status], 0);
            Vmcall(a, 0);
        });

        Assert.IsType<GuestOutcome.Restart>(guest.Run());
    }

    [Fact]
    public void From_2_6_30_on_entries_of_the_gdt_are_loaded_one_by_one()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2630);
        guest.Write(Scratch, 0xcafe_f00d);
        guest.Kernel(a =>
        {
            Vmcall(a, 1, Data);

            // Data, 4 GiB from Scratch on.
            Vmcall(a, 18, 20, 0x4000_ffff, 0x00cf_9200);
            a.mov(eax, (20 << 3) | 1);
            a.mov(fs, eax);
            a.mov(ecx, __dword_ptr.fs[0]);
            a.mov(__dword_ptr[Scratch + 4], ecx);
            Vmcall(a, 18, 32);
        });

        Assert.Contains("the GDT has no entry 32", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
        Assert.Equal(0xcafe_f00du, guest.Read(Scratch + 4));
    }

    [Fact]
    public void From_2_6_31_on_a_kernel_is_told_of_an_interrupt_that_waits_and_calls_for_it()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2631, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.MakeAvailable(0, (Buffers, 64, true));
        guest.Assemble(Handler, a =>
        {
            a.mov(eax, __dword_ptr[InterruptPending]);
            a.mov(__dword_ptr[Scratch], eax);
            Vmcall(a, Shutdown, Strings, PowerOff);
        });
        guest.Kernel(a =>
        {
            Label again = a.CreateLabel();
            Vmcall(a, 1, Data);
            Vmcall(a, 6, 33, (0x61u << 16) | Handler, 0x8e00);
            Vmcall(a, Notify, Queue(0));
            a.Label(ref again);
            a.cmp(__dword_ptr[InterruptPending], 0x200);
            a.jne(again);
            a.mov(__dword_ptr[IrqEnabled], 0x200);
            Vmcall(a, 19);
            a.ud2();
        });

        guest.RunUntilPowerOff();

        Assert.Equal(64u, guest.Used(0)[0].Length);
    }

    [Fact]
    public void From_2_6_34_on_it_is_an_int_again_but_for_one_call()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2634, ClockKind.Virtual);
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            Vmcall(a, 19);
            LaterHypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(
            [new("LGUEST_INIT", 1), new("SHUTDOWN", 1), new("SEND_INTERRUPTS", 1)], guest.Guest.HypercallCounts.ToArray());
    }

    [Fact]
    public void From_3_1_on_a_kernel_starts_with_paging_off_and_its_first_page_directory_ends_that()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux31);
        guest.Write(PageTable + ((Scratch >> 12) * 4), Buffers | 7);
        guest.Write(PageDirectory + ((KernelAddress >> 22) * 4), PageTable | 7);
        guest.Kernel(a =>
        {
            a.mov(__dword_ptr[Scratch], 1);
            LaterHypercall(a, 1, Data);
            a.mov(__dword_ptr[Scratch + 4], 2);
            LaterHypercall(a, 4, PageDirectory);
            a.mov(__dword_ptr[Scratch + 8], 3);
            a.mov(__dword_ptr[KernelAddress + Scratch + 12], 4);
            LaterHypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.Equal((1u, 2u, 0u, 0u), (guest.Read(Scratch), guest.Read(Scratch + 4), guest.Read(Scratch + 8), guest.Read(Scratch + 12)));
        Assert.Equal((0u, 0u, 3u, 4u), (guest.Read(Buffers), guest.Read(Buffers + 4), guest.Read(Buffers + 8), guest.Read(Buffers + 12)));
    }

    [Fact]
    public void Then_no_call_is_made_by_vmcall()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux31);
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, 4, PageDirectory);
            Vmcall(a, 19);
        });

        Assert.Contains("trap 6", Assert.IsType<GuestOutcome.Died>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_of_3_1_has_its_fields_where_they_are_then()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux31, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.MakeAvailable(0, (Buffers, 64, true));
        guest.Write(LastNoInterruptRange, 0x1_0000);
        guest.Write(LastNoInterruptRange + 4, 0x1_1000);
        guest.Assemble(Handler, a =>
        {
            a.pop(__dword_ptr[Scratch]);
            LaterHypercall(a, Shutdown, Strings, PowerOff);
        });

        // Where no interrupt may be: it waits, and nothing tells the host when it may come in.
        guest.Assemble(0x1_0000, a =>
        {
            Label wait = a.CreateLabel();
            a.Label(ref wait);
            a.cmp(__dword_ptr[InterruptPending], 0x200);
            a.jne(wait);
            a.mov(__dword_ptr[IrqEnabled], 0x200);
            LaterHypercall(a, 19);
            a.nop();
            LaterHypercall(a, 19);
            a.jmp(0x1_2000);
        });
        guest.Assemble(0x1_2000, a =>
        {
            LaterHypercall(a, 19);
            a.ud2();
        });
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, 4, PageDirectory);
            LaterHypercall(a, 6, 33, (0x61u << 16) | Handler, 0x8e00);
            LaterHypercall(a, Notify, Queue(0));
            a.jmp(0x1_0000);
        });

        guest.RunUntilPowerOff();

        Assert.InRange(guest.Read(Scratch), 0x1_2000u, 0x1_2fffu);
        Assert.Equal((4u << 20, 1_000_000u), (guest.Read(LaterReservedMemory), guest.Read(LaterTscKilohertz)));
        Assert.Equal(0x1_0000u, guest.Read(LastNoInterruptRange));
    }

    [Fact]
    public void A_structure_of_2_6_34_is_none_of_3_1()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux31);
        guest.Write(LastSystemCallVector, KernelAddress);
        guest.Write(LastSystemCallVector + 4, 0x80);
        guest.Kernel(a => LaterHypercall(a, 1, Data));

        Assert.Contains("system call vector 0xc0000000, not 0x80", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Queued_calls_of_3_1_are_made()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux31);
        guest.Write(LaterRingCalls + 20, Shutdown);
        guest.Write(LaterRingCalls + 24, Strings);
        guest.Write(LaterRingCalls + 28, Restart);
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, 4, PageDirectory);
            a.mov(__word_ptr[LaterRingStatus], 0);
            LaterHypercall(a, 0);
        });

        Assert.IsType<GuestOutcome.Restart>(guest.Run());
    }

    [Theory]
    [InlineData("3.1", true)]
    [InlineData("2.6.34", false)]
    public void A_kernel_looks_for_microcode_before_its_first_call_and_finds_none(string abi, bool isPassed)
    {
        using var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == abi));
        guest.Kernel(a =>
        {
            a.mov(eax, uint.MaxValue);
            a.mov(edx, uint.MaxValue);
            a.mov(ecx, 0x8b);
            a.wrmsr();
            a.mov(__dword_ptr[Scratch], eax);
            a.rdmsr();
            a.mov(__dword_ptr[Scratch + 4], eax);
            a.mov(__dword_ptr[Scratch + 8], edx);
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, Shutdown, Strings, PowerOff);
        });
        guest.Write(Scratch + 4, 1);
        guest.Write(Scratch + 8, 1);

        GuestOutcome outcome = guest.Run();

        if (isPassed)
        {
            Assert.Equal(new GuestOutcome.PowerOff(0), outcome);
            Assert.Equal((uint.MaxValue, 0u, 0u), (guest.Read(Scratch), guest.Read(Scratch + 4), guest.Read(Scratch + 8)));
        }
        else
        {
            Assert.Contains("trap 13", Assert.IsType<GuestOutcome.Died>(outcome).Sentence, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Once_it_has_a_handler_for_the_fault_the_registers_are_its_own_matter()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux31);
        guest.Assemble(Handler, a => LaterHypercall(a, Shutdown, Strings, PowerOff));
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, 4, PageDirectory);
            LaterHypercall(a, 6, 13, (0x61u << 16) | Handler, 0x8e00);
            a.rdmsr();
            a.ud2();
        });

        guest.RunUntilPowerOff();
    }

    [Theory]
    [InlineData(6)]
    [InlineData(11)]
    public void A_guest_is_saved_with_paging_as_it_is(int instructions)
    {
        string path = Path.GetTempFileName();
        try
        {
            using (var guest = new VirtioGuest(KnownAbis.Linux31))
            {
                guest.Write(PageTable + ((Scratch >> 12) * 4), Buffers | 7);
                guest.Kernel(a =>
                {
                    LaterHypercall(a, 1, Data);
                    a.mov(__dword_ptr[Scratch], 1);
                    LaterHypercall(a, 4, PageDirectory);
                    a.mov(__dword_ptr[Scratch + 4], 2);
                    LaterHypercall(a, Shutdown, Strings, PowerOff);
                });
                Assert.IsType<GuestOutcome.InstructionLimit>(
                    guest.Guest.Run(new RunLimits((ulong)instructions), TestContext.Current.CancellationToken));
                using FileStream output = File.Create(path);
                guest.Guest.Save(output);
            }

            using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(path);
            using var next = new Guest(Saving.SavedState.Read(file, path).Configuration([]));

            Assert.Equal(new GuestOutcome.PowerOff(0), next.Run(new RunLimits(1_000_000), TestContext.Current.CancellationToken));
            Assert.Equal([1, 0, 0, 0, 0], next.PhysicalMemory.Span(Scratch, 5).ToArray());
            Assert.Equal([0, 0, 0, 0, 2], next.PhysicalMemory.Span(Buffers, 5).ToArray());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Cli_and_sti_do_nothing_and_hlt_sleeps()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux2625);
        guest.Assemble(Handler, a => a.iretd());
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, 6, 32, (0x61u << 16) | Handler, 0x8e00);
            a.mov(__dword_ptr[BlockedInterrupts], 0);
            Hypercall(a, 9, 1_000_000);
            a.cli();
            a.sti();
            a.hlt();
            Hypercall(a, Shutdown, Strings, PowerOff);
        });

        guest.RunUntilPowerOff();

        Assert.InRange(guest.Guest.Clock.Now, 1_000_000ul, 2_000_000ul);
    }

    /// <summary>LGUEST_HOSTILE_RINGS says how many kernels; 150 otherwise.</summary>
    [Fact]
    public void Whatever_a_kernel_writes_into_its_rings_it_ends_itself_or_goes_on()
    {
        GuestAbi[] abis = [KnownAbis.Linux2624, KnownAbis.Linux2625, KnownAbis.Linux2626, KnownAbis.Linux2631, KnownAbis.Linux31];
        int count = int.TryParse(Environment.GetEnvironmentVariable("LGUEST_HOSTILE_RINGS"), CultureInfo.InvariantCulture, out int wanted) ? wanted : 150;
        int killed = 0;
        int wentOn = 0;
        for (int seed = 0; seed < count; seed++)
        {
            var random = new Random(seed);
            GuestAbi abi = abis[seed % abis.Length];
            Action<Assembler, uint, uint, uint> call = abi.Registers == HypercallRegisters.Linux2623
                ? (a, number, first, second) => Hypercall(a, number, first, second)
                : (a, number, first, second) => LaterHypercall(a, number, first, second);
            var cable = new FakeCable();
            var port = new FakePort();
            using var guest = new VirtioGuest(
                abi,
                ClockKind.Virtual,
                new VirtioDisk(new MemoryDisk(8192) { IsQuick = true }, NullLogger.Instance, abi.Headers.Block),
                new VirtioNetwork(cable, null, abi.Headers.Network),
                new VirtioEntropy(new byte[32]),
                new VirtioConsole(port));
            cable.Arrive(new byte[60], new byte[1514]);
            cable.ArriveUnfinished(TestFrame.Unfinished(9000), 1448);
            port.Type("input");
            int queues = abi.Headers.Network < 10 ? MostHostileQueues - 1 : MostHostileQueues;
            for (int queue = 0; queue < queues; queue++)
            {
                WriteNonsense(guest, Queue(queue), random);
            }

            if (abi.Notices != DescriptorNotice.None)
            {
                // The network card's, behind the disk's: whether the driver is ready, and what it has agreed on.
                const uint Card = Descriptors + 5 + 8 + 4 + 4 + 24;
                guest.Write(Card + 4, [(byte)(random.Next(4) == 0 ? random.Next(8) : 7)]);
                guest.Write(Card + 5 + (3 * 8) + 4, (uint)random.NextInt64());
            }

            guest.Kernel(a =>
            {
                call(a, 1, Data, 0);
                for (int i = 0; i < 12; i++)
                {
                    call(a, Notify, Queue(random.Next(queues)), 0);
                }

                if (abi.Notices != DescriptorNotice.None)
                {
                    call(a, Notify, Descriptors, 0);
                }

                call(a, Shutdown, Strings, PowerOff);
            });

            GuestOutcome outcome = guest.Run();

            // What it has overwritten may have been itself.
            killed += outcome is GuestOutcome.Killed or GuestOutcome.Died ? 1 : 0;
            wentOn += outcome is GuestOutcome.PowerOff ? 1 : 0;
            Assert.True(
                outcome is GuestOutcome.Killed or GuestOutcome.Died or GuestOutcome.PowerOff or GuestOutcome.InstructionLimit or GuestOutcome.Panic,
                $"seed {seed}: {outcome}");
        }

        Assert.InRange(killed, count / 10, count * 9 / 10);
        Assert.InRange(wentOn, count / 10, count * 9 / 10);
    }

    /// <summary>Chains of which most make sense, in buffers that overlap each other and the rings.</summary>
    private static void WriteNonsense(VirtioGuest guest, uint ring, Random random)
    {
        int chains = random.Next(8);
        for (uint i = 0; i < 64; i++)
        {
            uint descriptor = ring + (i * 16);
            bool isOdd = random.Next(300) == 0;
            guest.Write(descriptor, isOdd ? (uint)random.NextInt64() : (random.Next(4) == 0 ? Rings : Buffers) + (uint)random.Next(0x4000));
            guest.Write(descriptor + 4, random.Next(500) == 0 ? 1u : 0);
            guest.Write(descriptor + 8, isOdd ? (uint)random.NextInt64() : (uint)random.Next(random.Next(2) == 0 ? 32 : 2048));
            guest.Write16(descriptor + 12, (ushort)((random.Next(3) != 0 ? 1 : 0) | (i % 8 > 3 ? 2 : 0)));
            guest.Write16(descriptor + 14, (ushort)(isOdd ? random.Next(300) : (int)(i + 1) % 64));
            guest.Write16(ring + 0x1000 + 4 + (i * 2), (ushort)(random.Next(8) * 8));
        }

        guest.Write16(ring + 0x1000 + 2, (ushort)(random.Next(40) == 0 ? random.Next(1 << 16) : chains));
    }

    private static void WriteHeader(VirtioGuest guest, uint address, uint type, uint sector)
    {
        guest.Write(address, type);
        guest.Write(address + 4, 0);
        guest.Write(address + 8, sector);
        guest.Write(address + 12, 0);
    }
}
