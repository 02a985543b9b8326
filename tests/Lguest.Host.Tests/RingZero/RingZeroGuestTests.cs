using System.Text;
using Iced.Intel;
using Lguest.Cpu;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Saving;
using Lguest.Host.Tests.RingOne;
using Lguest.Host.Traps;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Host.Tests.RingZero;

/// <summary>A kernel at CPL 0 with an IDT of its own.</summary>
public sealed class RingZeroGuestTests : IDisposable
{
    private const uint Text = 0x1000;
    private const uint Handlers = 0x3000;
    private const uint Notes = 0x4000;
    private const uint Words = 0x5000;
    private const uint Gdt = 0x5800;
    private const uint GdtRegister = 0x5900;
    private const uint Idt = 0x6000;
    private const uint IdtRegister = 0x5910;
    private const uint Tss = 0x7000;
    private const uint StackTop = 0x9000;
    private const uint UserText = 0xa000;
    private const uint UserStackTop = 0xc000;
    private const uint Data = RingOneGuest.Data;
    private const uint TimerVector = 32;

    private readonly Guest _guest = new(new GuestConfiguration
    {
        MemoryBytes = 0x2_0000,
        Abi = KnownAbis.RingZero,
        Clock = ClockKind.Virtual,
    });

    public RingZeroGuestTests()
    {
        _guest.PhysicalMemory.Write(Words, "Power down\0"u8);
        for (uint slot = 0; slot < 64; slot++)
        {
            _guest.PhysicalMemory.Write(RingOneGuest.RingStatus + slot, [0xff]);
        }

        ulong[] gdt = [0, 0, 0x00cf_9a00_0000_ffff, 0x00cf_9200_0000_ffff, 0x00cf_fa00_0000_ffff, 0x00cf_f200_0000_ffff,
            0x0000_8900_0000_0067 | ((ulong)Tss << 16)];
        for (int i = 0; i < gdt.Length; i++)
        {
            _guest.PhysicalMemory.Write(Gdt + ((uint)i * 8), BitConverter.GetBytes(gdt[i]));
        }

        _guest.PhysicalMemory.Write(GdtRegister, [55, 0]);
        Write(GdtRegister + 2, Gdt);
        _guest.PhysicalMemory.Write(IdtRegister, [0xff, 0x07]);
        Write(IdtRegister + 2, Idt);
        Write(Tss + 4, StackTop);
        Write(Tss + 8, 0x18);
        _guest.Start(new KernelEntry(Text, BootParameters: 0x800));
    }

    public void Dispose() => _guest.Dispose();

    [Fact]
    public void It_starts_by_the_32_bit_boot_protocol()
    {
        ProcessorState state = _guest.Processor.State;

        Assert.Equal((0x10, 0x18, 0x18, 0x18), (state.Cs.Selector, state.Ds.Selector, state.Es.Selector, state.Ss.Selector));
        Assert.Equal((Text, 0x800u, 0u, 0u, 0u), (state.Eip, state.Esi, state.Ebp, state.Edi, state.Ebx));
        Assert.Equal(0u, _guest.Processor.ReadControlRegister(0) & Cr0.Pg);
        Assert.Equal(0u, _guest.Processor.Eflags & Eflags.If);
    }

    [Theory]
    [InlineData("Power down", 0)]
    [InlineData("Power down 0", 0)]
    [InlineData("Power down 42", 42)]
    [InlineData("Power down 255", 255)]
    [InlineData("Power down 256", -1)]
    [InlineData("Power down -1", -1)]
    [InlineData("Power down ", -1)]
    [InlineData("System halted", 0)]
    [InlineData("System halted 7", 7)]
    [InlineData("System halted 256", -1)]
    [InlineData("System halted.", -1)]
    [InlineData("Attempted to kill init!", -1)]
    public void Its_last_words_may_carry_a_status(string words, int status)
    {
        _guest.PhysicalMemory.Write(Words, Encoding.ASCII.GetBytes(words + "\0"));
        Kernel(a => a.PowerOff(Words));

        Assert.Equal(status < 0 ? new GuestOutcome.Panic(words) : new GuestOutcome.PowerOff(status), Run());
    }

    [Fact]
    public void Its_last_words_may_ask_for_a_restart()
    {
        _guest.PhysicalMemory.Write(Words, "Restarting system\0"u8);
        Kernel(a => a.PowerOff(Words));

        Assert.Equal(new GuestOutcome.Restart(), Run());
    }

    [Theory]
    [InlineData(0u, false)]
    [InlineData(1128u, false)]
    [InlineData(1175u, false)]
    [InlineData(1176u, true)]
    [InlineData(4000u, true)]
    public void It_describes_itself_if_its_structure_has_room_for_that(uint size, bool described)
    {
        using Guest guest = Described(size);
        Assert.False(guest.IsInitialised);
        Assert.Null(guest.Kernel);

        Assert.Equal(new GuestOutcome.PowerOff(0), Run(guest));

        Assert.True(guest.IsInitialised);
        Assert.Equal(described, guest.Kernel is not null);
        if (guest.Kernel is { } told)
        {
            Assert.Equal((0x12u, 0xc000_0000u, 0x1234u, 0x5678u), (told.Drivers, told.PageOffset, told.TaintedMask, told.Log));
            Assert.True(told.HasDriver(DeviceType.Console) && told.HasDriver(DeviceType.Command) && !told.HasDriver(DeviceType.Block));
            KernelLogLayout log = told.LogLayout;
            Assert.Equal(
                Enumerable.Range(1, 16),
                [
                    log.CountBits, log.Descriptors, log.Infos, log.HeadId, log.TailId, log.SizeBits, log.Data, log.DescriptorSize,
                    log.DescriptorState, log.DescriptorText, log.InfoSize, log.InfoSequence, log.InfoTime, log.InfoTextLength,
                    log.InfoFacility, log.InfoCaller,
                ]);
        }
    }

    [Theory]
    [InlineData(1u, "lguest_data of 1 bytes is too small: 1128 are needed")]
    [InlineData(1127u, "lguest_data of 1127 bytes is too small: 1128 are needed")]
    [InlineData(0x1_0000_0u, "bytes, is outside guest memory")]
    [InlineData(uint.MaxValue, "bytes, is outside guest memory")]
    public void A_structure_of_an_impossible_size_is_its_end(uint size, string sentence)
    {
        using Guest guest = Described(size);

        string told = Assert.IsType<GuestOutcome.Killed>(Run(guest)).Sentence;
        Assert.StartsWith("hypercall LGUEST_INIT: lguest_data", told, StringComparison.Ordinal);
        Assert.Contains(sentence, told, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(KernelAssembly.LoadGdt)]
    [InlineData(KernelAssembly.SetPte)]
    public void It_has_only_the_hypercalls_that_it_needs(uint number)
    {
        Kernel(a => a.Hypercall(number));

        Assert.StartsWith($"there is no hypercall {number} (EIP", Assert.IsType<GuestOutcome.Killed>(Run()).Sentence);
    }

    [Fact]
    public void An_interrupt_comes_through_its_idt_when_it_sets_the_interrupt_flag()
    {
        SetGate(TimerVector, 0, a =>
        {
            a.mov(__dword_ptr[Notes], esi);
            a.PowerOff(Words);
        });
        Kernel(a =>
        {
            Label wait = a.CreateLabel();
            Label again = a.CreateLabel();
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            a.mov(ecx, 10_000);
            a.Label(ref wait);
            a.dec(ecx);
            a.jne(wait);
            a.xor(esi, esi);
            a.sti();
            a.Label(ref again);
            a.inc(esi);
            a.jmp(again);
        });

        Assert.Equal(new GuestOutcome.PowerOff(0), Run());

        // The shadow of STI is one instruction.
        Assert.Equal(1u, Read(Notes));
    }

    [Fact]
    public void One_that_is_saved_while_an_interrupt_waits_takes_it_at_the_same_instruction()
    {
        SetGate(TimerVector, 0, a =>
        {
            a.mov(__dword_ptr[Notes], esi);
            a.PowerOff(Words);
        });
        Kernel(a =>
        {
            Label wait = a.CreateLabel();
            Label again = a.CreateLabel();
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            a.mov(ecx, 400);
            a.Label(ref wait);
            a.dec(ecx);
            a.jne(wait);
            a.xor(esi, esi);
            a.sti();
            a.Label(ref again);
            a.inc(esi);
            a.jmp(again);
        });
        _guest.Run(new RunLimits(700), TestContext.Current.CancellationToken);
        string path = Path.GetTempFileName();
        using (FileStream file = File.Create(path))
        {
            _guest.Save(file);
        }

        using Microsoft.Win32.SafeHandles.SafeFileHandle saved = File.OpenHandle(path);
        File.Delete(path);
        using var second = new Guest(SavedState.Read(saved, path).Configuration([]));

        Assert.Equal(new GuestOutcome.PowerOff(0), second.Run(new RunLimits(10_000), TestContext.Current.CancellationToken));
        Assert.Equal(1u, BitConverter.ToUInt32(second.PhysicalMemory.Span(Notes, 4)));
    }

    [Fact]
    public void Irq_enabled_means_nothing_and_blocked_interrupts_does()
    {
        SetGate(TimerVector, 0, a => a.ud2());
        SetGate(TimerVector + 3, 1, a => a.PowerOff(Words));
        Write(RingOneGuest.BlockedInterrupts, 1);
        Kernel(a =>
        {
            Label again = a.CreateLabel();
            a.sti();
            a.Label(ref again);
            a.jmp(again);
        });
        _guest.Interrupts.Raise(0);
        _guest.Interrupts.Raise(3);

        Assert.Equal(new GuestOutcome.PowerOff(0), Run());
        Assert.Equal(1u, _guest.Interrupts.Pending);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Halt_sleeps_with_interrupts_on_and_goes_on_after_the_handler(bool sti)
    {
        SetGate(TimerVector, 0, a =>
        {
            a.inc(__dword_ptr[Notes]);
            a.iretd();
        });
        Kernel(a =>
        {
            a.Hypercall(KernelAssembly.SetClockEvent, 1_000_000);
            a.mov(eax, KernelAssembly.Halt);
            if (sti)
            {
                a.sti();
            }

            a.@int(0x1f);
            a.pushfd();
            a.pop(__dword_ptr[Notes + 4]);
            a.PowerOff(Words);
        });

        Assert.Equal(new GuestOutcome.PowerOff(0), Run());
        Assert.Equal(1u, Read(Notes));
        Assert.Equal(Eflags.If, Read(Notes + 4) & Eflags.If);
        Assert.True(_guest.Clock.Now >= 1_000_000);
    }

    [Fact]
    public void The_processors_own_hlt_sleeps_too()
    {
        SetGate(TimerVector, 0, a =>
        {
            a.inc(__dword_ptr[Notes]);
            a.iretd();
        });
        Kernel(a =>
        {
            a.Hypercall(KernelAssembly.SetClockEvent, 1_000_000);
            a.sti();
            a.hlt();
            a.PowerOff(Words);
        });

        Assert.Equal(new GuestOutcome.PowerOff(0), Run());
        Assert.Equal(1u, Read(Notes));
    }

    [Fact]
    public void Hlt_with_interrupts_off_is_the_end()
    {
        Kernel(a => a.hlt());

        var died = Assert.IsType<GuestOutcome.Died>(Run());
        Assert.StartsWith("HLT with interrupts off, which nothing can end", died.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pending_interrupt_is_not_lost_between_sti_and_halt()
    {
        SetGate(TimerVector + 1, 0, a =>
        {
            a.inc(__dword_ptr[Notes]);
            a.iretd();
        });
        Kernel(a =>
        {
            a.mov(eax, KernelAssembly.Halt);
            a.sti();
            a.@int(0x1f);
            a.PowerOff(Words);
        });
        _guest.Interrupts.Raise(1);

        Assert.Equal(new GuestOutcome.PowerOff(0), Run());
        Assert.Equal(1u, Read(Notes));
    }

    [Fact]
    public void A_programs_int_0x1f_is_the_kernels_own_affair()
    {
        SetGate(0x1f, 0, a => a.PowerOff(Words), privilege: 3);
        _guest.PhysicalMemory.Write(UserText, [0xcd, 0x1f]);
        Kernel(a =>
        {
            a.mov(eax, 0x30);
            a.ltr(ax);
            a.push(0x2b);
            a.push(UserStackTop);
            a.push(0x2);
            a.push(0x23);
            a.push(UserText);
            a.iretd();
        });

        Assert.Equal(new GuestOutcome.PowerOff(0), Run());
    }

    [Fact]
    public void A_triple_fault_is_told_with_what_it_began_with()
    {
        Kernel(a =>
        {
            a.mov(__dword_ptr[IdtRegister], 0);
            a.lidt(__[IdtRegister]);
            a.ud2();
        });

        Assert.StartsWith("triple fault: trap ", Assert.IsType<GuestOutcome.Died>(Run()).Sentence);
    }

    /// <summary>A guest that says how large its structure is, and powers off.</summary>
    private static Guest Described(uint size)
    {
        const uint Description = Data + 1128;
        var guest = new Guest(new GuestConfiguration
        {
            MemoryBytes = 0x2_0000,
            Abi = KnownAbis.RingZero,
            Clock = ClockKind.Virtual,
        });
        guest.PhysicalMemory.Write(Words, "Power down\0"u8);
        for (uint slot = 0; slot < 64; slot++)
        {
            guest.PhysicalMemory.Write(RingOneGuest.RingStatus + slot, [0xff]);
        }

        uint[] fields = [0x12, 0xc000_0000, 0x1234, 0x5678];
        for (int i = 0; i < fields.Length; i++)
        {
            guest.PhysicalMemory.Write(Description + ((uint)i * 4), BitConverter.GetBytes(fields[i]));
        }

        for (int i = 0; i < 16; i++)
        {
            guest.PhysicalMemory.Write(Description + 16 + ((uint)i * 2), BitConverter.GetBytes((ushort)(i + 1)));
        }

        var assembler = new Assembler(32);
        assembler.Hypercall(KernelAssembly.Init, Data, size);
        assembler.PowerOff(Words);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), Text);
        guest.PhysicalMemory.Write(Text, stream.ToArray());
        guest.Start(new KernelEntry(Text, BootParameters: 0x800));
        return guest;
    }

    private void Kernel(Action<Assembler> program)
    {
        Assemble(Text, a =>
        {
            a.lgdt(__[GdtRegister]);
            a.lidt(__[IdtRegister]);
            a.mov(esp, StackTop);
            a.InitHypercall();
            program(a);
        });
    }

    private void SetGate(uint vector, int index, Action<Assembler> handler, uint privilege = 0)
    {
        uint address = Handlers + ((uint)index * 128);
        Assemble(address, handler);
        Write(Idt + (vector * 8), 0x0010_0000 | address);
        Write(Idt + (vector * 8) + 4, 0x8e00 | (privilege << 13));
    }

    private void Assemble(uint address, Action<Assembler> program)
    {
        var assembler = new Assembler(32);
        program(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        _guest.PhysicalMemory.Write(address, stream.ToArray());
    }

    private GuestOutcome Run() => Run(_guest);

    private static GuestOutcome Run(Guest guest) => guest.Run(new RunLimits(1_000_000));

    private uint Read(uint address) => BitConverter.ToUInt32(_guest.PhysicalMemory.Span(address, 4));

    private void Write(uint address, uint value) => _guest.PhysicalMemory.Write(address, BitConverter.GetBytes(value));
}
