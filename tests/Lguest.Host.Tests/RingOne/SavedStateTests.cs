using System.IO.Hashing;
using System.Text;
using Iced.Intel;
using Lguest.Cpu;
using Lguest.Host.Bus;
using Lguest.Host.Dma;
using Lguest.Host.Observation;
using Lguest.Host.Saving;
using Microsoft.Win32.SafeHandles;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>A guest goes on from a file as if it had never been away, and a file that isn't what was written is refused.</summary>
public sealed class SavedStateTests : IDisposable
{
    private const uint TimerVector = 32;
    private const ulong End = 2_000_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("lguest-state").FullName;

    private string Path => System.IO.Path.Combine(_folder, "state");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_guest_that_is_saved_at_any_instruction_ends_the_same()
    {
        using RingOneGuest whole = Ticking();
        whole.Run(End);
        var random = new Random(3);
        for (int i = 0; i < 40; i++)
        {
            ulong count = i == 0 ? 0 : (ulong)random.Next((int)End);
            using (RingOneGuest first = Ticking())
            {
                first.Run(count);
                Save(first.Guest);
            }

            using SafeFileHandle file = File.OpenHandle(Path);
            using Guest second = Restore(file);
            Assert.Equal(count, second.Processor.Retired);
            Run(second, End - count);

            AssertSame(whole.Guest, second, count);
        }
    }

    [Fact]
    public void A_guest_that_is_saved_goes_on_as_the_one_that_is_restored_does()
    {
        using RingOneGuest guest = Ticking();
        guest.Run(123_456);
        Save(guest.Guest);
        guest.Run(End);

        using SafeFileHandle file = File.OpenHandle(Path);
        using Guest other = Restore(file);
        Run(other, End);

        AssertSame(guest.Guest, other, 123_456);
    }

    [Fact]
    public void An_observer_may_save_in_the_middle_of_a_run()
    {
        using RingOneGuest guest = Ticking();
        guest.Guest.Observe(new Saver(this));
        guest.Run(End);

        using SafeFileHandle file = File.OpenHandle(Path);
        using Guest other = Restore(file);
        Assert.Equal(Saver.When, other.Processor.Retired);
        Run(other, End - Saver.When);

        AssertSame(guest.Guest, other, Saver.When);
    }

    [Fact]
    public void Guests_of_one_file_share_it_and_see_nothing_of_each_other()
    {
        using (RingOneGuest first = Ticking())
        {
            first.Run(1000);
            Save(first.Guest);
        }

        byte[] before = File.ReadAllBytes(Path);
        using SafeFileHandle file = File.OpenHandle(Path);
        using Guest one = Restore(file);
        using Guest two = Restore(file);
        Run(one, End);
        Run(two, 1);

        Assert.NotEqual(0u, Read(one, Scratch));
        Assert.Equal(0u, Read(two, Scratch));
        Assert.Equal(before, File.ReadAllBytes(Path));
    }

    [Fact]
    public void What_is_kept_of_one_guest_is_new_for_the_next_but_for_code_that_nobody_wrote()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "It uses Linux's /proc.");
        using (RingOneGuest first = Rewriting())
        {
            // Where it is about to execute what it has written over, and will write over again.
            first.Run(10_000);
            while (first.Guest.Processor.State.Eip != Linear(Handlers))
            {
                first.Run(1);
            }

            Save(first.Guest);
        }

        using SafeFileHandle file = File.OpenHandle(Path);
        var saved = SavedState.Read(file, "state");
        using var kept = new KeptProcessor();
        Processor? processor = null;
        foreach (ulong count in (ulong[])[1, 300_000, 77, 300_000, 123_456])
        {
            using Guest alone = Restore(file);
            using var next = new Guest(saved.Configuration([]) with { Kept = kept });
            Assert.Equal((0ul, 0ul), (next.Processor.Statistics.Exceptions, next.Processor.TranslatedInstructions));
            AssertSame(alone, next, 0);

            Run(alone, count);
            Run(next, count);

            AssertSame(alone, next, count);
            Assert.Equal(Read(alone, Scratch), Read(next, Scratch));
            Assert.Equal(alone.Processor.Statistics.Exceptions, next.Processor.Statistics.Exceptions);
            Assert.Same(processor ?? next.Processor, next.Processor);
            Assert.True(processor is null || next.Processor.Statistics.BlocksDecoded < alone.Processor.Statistics.BlocksDecoded);
            processor = next.Processor;
        }
    }

    [Fact]
    public void What_was_kept_for_another_engine_is_not_used()
    {
        SaveSpinning();
        using SafeFileHandle file = File.OpenHandle(Path);
        GuestConfiguration configuration = SavedState.Read(file, "state").Configuration([]) with { Kept = new KeptProcessor() };
        using var kept = configuration.Kept!;
        Processor first;
        using (var guest = new Guest(configuration with { Engine = EngineKind.Interpreter }))
        {
            first = guest.Processor;
        }

        using var other = new Guest(configuration with { Engine = EngineKind.Translator });

        Assert.NotSame(first, other.Processor);
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void Time_goes_on_from_where_it_was(ClockKind clock)
    {
        ulong now;
        ulong age;
        using (var first = new RingOneGuest(clock))
        {
            first.Kernel(Spin);
            first.Run(70_000);
            now = first.Guest.Clock.Now;
            age = first.Guest.Age;
            Save(first.Guest);
        }

        using SafeFileHandle file = File.OpenHandle(Path);
        using Guest second = Restore(file);
        Assert.True(second.Clock.Now >= now, $"{second.Clock.Now} ns after {now}");
        Assert.InRange(second.Age, age, clock == ClockKind.Virtual ? age : 70_000 * VirtualClock.NanosecondsPerInstruction);
        Assert.Equal(clock == ClockKind.Virtual, second.Clock.IsVirtual);
    }

    [Fact]
    public void A_file_that_was_changed_anywhere_is_refused()
    {
        SaveSpinning();
        byte[] right = File.ReadAllBytes(Path);
        var random = new Random(5);
        long[] places = [.. Enumerable.Range(0, SavedStateHeader.Size), .. Enumerable.Range(0, 200).Select(_ => random.NextInt64(right.Length)), right.Length - 1];
        foreach (long place in places.Where(place => !IsPadding(right, place)))
        {
            byte[] wrong = [.. right];
            wrong[place] ^= (byte)(1 << random.Next(8));

            AssertRefused(wrong, string.Empty);
        }
    }

    [Fact]
    public void A_file_that_was_cut_off_or_goes_on_is_refused()
    {
        SaveSpinning();
        byte[] right = File.ReadAllBytes(Path);
        foreach (int length in (int[])[12, 13, SavedStateHeader.Size - 1, SavedStateHeader.Size, SavedStateHeader.Size + 1, 4096, right.Length - 4096, right.Length - 1])
        {
            AssertRefused(right[..length], "is damaged: save the guest again");
        }

        AssertRefused([.. right, 0], "is damaged: save the guest again");
    }

    [Theory]
    [InlineData("")]
    [InlineData("lguest")]
    [InlineData("\u007fELF and a lot more, so that it is long enough to be one of ours, if it only began with our word")]
    public void What_is_something_else_is_refused(string content) =>
        AssertRefused(Encoding.Latin1.GetBytes(content), "is no saved state of lguest: give one");

    [Fact]
    public void What_another_build_wrote_is_refused()
    {
        SaveSpinning();
        Rewrite(description => description, build: SavedStateHeader.ThisBuild + 1);

        AssertRefused(
            File.ReadAllBytes(Path),
            "was written by another version of lguest, and no version reads another's: save the guest again with this one");
    }

    [Fact]
    public void A_kind_of_guest_that_there_is_not_is_refused()
    {
        SaveSpinning();
        Rewrite(description => description with { Dialect = "Minix" });

        AssertRefused(File.ReadAllBytes(Path), "is of a guest of the kind 'Minix', which this lguest does not have");
    }

    [Fact]
    public void A_guest_with_another_processor_is_refused()
    {
        SaveSpinning();
        Rewrite(description => description with { Cpuid = [.. description.Cpuid.Skip(1)] });

        AssertRefused(File.ReadAllBytes(Path), "is of a guest with another processor: save the guest again");
    }

    [Fact]
    public void Other_devices_are_refused_before_they_are_used()
    {
        using (var first = new RingOneGuest(ClockKind.Virtual, new Device("a disk of 8 sectors")))
        {
            Save(first.Guest);
        }

        using SafeFileHandle file = File.OpenHandle(Path);
        var saved = SavedState.Read(file, Path);
        var device = new Device("a disk of 9 sectors");

        string message = Assert.Throws<SavedStateException>(() => new Guest(saved.Configuration([device]))).Message;

        Assert.Equal($"the saved state '{Path}' is of a guest with other devices: it had a disk of 8 sectors, and here is a disk of 9 sectors", message);
        Assert.False(device.IsAttached);
    }

    [Fact]
    public void Devices_get_back_what_they_have_saved_and_their_pages()
    {
        using (var first = new RingOneGuest(ClockKind.Virtual, new Device("a device") { Saved = "what it had" }))
        {
            first.Write(FirstDevicePage + 8, 0x1234_5678);
            first.Write(DescriptorPage + 4, 0x0001_0007);
            Save(first.Guest);
        }

        using SafeFileHandle file = File.OpenHandle(Path);
        var device = new Device("a device");
        using var guest = new Guest(SavedState.Read(file, Path).Configuration([device]));

        Assert.Equal("what it had", device.Saved);
        Assert.Equal(0x1234_5678u, Read(guest, FirstDevicePage + 8));
        Assert.Equal(0x0001_0007u, Read(guest, DescriptorPage + 4));
    }

    [Fact]
    public void A_guest_that_is_over_is_not_saved()
    {
        using var guest = new RingOneGuest();
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });
        guest.RunUntilPowerOff();

        Assert.Equal(
            "a guest that is over has nothing to go on with, so it is not saved",
            Assert.Throws<SavedStateException>(() => guest.Guest.Save(new MemoryStream())).Message);
    }

    private static void Run(Guest guest, ulong count) => guest.Run(new RunLimits(count), TestContext.Current.CancellationToken);

    private static Guest Restore(SafeFileHandle file) => new(SavedState.Read(file, "state").Configuration([]));

    private static void AssertSame(Guest whole, Guest second, ulong count)
    {
        Assert.True(whole.Clock.Now == second.Clock.Now, $"Cut at {count}, the clock is at {second.Clock.Now} in place of {whole.Clock.Now}.");
        Assert.Equal(whole.Processor.Retired, second.Processor.Retired);
        Assert.Equal(whole.Processor.State.Eip, second.Processor.State.Eip);
        Assert.Equal(whole.Processor.Eflags, second.Processor.Eflags);
        Assert.Equal(Hash(whole), Hash(second));
    }

    private static UInt128 Hash(Guest guest) => XxHash128.HashToUInt128(guest.PhysicalMemory.Span(0, (uint)guest.PhysicalMemory.Top));

    private static uint Read(Guest guest, uint address) => BitConverter.ToUInt32(guest.PhysicalMemory.Span(address, 4));

    // Between the description and the first page of RAM nothing is written, and nothing read.
    private static bool IsPadding(byte[] file, long place)
    {
        Assert.Null(SavedStateHeader.TryRead(file.AsSpan(0, SavedStateHeader.Size), file.Length, out SavedStateHeader header));
        return place >= SavedStateHeader.Size + header.DescriptionLength && place < header.RamStart;
    }

    private void Save(Guest guest)
    {
        using FileStream file = File.Create(Path);
        guest.Save(file);
    }

    private void SaveSpinning()
    {
        using var guest = new RingOneGuest();
        guest.Kernel(Spin);
        guest.Run(1000);
        Save(guest.Guest);
    }

    private void AssertRefused(byte[] bytes, string why)
    {
        string path = System.IO.Path.Combine(_folder, "wrong");
        File.WriteAllBytes(path, bytes);
        using SafeFileHandle file = File.OpenHandle(path);

        string message = Assert.Throws<SavedStateException>(() => SavedState.Read(file, path)).Message;

        Assert.StartsWith($"the saved state '{path}' {why}", message, StringComparison.Ordinal);
    }

    /// <summary>Makes a file sound that says something else.</summary>
    private void Rewrite(Func<SavedStateDescription, SavedStateDescription> change, UInt128? build = null)
    {
        byte[] file = File.ReadAllBytes(Path);
        Assert.Null(SavedStateHeader.TryRead(file.AsSpan(0, SavedStateHeader.Size), file.Length, out SavedStateHeader header));
        SavedStateDescription said = SavedStateFormat.Read(file[SavedStateHeader.Size..(SavedStateHeader.Size + header.DescriptionLength)]);
        byte[] description = SavedStateFormat.Write(change(said));
        byte[] ram = file[(int)header.RamStart..];
        header = new SavedStateHeader(build ?? header.Build, 0, description.Length, XxHash128.HashToUInt128(description));
        header = header with { FileLength = header.RamStart + ram.Length };
        byte[] changed = new byte[header.FileLength];
        header.Write(changed);
        description.CopyTo(changed, SavedStateHeader.Size);
        ram.CopyTo(changed, header.RamStart);
        File.WriteAllBytes(Path, changed);
    }

    // Counts with interrupts off for longer than a slice, sleeps until the timer's interrupt, and counts on: some cuts are
    // where an interrupt waits to be let in.
    private static RingOneGuest Ticking()
    {
        var guest = new RingOneGuest();
        uint handler = guest.Handler(0, a =>
        {
            a.pushad();
            a.inc(__dword_ptr[Linear(Scratch)]);
            a.add(__dword_ptr[Linear(Scratch) + 4], esi);
            a.Hypercall(KernelAssembly.SetClockEvent, 333_333);
            a.popad();
            a.EnableInterrupts();
            a.iretd();
        });
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 77_777);
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.DisableInterrupts();
            Count(a, 40_000);
            a.EnableInterrupts();
            Count(a, 30_000);
            a.Hypercall(KernelAssembly.Halt);
            a.jmp(again);
        });
        return guest;
    }

    // Counts by an instruction that it makes another of now and then, and leaves the sum in memory.
    private static RingOneGuest Rewriting()
    {
        const uint Immediate = Handlers + 2; // 81 C6, and four bytes.
        var guest = new RingOneGuest();
        uint add = guest.Handler(0, a =>
        {
            a.add(esi, 0x1000);
            a.mov(__dword_ptr[Linear(Scratch)], esi);
            a.ret();
        });
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(ebx, add);
            Label again = a.CreateLabel();
            a.Label(ref again);
            Count(a, 1000);
            a.inc(__dword_ptr[Linear(Immediate)]);
            for (int i = 0; i < 40; i++)
            {
                a.call(ebx);
            }

            a.jmp(again);
        });
        return guest;
    }

    private static void Count(Assembler a, int times)
    {
        Label loop = a.CreateLabel();
        a.mov(edi, times);
        a.Label(ref loop);
        a.inc(esi);
        a.dec(edi);
        a.jne(loop);
    }

    private static void Spin(Assembler a)
    {
        Label here = a.CreateLabel();
        a.Label(ref here);
        a.inc(esi);
        a.jmp(here);
    }

    private sealed class Saver(SavedStateTests tests) : IGuestObserver
    {
        public const ulong When = 777_777;

        public NextLook Look(Guest guest)
        {
            if (guest.Processor.Retired < When)
            {
                return NextLook.AfterInstructions(When - guest.Processor.Retired);
            }

            tests.Save(guest);
            return NextLook.Never;
        }
    }

    private sealed class Device(string kind) : ILguestDevice
    {
        public string Saved { get; set; } = string.Empty;

        public bool IsAttached { get; private set; }

        public DeviceIdentity Identity => new(DeviceType.Block, 0, 1);

        public string Kind => kind;

        public string Save() => Saved;

        public void Restore(string saved) => Saved = saved;

        public void Attach(DeviceSlot slot)
        {
            IsAttached = true;
            slot.WritePage(8, 1);
        }

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
