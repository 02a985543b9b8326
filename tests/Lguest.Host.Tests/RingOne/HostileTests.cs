using Lguest.Devices.Lgbus;
using Lguest.Devices.Tests.FrontEnds;
using Microsoft.Extensions.Logging.Abstractions;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>Guests that mean no good: each ends with one sentence, and nobody else is hurt.</summary>
public sealed class HostileTests
{
    private const uint Outside = 0x0800_0000;
    private const uint Wrapping = 0xffff_fff0;

    [Theory]
    [InlineData(KernelAssembly.Crash, Outside, 0u, 0u, "hypercall CRASH: the text at 0x08000000, 1 bytes, is outside guest memory")]
    [InlineData(KernelAssembly.LoadGdt, Outside, 1u, 0u, "hypercall LOAD_GDT: the GDT at 0x08000000, 8 bytes, is outside guest memory")]
    [InlineData(KernelAssembly.LoadGdt, Wrapping, 32u, 0u, "hypercall LOAD_GDT: the GDT at 0xfffffff0, 256 bytes, is outside guest memory")]
    [InlineData(KernelAssembly.LoadGdt, Gdt, 33u, 0u, "hypercall LOAD_GDT: a GDT of 33 entries is too large: 32 is the most")]
    [InlineData(KernelAssembly.LoadGdt, Gdt, uint.MaxValue, 0u, "hypercall LOAD_GDT: a GDT of 4294967295 entries is too large: 32 is the most")]
    [InlineData(KernelAssembly.LoadTls, Outside, 0u, 0u, "hypercall LOAD_TLS: the TLS table at 0x08000000, 24 bytes, is outside guest memory")]
    [InlineData(KernelAssembly.LoadIdtEntry, 6u, 0u, 0x8500u, "hypercall LOAD_IDT_ENTRY: the gate 0x00008500:0x00000000 has type 0x5, which is neither 0xe nor 0xf")]
    [InlineData(KernelAssembly.SetStack, 0x68u, 0u, 1u, "hypercall SET_STACK: the stack segment 0x68 doesn't have RPL 1")]
    [InlineData(KernelAssembly.SetStack, 0x7bu, 0u, 1u, "hypercall SET_STACK: the stack segment 0x7b doesn't have RPL 1")]
    [InlineData(KernelAssembly.SetStack, 0x69u, 0u, 3u, "hypercall SET_STACK: a stack of 3 pages is too large: 2 is the most")]
    [InlineData(KernelAssembly.NewPageTable, Outside, 0u, 0u, "the page directory at 0x08000000, 4096 bytes, is outside guest memory")]
    [InlineData(KernelAssembly.BindDma, 1u, 0u, 1u, "hypercall BIND_DMA: the key 0x00000001 isn't a multiple of 4")]
    [InlineData(KernelAssembly.SendDma, 0u, Outside, 0u, "hypercall SEND_DMA: a dma list at 0x08000000, 100 bytes, is outside guest memory")]
    [InlineData(KernelAssembly.SendDma, 0u, Wrapping, 0u, "hypercall SEND_DMA: a dma list at 0xfffffff0, 100 bytes, is outside guest memory")]
    public void A_hypercall_with_a_bad_argument_kills(uint number, uint first, uint second, uint third, string sentence)
    {
        using var guest = new RingOneGuest();
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(number, first, second, third);
            a.PowerOff();
        });

        Assert.Matches($"^{System.Text.RegularExpressions.Regex.Escape(sentence)} \\(EIP 0xc00010[0-9a-f]{{2}}\\)$", guest.RunUntilKilled());
    }

    [Theory]
    [InlineData(Outside)]
    [InlineData(Wrapping)]
    [InlineData(MemoryBytes + 0x1000 - 1127)]
    public void Lguest_data_outside_memory_kills(uint address)
    {
        using var guest = new RingOneGuest();
        guest.Kernel(a => a.Hypercall(KernelAssembly.Init, address));

        Assert.Equal(
            $"hypercall LGUEST_INIT: lguest_data at 0x{address:x8}, 1128 bytes, is outside guest memory: the kernel may speak another dialect, which --abi can name (EIP 0xc0001016)",
            guest.RunUntilKilled());
    }

    [Fact]
    public void A_bound_array_outside_memory_kills_when_a_device_uses_it()
    {
        var port = new FakePort();
        port.Type("x");
        using var guest = new RingOneGuest(ClockKind.Virtual, new ConsoleDevice(port));
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.BindDma, 0, Outside, 0x101);
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            a.PowerOff();
        });

        Assert.StartsWith("a dma list at 0x08000000, 100 bytes, is outside guest memory (EIP 0xc00010", guest.RunUntilKilled());
    }

    [Fact]
    public void A_disk_request_without_a_bound_buffer_kills()
    {
        using var guest = new RingOneGuest(ClockKind.Virtual, new BlockDevice(new MemoryDisk(4096), NullLogger.Instance));
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.SendDma, FirstDevicePage, DmaArea);
            a.Hypercall(KernelAssembly.Halt);
        });

        Assert.StartsWith("the guest has bound no buffer for the answer of disk.img (EIP", guest.RunUntilKilled());
    }

    [Fact]
    public void A_kernel_without_a_stack_for_its_programs_traps_is_killed()
    {
        using var guest = new RingOneGuest();
        uint handler = guest.Handler(0, a => a.PowerOff());
        guest.User(a => a.ud2());
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.LoadGdt, Gdt, 32);
            a.SetGate(6, handler);
            a.EnterUser();
        });

        Assert.StartsWith("unhandled trap 6 at 0x00400000: entering its handler gives trap", guest.RunUntilDead());
    }

    [Fact]
    public void A_gdt_without_the_kernels_code_kills_at_the_next_trap()
    {
        using var guest = new RingOneGuest();
        guest.Write(Gdt + (12 * 8), 0);
        guest.Write(Gdt + (12 * 8) + 4, 0);
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(6, Linear(Handlers));
            a.Hypercall(KernelAssembly.LoadGdt, Gdt, 32);
            a.ud2();
        });

        Assert.Matches(
            "^unhandled trap 6 at 0xc00010[0-9a-f]{2}: entering its handler gives trap 13 \\(error code 0x60\\) \\(EIP", guest.RunUntilDead());
    }

    [Fact]
    public void Random_hypercalls_only_ever_end_the_guest()
    {
        var random = new Random(2623);
        for (int round = 0; round < 100; round++)
        {
            var disk = new MemoryDisk(4096);
            using var guest = new RingOneGuest(
                ClockKind.Virtual, new BlockDevice(disk, NullLogger.Instance), new ConsoleDevice(new FakePort()));
            random.NextBytes(guest.Guest.PhysicalMemory.Span(Scratch, 0x3000));
            guest.Kernel(a =>
            {
                a.InitHypercall();
                for (int i = 0; i < 20; i++)
                {
                    a.Hypercall(Pick(random, 18), Argument(random), Argument(random), Argument(random));
                }

                a.PowerOff();
            });

            GuestOutcome outcome = guest.Guest.Run(new RunLimits(10_000), new CancellationTokenSource(50).Token);

            Assert.Equal(4096, disk.Contents.Length);
            if (outcome is GuestOutcome.Killed(string sentence))
            {
                Assert.Matches("^[^\\n]+ \\(EIP 0x[0-9a-f]{8}\\)$", sentence);
            }
        }
    }

    [Fact]
    public void Random_code_at_ring_1_only_ever_ends_the_guest()
    {
        var random = new Random(1);
        for (int round = 0; round < 100; round++)
        {
            using var guest = new RingOneGuest();
            random.NextBytes(guest.Guest.PhysicalMemory.Span(Text, 0x1000));
            guest.Guest.Processor.State.Eax = (uint)random.Next(20);

            guest.Guest.Run(new RunLimits(10_000), new CancellationTokenSource(50).Token);
        }
    }

    private static uint Pick(Random random, int count) => (uint)random.Next(count);

    private static uint Argument(Random random) => random.Next(8) switch
    {
        0 => 0,
        1 => Pick(random, 64),
        2 => DmaArea + (Pick(random, 64) * 4),
        3 => Gdt,
        4 => PageDirectory,
        5 => FirstDevicePage,
        6 => uint.MaxValue - Pick(random, 200),
        _ => (uint)random.NextInt64(1L << 32),
    };
}
