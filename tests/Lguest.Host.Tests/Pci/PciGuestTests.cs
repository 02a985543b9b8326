using System.Globalization;
using Iced.Intel;
using Lguest.Devices.Tests.FrontEnds;
using Lguest.Devices.Tests.Networks.Segments;
using Lguest.Devices.Virtio;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Virtio;
using Lguest.Host.Tests.Virtio;
using Microsoft.Extensions.Logging.Abstractions;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Virtio.VirtioGuest;

namespace Lguest.Host.Tests.Pci;

/// <summary>Kernels of the dialects from 4.0 to 4.13, as far as their host can tell: PCI, and virtio devices on it.</summary>
public sealed class PciGuestTests
{
    private const uint Ring = 0x3_0000;
    private const uint Available = Ring + 0x1000;
    private const uint UsedRing = Ring + 0x2000;
    private const ushort AddressPort = 0xcf8;
    private const ushort DataPort = 0xcfc;

    // The first device's registers begin where RAM ends.
    private const uint ConsoleRegion = MemoryBytes;
    private const uint SecondRegion = MemoryBytes + 0x1000;

    private const byte Acknowledged = 1;
    private const byte HasDriver = 3;
    private const byte FeaturesAgreed = 0xb;
    private const byte Ready = 0xf;

    [Fact]
    public void A_kernel_finds_a_host_bridge_then_its_console_then_the_others()
    {
        using var guest = new VirtioGuest(
            KnownAbis.Linux41,
            ClockKind.Virtual,
            new VirtioDisk(new MemoryDisk(1024), NullLogger.Instance),
            new VirtioEntropy(new byte[32]),
            new VirtioConsole(new FakePort(), hasEmergencyWrite: true));
        guest.Kernel(a =>
        {
            Begin(a);
            ReadConfiguration(a, device: 0, 0x08, 0);
            ReadConfiguration(a, device: 1, 0, 1);
            ReadConfiguration(a, device: 2, 0, 2);
            ReadConfiguration(a, device: 3, 0, 3);
            ReadConfiguration(a, device: 4, 0, 4);
            ReadConfiguration(a, device: 2, 0x3c, 5);
            ReadConfiguration(a, device: 2, 0x08, 6);
            End(a);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(
            [0x0600_0000u, 0x1043_1af4, 0x1042_1af4, 0x1044_1af4, uint.MaxValue, 2, 0x0180_0001],
            Enumerable.Range(0, 7).Select(i => guest.Read(Scratch + ((uint)i * 4))));
    }

    [Fact]
    public void A_region_can_be_measured_and_other_buses_and_functions_are_not_there()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Kernel(a =>
        {
            Begin(a);
            ReadConfiguration(a, device: 1, 0x10, 0);
            WriteConfiguration(a, device: 1, 0x10, uint.MaxValue);
            ReadConfiguration(a, device: 1, 0x10, 1);
            WriteConfiguration(a, device: 1, 0x00, 0);
            ReadConfiguration(a, device: 1, 0x00, 2);
            ReadAt(a, 0x8001_0800, 3);
            ReadAt(a, 0x8000_0900, 4);
            ReadAt(a, 0x0000_0800, 5);

            // A second mechanism would give zeros.
            a.mov(eax, 0);
            a.mov(dx, AddressPort);
            a.@out(dx, al);
            a.@in(al, dx);
            a.mov(__dword_ptr[Scratch + 24], eax);
            a.@in(al, 0x64);
            a.mov(__dword_ptr[Scratch + 28], eax);
            End(a);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(
            [MemoryBytes, 0xffff_f000, 0x1044_1af4, uint.MaxValue, uint.MaxValue, uint.MaxValue, 0xff, 1],
            Enumerable.Range(0, 8).Select(i => guest.Read(Scratch + ((uint)i * 4))));
    }

    [Fact]
    public void A_kernel_prints_by_configuration_space_alone_before_it_has_a_driver()
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioConsole(port, hasEmergencyWrite: true));
        guest.Kernel(a =>
        {
            Begin(a);

            // Nothing: another BAR, a length that is none, a place outside.
            Emergency(a, bar: 1, length: 4, offset: 68, 'x');
            Emergency(a, bar: 0, length: 3, offset: 68, 'x');
            Emergency(a, bar: 0, length: 4, offset: 0xffff_fff0, 'x');
            Emergency(a, bar: 0, length: 4, offset: 68, 'h');
            Emergency(a, bar: 0, length: 4, offset: 68, 'i');
            End(a);
        });

        guest.RunUntilPowerOff();

        Assert.Equal("hi", string.Concat(port.Writes));
    }

    [Theory]
    [InlineData("4.0")]
    [InlineData("4.1")]
    [InlineData("4.10")]
    public void A_driver_sets_a_device_up_notifies_it_and_is_interrupted(string abi)
    {
        using var guest = new VirtioGuest(
            KnownAbis.All.Single(each => each.Id == abi),
            ClockKind.Virtual,
            new VirtioEntropy(new byte[32]),
            new VirtioConsole(new FakePort(), hasEmergencyWrite: true));
        MakeChain(guest);
        guest.Assemble(Handler, a =>
        {
            // The second time the line has no cause any more.
            a.movzx(eax, __byte_ptr[SecondRegion + 58]);
            a.mov(__dword_ptr[Scratch], eax);
            a.movzx(eax, __byte_ptr[SecondRegion + 58]);
            a.mov(__dword_ptr[Scratch + 4], eax);
            End(a);
        });
        guest.Kernel(a =>
        {
            Begin(a);
            LaterHypercall(a, 6, 34, (0x61u << 16) | Handler, 0x8e00);
            SetUp(a, SecondRegion);
            a.mov(__word_ptr[SecondRegion + 56], 0);
            LaterHypercall(a, 10);
            a.ud2();
        });

        guest.RunUntilPowerOff();

        Assert.Equal((1u, 0u), (guest.Read(Scratch), guest.Read(Scratch + 4)));
        Assert.Equal((0x0001_0000u, 0u, 64u), (guest.Read(UsedRing), guest.Read(UsedRing + 4), guest.Read(UsedRing + 8)));
        Assert.Contains(guest.Bytes(Buffers, 64), each => each != 0);
    }

    [Fact]
    public void Before_a_driver_is_ready_nothing_is_served_and_after_a_reset_neither()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        MakeChain(guest);
        guest.Kernel(a =>
        {
            Begin(a);
            SetUp(a, ConsoleRegion, FeaturesAgreed);
            a.mov(__word_ptr[ConsoleRegion + 56], 0);
            LaterHypercall(a, 0);
            a.movzx(ecx, __word_ptr[UsedRing + 2]);
            a.mov(__dword_ptr[Scratch], ecx);
            a.mov(__byte_ptr[ConsoleRegion + 20], 0);
            a.mov(__byte_ptr[ConsoleRegion + 20], Ready);
            a.mov(__word_ptr[ConsoleRegion + 56], 0);
            LaterHypercall(a, 0);
            a.movzx(ecx, __word_ptr[ConsoleRegion + 28]);
            a.mov(__dword_ptr[Scratch + 4], ecx);
            End(a);
        });
        guest.Write(Scratch, 1);
        guest.Write(Scratch + 4, 1);

        guest.RunUntilPowerOff();

        Assert.Equal((0u, 0u, 0u), (guest.Read(Scratch), guest.Read(Scratch + 4), guest.Read(UsedRing)));
    }

    [Fact]
    public void A_driver_that_does_not_know_virtio_1_0_gets_no_agreement()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Kernel(a =>
        {
            Begin(a);
            a.mov(__dword_ptr[ConsoleRegion], 1);
            a.mov(ecx, __dword_ptr[ConsoleRegion + 4]);
            a.mov(__dword_ptr[Scratch], ecx);
            a.mov(__byte_ptr[ConsoleRegion + 20], FeaturesAgreed);
            a.movzx(ecx, __byte_ptr[ConsoleRegion + 20]);
            a.mov(__dword_ptr[Scratch + 4], ecx);
            End(a);
        });

        guest.RunUntilPowerOff();

        Assert.Equal((1u, (uint)HasDriver), (guest.Read(Scratch), guest.Read(Scratch + 4)));
    }

    [Theory]
    [InlineData(32u, Ring + 1)]
    [InlineData(36u, 1u)]
    [InlineData(40u, 0u)]
    [InlineData(32u, MemoryBytes - 256)]
    [InlineData(40u, MemoryBytes - 4)]
    [InlineData(48u, MemoryBytes - 4)]
    [InlineData(40u, 0xffff_fff0u)]
    public void A_ring_that_cannot_be_makes_the_device_want_a_reset(uint register, uint value)
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        MakeChain(guest);
        guest.Kernel(a =>
        {
            Begin(a);
            SetUp(a, ConsoleRegion, Ready, register, value);
            a.mov(__word_ptr[ConsoleRegion + 56], 0);
            LaterHypercall(a, 0);
            a.movzx(ecx, __byte_ptr[ConsoleRegion + 20]);
            a.mov(__dword_ptr[Scratch], ecx);
            End(a);
        });

        guest.RunUntilPowerOff();

        Assert.Equal((Ready | 0x40u, 0u), (guest.Read(Scratch), guest.Read(UsedRing)));
    }

    [Fact]
    public void A_ring_outside_memory_does_not_keep_the_guest_from_being_saved()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Kernel(a =>
        {
            Begin(a);
            SetUp(a, ConsoleRegion, Ready, register: 40, value: 0xf000_0000);
            Label forever = a.CreateLabel();
            a.Label(ref forever);
            a.jmp(forever);
        });
        guest.Guest.Run(new RunLimits(Instructions: 1000), TestContext.Current.CancellationToken);
        using var output = new MemoryStream();

        guest.Guest.Save(output);

        Assert.NotEqual(0, output.Length);
    }

    [Fact]
    public void A_driver_that_is_ready_is_interrupted_when_it_has_to_begin_anew()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Assemble(Handler, a =>
        {
            a.movzx(ecx, __byte_ptr[ConsoleRegion + 58]);
            a.mov(__dword_ptr[Scratch], ecx);
            End(a);
        });
        guest.Kernel(a =>
        {
            Begin(a);
            LaterHypercall(a, 6, 33, (0x61u << 16) | Handler, 0x8e00);
            SetUp(a, ConsoleRegion, Ready, register: 40, value: 0);
            a.mov(__dword_ptr[IrqEnabled], 0x200);
            Label again = a.CreateLabel();
            a.Label(ref again);
            LaterHypercall(a, 0);
            a.jmp(again);
        });

        guest.RunUntilPowerOff();

        Assert.Equal(2u, guest.Read(Scratch));
    }

    [Fact]
    public void A_driver_that_is_ready_without_an_agreement_has_to_begin_anew()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        MakeChain(guest);
        guest.Kernel(a =>
        {
            Begin(a);
            SetUp(a, ConsoleRegion, Ready, features: 0);
            a.mov(__word_ptr[ConsoleRegion + 56], 0);
            LaterHypercall(a, 0);
            Keep(a, 20, 0);
            a.mov(__byte_ptr[ConsoleRegion + 20], 0);
            Keep(a, 20, 1);
            SetUp(a, ConsoleRegion, Ready);
            a.mov(__word_ptr[ConsoleRegion + 56], 0);
            Keep(a, 20, 2);
            End(a);
        });
        guest.Write(Scratch + 4, 1);

        guest.RunUntilPowerOff();

        Assert.Equal((0x47u, 0u, (uint)Ready), (guest.Read(Scratch), guest.Read(Scratch + 4), guest.Read(Scratch + 8)));
        Assert.Equal(0x0001_0000u, guest.Read(UsedRing));
    }

    [Theory]
    [InlineData(0u, 1u)]
    [InlineData(1u, 3u)]
    public void A_driver_that_wants_what_was_not_offered_gets_no_agreement(uint half, uint features)
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Kernel(a =>
        {
            Begin(a);
            Agree(a, (1, 1), (half, features));
            Keep(a, 20, 0);
            Agree(a, (0, 0), (1, 1));
            Keep(a, 20, 1);

            // What is agreed on stays so.
            Agree(a, (0, 1));
            Keep(a, 12, 2);
            End(a);
        });
        guest.Write(Scratch + 8, 1);

        guest.RunUntilPowerOff();

        Assert.Equal(((uint)HasDriver, (uint)FeaturesAgreed, 0u), (guest.Read(Scratch), guest.Read(Scratch + 4), guest.Read(Scratch + 8)));
    }

    [Fact]
    public void A_driver_can_clear_its_status_only_by_a_reset_and_cannot_ask_for_one_itself()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Kernel(a =>
        {
            Begin(a);
            SetUp(a, ConsoleRegion);
            a.mov(__byte_ptr[ConsoleRegion + 20], Acknowledged | 0x40);
            Keep(a, 20, 0);
            a.mov(__byte_ptr[ConsoleRegion + 20], 0);
            Keep(a, 20, 1);
            End(a);
        });
        guest.Write(Scratch + 4, 1);

        guest.RunUntilPowerOff();

        Assert.Equal(((uint)Ready, 0u), (guest.Read(Scratch), guest.Read(Scratch + 4)));
    }

    [Fact]
    public void A_queue_has_its_size_for_good_once_it_is_enabled()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32]));
        guest.Kernel(a =>
        {
            Begin(a);
            SetUp(a, ConsoleRegion, FeaturesAgreed);
            a.mov(__word_ptr[ConsoleRegion + 24], 8);
            Keep(a, 24, 0);
            a.mov(__byte_ptr[ConsoleRegion + 20], 0);
            a.mov(__word_ptr[ConsoleRegion + 24], 8);
            Keep(a, 24, 1);
            End(a);
        });

        guest.RunUntilPowerOff();

        Assert.Equal((256u, 8u), (guest.Read(Scratch), guest.Read(Scratch + 4)));
    }

    [Fact]
    public void A_saved_guest_goes_on_with_its_devices_as_they_are()
    {
        string path = Path.GetTempFileName();
        try
        {
            using (var guest = new VirtioGuest(KnownAbis.Linux41, ClockKind.Virtual, new VirtioEntropy(new byte[32])))
            {
                MakeChain(guest);
                guest.Kernel(a =>
                {
                    Begin(a);
                    SetUp(a, ConsoleRegion);
                    a.mov(dx, AddressPort);
                    a.mov(eax, 0x8000_0800);
                    a.@out(dx, eax);

                    // Here it is saved.
                    a.mov(__word_ptr[ConsoleRegion + 56], 0);
                    LaterHypercall(a, 0);
                    a.mov(dx, DataPort);
                    a.@in(eax, dx);
                    a.mov(__dword_ptr[Scratch], eax);
                    a.movzx(ecx, __byte_ptr[ConsoleRegion + 20]);
                    a.mov(__dword_ptr[Scratch + 4], ecx);
                    End(a);
                });
                guest.Guest.Run(new RunLimits(Instructions: 24), TestContext.Current.CancellationToken);
                Assert.Equal(0u, guest.Read(UsedRing));
                using FileStream output = File.Create(path);
                guest.Guest.Save(output);
            }

            using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(path);
            using var next = new Guest(Saving.SavedState.Read(file, path).Configuration([new VirtioEntropy(new byte[32])]));

            Assert.Equal(new GuestOutcome.PowerOff(0), next.Run(new RunLimits(1_000_000), TestContext.Current.CancellationToken));
            Assert.Equal([0, 0, 1, 0], next.PhysicalMemory.Span(UsedRing, 4).ToArray());
            Assert.Equal([0xf4, 0x1a, 0x44, 0x10, Ready, 0, 0, 0], next.PhysicalMemory.Span(Scratch, 8).ToArray());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("4.0", 17u)]
    [InlineData("4.1", 17u)]
    [InlineData("4.10", 8u)]
    public void Calls_that_such_a_kernel_has_no_use_for_are_none(string abi, uint call)
    {
        using var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == abi));
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, call);
        });

        Assert.Contains($"there is no hypercall {call}", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void From_4_1_on_an_interrupt_may_come_anywhere_but_at_one_instruction()
    {
        const uint Place = 0x1_0000;
        using var guest = new VirtioGuest(KnownAbis.Linux41);
        guest.Write(Data + 1376, Place + 3);
        guest.Assemble(Handler, a =>
        {
            a.pop(__dword_ptr[Scratch]);
            End(a);
        });

        // The timer is due since long, and each of the calls would let it in.
        guest.Assemble(Place, a =>
        {
            a.nop();
            a.@int(0x1f);
            a.@int(0x1f);
            a.@int(0x1f);
        });
        guest.Kernel(a =>
        {
            Begin(a);
            LaterHypercall(a, 6, 32, (0x61u << 16) | Handler, 0x8e00);
            a.mov(__dword_ptr[BlockedInterrupts], 0);
            LaterHypercall(a, 9, 100);
            a.mov(ecx, 10_000);
            Label wait = a.CreateLabel();
            a.Label(ref wait);
            a.dec(ecx);
            a.jne(wait);
            a.mov(eax, 0);
            a.mov(__dword_ptr[IrqEnabled], 0x200);
            a.jmp(Place);
        });

        Assert.Equal(new GuestOutcome.PowerOff(0), guest.Run());

        // Not behind the first INT, where the second is, but behind that.
        Assert.Equal(Place + 5, guest.Read(Scratch));
    }

    [Theory]
    [InlineData("3.1")]
    [InlineData("4.10")]
    public void A_kernel_with_pae_is_known_by_its_first_page_table_at_the_latest(string abi)
    {
        using var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == abi));
        guest.Write(Buffers, PageTable | 1);
        guest.Write(Buffers + 24, PageTable | 1);
        guest.Kernel(a =>
        {
            Begin(a);
            LaterHypercall(a, 4, Buffers);
            a.nop();
        });

        Assert.Contains(
            "the kernel has page tables of three levels (PAE), and nothing in its image says so: give the dialect that has them, for instance --abi=4.10-pae",
            Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_first_page_directory_is_no_table_of_pae_even_if_it_begins_like_one()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41);
        guest.Write(PageDirectory + 24, PageTable | 7);
        guest.Write(PageDirectory + (KernelAddress >> 22 << 2), PageTable | 7);
        guest.Kernel(a =>
        {
            Begin(a);
            LaterHypercall(a, 4, PageDirectory);
            End(a);
        });

        guest.RunUntilPowerOff();
    }

    [Fact]
    public void A_copy_of_cr4_is_made_before_there_is_a_handler()
    {
        using var guest = new VirtioGuest(KnownAbis.Linux41);
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            a.mov(edi, uint.MaxValue);
            a.mov(edi, cr4);
            a.mov(__dword_ptr[Scratch], edi);
            End(a);
        });
        guest.Write(Scratch, 1);

        guest.RunUntilPowerOff();

        Assert.Equal(0u, guest.Read(Scratch));
    }

    [Fact]
    public void A_console_gets_input_once_its_driver_has_printed()
    {
        var port = new FakePort();
        using var guest = new VirtioGuest(KnownAbis.Linux2626, ClockKind.Virtual, new VirtioConsole(port, hasEmergencyWrite: true));
        guest.MakeAvailable(0, (Buffers, 64, true));
        guest.MakeAvailable(1, (Buffers + 64, 1, false));
        port.Type("input");
        guest.Kernel(a =>
        {
            Hypercall(a, 1, Data);
            Hypercall(a, Notify, Queue(0));
            a.movzx(ecx, __word_ptr[Queue(0) + 0x2002]);
            a.mov(__dword_ptr[Scratch], ecx);
            a.mov(__word_ptr[Queue(1) + 0x1002], 1);
            Hypercall(a, Notify, Queue(1));
            Hypercall(a, Notify, Queue(0));
            Hypercall(a, Shutdown, Strings, PowerOff);
        });
        guest.Write16(Queue(1) + 0x1002, 0);
        guest.Write(Scratch, 1);

        guest.RunUntilPowerOff();

        Assert.Equal(0u, guest.Read(Scratch));
        Assert.Equal([(0u, 5u)], guest.Used(0));
    }

    [Fact]
    public void A_frame_of_virtio_1_0_takes_one_buffer_and_says_so()
    {
        var cable = new FakeCable();
        using var guest = new VirtioGuest(
            KnownAbis.Linux2626, ClockKind.Virtual, new VirtioNetwork(cable, null, KnownAbis.Linux41.Headers.Network));
        guest.SetDriverReady();
        cable.Arrive(new byte[60]);
        guest.MakeAvailable(0, (Buffers, 2048, true));
        guest.KernelThatSleepsAfter(a => Hypercall(a, Notify, Queue(0)));

        guest.RunUntilPowerOff();

        Assert.Equal([(0u, 72u)], guest.Used(0));
        Assert.Equal([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], guest.Bytes(Buffers, 12));
    }

    /// <summary>LGUEST_HOSTILE_RINGS says how many kernels; 150 otherwise.</summary>
    [Fact]
    public void Whatever_a_kernel_writes_into_registers_and_rings_it_ends_itself_or_goes_on_and_can_be_saved()
    {
        int count = int.TryParse(Environment.GetEnvironmentVariable("LGUEST_HOSTILE_RINGS"), CultureInfo.InvariantCulture, out int wanted) ? wanted : 150;
        int killed = 0;
        int wentOn = 0;
        int served = 0;
        for (int seed = 0; seed < count; seed++)
        {
            var random = new Random(seed);
            var cable = new FakeCable();
            var port = new FakePort();
            GuestAbi abi = KnownAbis.Linux41;
            IVirtioDevice[] devices =
            [
                new VirtioConsole(port, hasEmergencyWrite: true),
                new VirtioDisk(new MemoryDisk(8192) { IsQuick = true }, NullLogger.Instance, abi.Headers.Block),
                new VirtioNetwork(cable, null, abi.Headers.Network),
                new VirtioEntropy(new byte[32]),
            ];
            using var guest = new VirtioGuest(abi, ClockKind.Virtual, [.. devices]);
            cable.Arrive(new byte[60], new byte[1514]);
            cable.ArriveUnfinished(TestFrame.Unfinished(9000), 1448);
            port.Type("input");
            WriteNonsense(guest, random);
            guest.Kernel(a =>
            {
                Begin(a);
                for (uint device = 0; device < 4; device++)
                {
                    uint region = ConsoleRegion + (device << 12);
                    SetUp(a, region, Ready, (uint)random.Next(160), Any(random), lowFeatures: devices[device].Identity.Features & (uint)random.NextInt64());
                    for (int i = random.Next(6); i > 0; i--)
                    {
                        Disturb(a, region, device, random);
                    }

                    a.mov(__word_ptr[region + 56], random.Next(4));
                    LaterHypercall(a, 0);
                }

                End(a);
            });

            GuestOutcome outcome = guest.Guest.Run(new RunLimits(Instructions: 100), TestContext.Current.CancellationToken);
            if (outcome is GuestOutcome.InstructionLimit)
            {
                guest.Guest.Save(Stream.Null);
                outcome = guest.Run();
            }

            killed += outcome is GuestOutcome.Killed or GuestOutcome.Died ? 1 : 0;
            wentOn += outcome is GuestOutcome.PowerOff ? 1 : 0;
            served += guest.Read16(UsedRing + 2) != 0 ? 1 : 0;
            Assert.True(
                outcome is GuestOutcome.Killed or GuestOutcome.Died or GuestOutcome.PowerOff or GuestOutcome.InstructionLimit or GuestOutcome.Panic,
                $"seed {seed}: {outcome}");
        }

        Assert.InRange(killed, count / 10, count * 9 / 10);
        Assert.InRange(wentOn, count / 10, count * 9 / 10);
        Assert.InRange(served, count / 10, count);
    }

    /// <summary>Chains of which most make sense, in buffers that overlap each other and the rings.</summary>
    private static void WriteNonsense(VirtioGuest guest, Random random)
    {
        for (uint i = 0; i < 64; i++)
        {
            uint descriptor = Ring + (i * 16);
            bool isOdd = random.Next(20) == 0;
            guest.Write(descriptor, isOdd ? Any(random) : (random.Next(4) == 0 ? Ring : Buffers) + (uint)random.Next(0x4000));
            guest.Write(descriptor + 4, random.Next(500) == 0 ? 1u : 0);
            guest.Write(descriptor + 8, isOdd ? Any(random) : (uint)random.Next(random.Next(2) == 0 ? 32 : 2048));
            guest.Write16(descriptor + 12, (ushort)((random.Next(3) != 0 ? 1 : 0) | (i % 8 > 3 ? 2 : 0)));
            guest.Write16(descriptor + 14, (ushort)(isOdd ? random.Next(300) : (int)(i + 1) % 64));
            guest.Write16(Available + 4 + (i * 2), (ushort)(random.Next(8) * 8));
        }

        guest.Write16(Available + 2, (ushort)random.Next(random.Next(40) == 0 ? 0x1_0000 : 8));
    }

    /// <summary>One access to a device's registers or its configuration space that no driver makes there and then.</summary>
    private static void Disturb(Assembler a, uint region, uint device, Random random)
    {
        uint place = region + (uint)random.Next(random.Next(4) == 0 ? 4096 : 72);
        switch (random.Next(6))
        {
            case 0:
                WriteConfiguration(a, device + 1, (uint)random.Next(64) * 4, Any(random));
                break;
            case 1:
                ReadConfiguration(a, device + 1, (uint)random.Next(64) * 4, slot: 0);
                break;
            case 2:
                a.mov(__byte_ptr[place], random.Next(256));
                break;
            case 3:
                a.mov(__word_ptr[place & ~1u], random.Next(random.Next(2) == 0 ? 4 : 0x1_0000));
                break;
            case 4:
                a.mov(__dword_ptr[place & ~3u], Any(random));
                break;
            default:
                a.mov(ecx, __dword_ptr[place & ~3u]);
                break;
        }
    }

    private static uint Any(Random random) => random.Next(4) switch
    {
        0 => (uint)random.NextInt64(),
        1 => MemoryBytes - (uint)random.Next(0x1000),
        2 => Ring + (uint)random.Next(0x3000),
        _ => (uint)random.Next(5),
    };

    private static void Begin(Assembler a) => LaterHypercall(a, 1, Data);

    private static void End(Assembler a) => LaterHypercall(a, Shutdown, Strings, PowerOff);

    private static uint Address(uint device, uint offset) => 0x8000_0000 | (device << 11) | offset;

    private static void ReadConfiguration(Assembler a, uint device, uint offset, uint slot) => ReadAt(a, Address(device, offset), slot);

    private static void ReadAt(Assembler a, uint address, uint slot)
    {
        a.mov(dx, AddressPort);
        a.mov(eax, address);
        a.@out(dx, eax);
        a.mov(dx, DataPort);
        a.@in(eax, dx);
        a.mov(__dword_ptr[Scratch + (slot * 4)], eax);
    }

    private static void WriteConfiguration(Assembler a, uint device, uint offset, uint value)
    {
        a.mov(dx, AddressPort);
        a.mov(eax, Address(device, offset));
        a.@out(dx, eax);
        a.mov(dx, DataPort);
        a.mov(eax, value);
        a.@out(dx, eax);
    }

    private static void Emergency(Assembler a, uint bar, uint length, uint offset, char character)
    {
        const uint Capability = 0x84;
        WriteConfiguration(a, device: 1, Capability + 4, bar);
        WriteConfiguration(a, device: 1, Capability + 12, length);
        WriteConfiguration(a, device: 1, Capability + 8, offset);
        WriteConfiguration(a, device: 1, Capability + 16, character);
    }

    /// <summary>Keeps a register of the first device in a slot: its status, the features that its driver wants, or else one of 16 bits.</summary>
    private static void Keep(Assembler a, uint register, uint slot)
    {
        uint place = ConsoleRegion + register;
        switch (register)
        {
            case 12:
                a.mov(ecx, __dword_ptr[place]);
                break;
            case 20:
                a.movzx(ecx, __byte_ptr[place]);
                break;
            default:
                a.movzx(ecx, __word_ptr[place]);
                break;
        }

        a.mov(__dword_ptr[Scratch + (slot * 4)], ecx);
    }

    /// <summary>Says which features the driver wants, and asks for the agreement.</summary>
    private static void Agree(Assembler a, params (uint Half, uint Features)[] wanted)
    {
        foreach ((uint half, uint features) in wanted)
        {
            a.mov(__dword_ptr[ConsoleRegion + 8], half);
            a.mov(__dword_ptr[ConsoleRegion + 12], features);
        }

        a.mov(__byte_ptr[ConsoleRegion + 20], FeaturesAgreed);
    }

    /// <summary>What a healthy driver does, in its order; one register may be given another value.</summary>
    private static void SetUp(
        Assembler a, uint region, byte status = Ready, uint register = 0, uint value = 0, uint features = 1, uint lowFeatures = 0)
    {
        a.mov(__byte_ptr[region + 20], 0);
        a.mov(__byte_ptr[region + 20], Acknowledged);
        a.mov(__byte_ptr[region + 20], HasDriver);
        a.mov(__dword_ptr[region + 8], 1);
        a.mov(__dword_ptr[region + 12], features);
        a.mov(__dword_ptr[region + 8], 0);
        a.mov(__dword_ptr[region + 12], lowFeatures);
        a.mov(__byte_ptr[region + 20], FeaturesAgreed);
        a.mov(__word_ptr[region + 22], 0);
        a.mov(__word_ptr[region + 24], 256);
        foreach ((uint place, uint address) in ((uint, uint)[])[(32, Ring), (36, 0), (40, Available), (44, 0), (48, UsedRing), (52, 0)])
        {
            a.mov(__dword_ptr[region + place], register == place ? value : address);
        }

        a.mov(__word_ptr[region + 28], 1);
        a.mov(__byte_ptr[region + 20], status);
    }

    /// <summary>One chain of one piece of 64 bytes to be filled.</summary>
    private static void MakeChain(VirtioGuest guest)
    {
        guest.Write(Ring, Buffers);
        guest.Write(Ring + 8, 64);
        guest.Write(Ring + 12, 2);
        guest.Write(Available, 0x0001_0000);
    }
}
