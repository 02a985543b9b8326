using Lguest.Cpu;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>Traps from the kernel and from a user program: which gate, what frame.</summary>
public sealed class TrapTests : IDisposable
{
    private const uint TrapCode = 0x1800;
    private const uint BoundPair = Scratch + 64;

    private readonly RingOneGuest _guest = new();

    public void Dispose() => _guest.Dispose();

    /// <summary>What; vector; code before; the instruction; error code or -1; whether EIP is after the instruction.</summary>
    public static TheoryData<string, int, string, string, int, bool> TrapsAnywhere => new()
    {
        { "div ecx by 0", 0, "31c9", "f7f1", -1, false },
        { "single step", 1, "9c810c24000100009d", "90", -1, true },
        { "int3", 3, "", "cc", -1, true },
        { "into", 4, "b07f0401", "ce", -1, true },
        { "bound", 5, "b805000000", "6205404000c0", -1, false },
        { "ud2", 6, "", "0f0b", -1, false },
        { "ud with lock", 6, "", "f090", -1, false },
        { "fninit with TS", 7, "", "dbe3", -1, false },
        { "movd with TS", 7, "", "0f6ec0", -1, false },
        { "a data segment that isn't present", 11, "b848000000", "8ed8", 0x48, false },
        { "a stack segment that isn't present", 12, "8cc883e00383c848", "8ed0", 0x48, false },
        { "hlt", 13, "", "f4", 0, false },
        { "cli", 13, "", "fa", 0, false },
        { "sti", 13, "", "fb", 0, false },
        { "rdmsr", 13, "", "0f32", 0, false },
        { "wrmsr", 13, "", "0f30", 0, false },
        { "clts", 13, "", "0f06", 0, false },
        { "wbinvd", 13, "", "0f09", 0, false },
        { "mov eax, cr0", 13, "", "0f20c0", 0, false },
        { "mov eax, cr4", 13, "", "0f20e0", 0, false },
        { "mov cr3, eax", 13, "", "0f22d8", 0, false },
        { "mov dr0, eax", 13, "", "0f23c0", 0, false },
        { "mov dr7, eax", 13, "31c0", "0f23f8", 0, false },
        { "lgdt", 13, "", "0f0110", 0, false },
        { "lidt", 13, "", "0f0118", 0, false },
        { "invlpg", 13, "", "0f0138", 0, false },
        { "sysenter", 13, "", "0f34", 0, false },
        { "insb", 13, "", "6c", 0, false },
        { "outsb", 13, "", "6e", 0, false },
        { "int 0x40, which has no gate", 13, "", "cd40", 0x202, false },
        { "int 2, which never has one", 13, "", "cd02", 0x12, false },
        { "a selector of the LDT", 13, "b80c000000", "8ee0", 0x0c, false },
        { "a selector beyond the GDT", 13, "b803010000", "8ee0", 0x100, false },
        { "the host's descriptor", 13, "b853000000", "8ee0", 0x50, false },
        { "read of nothing", 14, "", "a178563412", 0, false },
        { "write to nothing", 14, "", "a378563412", 2, false },
        { "write to a read-only page", 14, "", "a300604000", 3, false },
        { "x87 division by 0", 16, "dbe36800030000d92c2458d9e8d9eedef9", "9b", -1, false },
        { "sse division by 0", 19, "68801d00000fae1424580f57c9b80000803f660f6ec0", "f30f5ec1", -1, false },
    };

    /// <summary>The same, for what only programs may not do or meet.</summary>
    public static TheoryData<string, int, string, string, int, bool> TrapsOfPrograms => new()
    {
        { "a hypercall", 13, "", "cd1f", 0xfa, false },
        { "in", 13, "", "e460", 0, false },
        { "out", 13, "", "ee", 0, false },
        { "mov eax, dr6", 13, "", "0f21f0", 0, false },
        { "int 14, whose gate is the kernel's", 13, "", "cd0e", (14 * 8) + 2, false },
        { "int 0x20, an interrupt's", 13, "", "cd20", (0x20 * 8) + 2, false },
        { "unaligned access with AC", 17, "9c810c24000004009d", "a101004000", 0, false },
        { "a kernel page", 14, "", "a1000003c0", 1, false },
        { "system call", 0x80, "", "cd80", -1, true },
    };

    [Theory]
    [MemberData(nameof(TrapsAnywhere))]
    public void The_kernel_gets_its_own_traps_on_the_stack_it_has(
        string what, int vector, string before, string instruction, int error, bool after)
    {
        uint start = Prepare(before, instruction, TrapCode, Linear(TrapCode), after);
        _guest.Kernel(a =>
        {
            PrepareKernel(a, vector);
            a.jmp(Linear(TrapCode));
        });

        _guest.RunUntilPowerOff();

        Assert.NotEmpty(what);
        uint frame = _guest.Read(Scratch) - PageOffset;
        Assert.InRange(frame, BootStackTop - 0x40, BootStackTop);
        frame = CheckErrorCode(frame, vector, error);
        Assert.Equal(start, _guest.Read(frame));
        Assert.Equal(KernelCode, _guest.Read16(frame + 4));
        Assert.Equal(0x202u, _guest.Read(frame + 8) & 0x4702 & ~(vector == 1 ? Eflags.Tf : 0));
        CheckFaultAddress(vector, instruction);
    }

    [Theory]
    [MemberData(nameof(TrapsAnywhere))]
    [MemberData(nameof(TrapsOfPrograms))]
    public void A_programs_traps_come_to_the_kernel_on_the_kernels_stack(
        string what, int vector, string before, string instruction, int error, bool after)
    {
        uint start = Prepare(before, instruction, UserCode, UserCodeLinear, after);
        _guest.Kernel(a =>
        {
            PrepareKernel(a, vector);
            a.EnterUser();
        });

        _guest.RunUntilPowerOff();

        Assert.NotEmpty(what);
        uint frame = _guest.Read(Scratch) - PageOffset;
        Assert.Equal(KernelStackTop - (error < 0 ? 20u : 24u), frame);
        frame = CheckErrorCode(frame, vector, vector == 14 ? error | 4 : error);
        Assert.Equal(start, _guest.Read(frame));
        Assert.Equal(UserCodeSelector, _guest.Read16(frame + 4));
        Assert.Equal(0x202u, _guest.Read(frame + 8) & 0x4702 & ~(vector == 1 ? Eflags.Tf : 0));
        Assert.InRange(_guest.Read(frame + 12), UserStackTop - 0x20, UserStackTop);
        Assert.Equal(UserDataSelector, _guest.Read16(frame + 16));
        CheckFaultAddress(vector, instruction);
    }

    [Theory]
    [InlineData(KernelAssembly.InterruptGate, 0u)]
    [InlineData(KernelAssembly.TrapGate, 0x200u)]
    public void Only_an_interrupt_gate_masks_interrupts(uint type, uint expected)
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(6, handler, type);
            a.EnableInterrupts();
            a.ud2();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(expected, _guest.Read(IrqEnabled));
    }

    [Theory]
    [InlineData(0x246u, 0x200u)]
    [InlineData(0x46u, 0u)]
    [InlineData(0u, 0u)]
    public void The_frame_shows_bit_9_of_irq_enabled_as_the_interrupt_flag(uint enabled, uint expected)
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(6, handler);
            a.mov(__dword_ptr[Linear(IrqEnabled)], enabled);
            a.ud2();
        });

        _guest.RunUntilPowerOff();

        uint frame = _guest.Read(Scratch) - PageOffset;
        Assert.Equal(expected, _guest.Read(frame + 8) & Eflags.If);
        Assert.Equal(Eflags.If, _guest.Guest.Processor.Eflags & Eflags.If);
    }

    [Fact]
    public void A_handler_starts_without_single_step_and_nested_task()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.pushfd();
            a.pop(eax);
            a.Note(eax, 1);
            a.NoteFrameAndPowerOff();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(1, handler);
            a.push(0x4302);
            a.popfd();
            a.nop();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0u, _guest.Read(Scratch + 4) & (Eflags.Tf | Eflags.Nt));
    }

    [Fact]
    public void A_handler_returns_to_the_program()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.add(eax, 1);
            a.iretd();
        });
        uint end = _guest.Handler(1, a =>
        {
            a.Note(eax);
            a.PowerOff();
        });
        _guest.User(a =>
        {
            a.mov(eax, 40);
            a.@int(0x80);
            a.@int(0x80);
            a.ud2();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PrepareUser();
            a.SetGate(0x80, handler, KernelAssembly.TrapGate, 3);
            a.SetGate(6, end);
            a.EnterUser();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(42u, _guest.Read(Scratch));
    }

    [Fact]
    public void The_kernel_may_make_system_calls_itself_and_keeps_its_stack()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(0x80, handler, KernelAssembly.TrapGate, 3);
            a.@int(0x80);
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(Linear(BootStackTop) - 12, _guest.Read(Scratch));
    }

    [Theory]
    [InlineData("0f0b", "unhandled trap 6 at 0xc0001800 (EIP 0xc0001800)")]
    [InlineData("f4", "unhandled trap 13 (error code 0x0) at 0xc0001800 (EIP 0xc0001800)")]
    [InlineData("a178563412", "unhandled trap 14 (address 0x12345678, error code 0) at 0xc0001800 (EIP 0xc0001800)")]
    public void A_trap_without_a_handler_is_the_kernels_death(string instruction, string sentence)
    {
        _guest.Write(TrapCode, Convert.FromHexString(instruction));
        _guest.Kernel(a => a.jmp(Linear(TrapCode)));

        Assert.Equal(sentence, _guest.RunUntilDead());
    }

    [Fact]
    public void A_gate_that_is_taken_back_is_no_handler()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(6, Linear(Handlers));
            a.Hypercall(KernelAssembly.LoadIdtEntry, 6, 0x61_0000, 0);
            a.ud2();
        });

        Assert.StartsWith("unhandled trap 6 at 0xc000", _guest.RunUntilDead());
    }

    [Fact]
    public void A_fault_while_entering_a_handler_is_the_kernels_death()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(6, Linear(Handlers));
            a.mov(esp, 0x3000);
            a.ud2();
        });

        Assert.Matches(
            "^unhandled trap 6 at 0xc000[0-9a-f]{4}: entering its handler gives trap 14 \\(address 0x00002f[0-9a-f]{2}, error code 2\\) \\(EIP 0xc000",
            _guest.RunUntilDead());
    }

    [Fact]
    public void A_kernel_whose_handler_faults_by_itself_is_dead()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(14, 0x0900_0000);
            a.mov(eax, __dword_ptr[0x1234_5678]);
        });

        Assert.Matches(
            "^the guest loops on faults: 100 without an instruction in between, now trap 14 \\(address 0x09000000, error code 0\\) \\(EIP 0x09000000\\)$",
            _guest.RunUntilDead());
    }

    [Fact]
    public void A_kernel_with_an_endless_loop_of_faults_that_executes_something_is_left_alone()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.add(esp, 4);
            a.iretd();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(14, handler);
            a.mov(eax, __dword_ptr[0x1234_5678]);
        });

        Assert.Equal(new GuestOutcome.InstructionLimit(), _guest.Run(10_000));
    }

    [Fact]
    public void The_kernel_may_read_debug_registers()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(esi, dr0);
            a.mov(edi, dr6);
            a.mov(ebp, dr7);
            a.Note(esi, 0);
            a.Note(edi, 1);
            a.Note(ebp, 2);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0u, _guest.Read(Scratch));
        Assert.Equal(0xffff_0ff0u, _guest.Read(Scratch + 4));
        Assert.Equal(0x400u, _guest.Read(Scratch + 8));
    }

    [Fact]
    public void After_a_single_step_dr6_says_so()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.mov(eax, dr6);
            a.Note(eax);
            a.PowerOff();
        });
        _guest.User(a => a.nop());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PrepareUser();
            a.SetGate(1, handler);
            a.EnterUser(0x302);
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0xffff_4ff0u, _guest.Read(Scratch));
    }

    [Fact]
    public void Ports_answer_all_ones_to_the_kernel()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.xor(eax, eax);
            a.@in(al, 0x60);
            a.Note(eax, 0);
            a.xor(eax, eax);
            a.mov(edx, 0xcf8);
            a.@in(ax, dx);
            a.Note(eax, 1);
            a.xor(eax, eax);
            a.@in(eax, dx);
            a.Note(eax, 2);
            a.@out(dx, eax);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0xffu, _guest.Read(Scratch));
        Assert.Equal(0xffffu, _guest.Read(Scratch + 4));
        Assert.Equal(uint.MaxValue, _guest.Read(Scratch + 8));
    }

    [Fact]
    public void The_frames_of_a_fault_say_which_stack_a_program_had()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.User(a =>
        {
            a.push(1);
            a.ud2();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PrepareUser();
            a.SetGate(6, handler);
            a.EnterUser();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(UserStackTop - 4, _guest.Read(_guest.Read(Scratch) - PageOffset + 12));
    }

    /// <summary>Puts the code where it belongs; EIP that the frame must show.</summary>
    private uint Prepare(string before, string instruction, uint physical, uint linear, bool after)
    {
        byte[] code = Convert.FromHexString(before + instruction);
        _guest.Write(physical, code);

        // What single rows need: the pair of BOUND, a read-only page, a supervisor's page, a data segment
        // that isn't present, with the DPL of whoever is going to load it.
        _guest.Write(BoundPair, 6);
        _guest.Write(BoundPair + 4, 7);
        _guest.Write(UserTable + (4 * 6), 0x2_0000 | 5);
        _guest.Write(KernelTable + (4 * 0x30), 0x3_0000 | 3);
        _guest.Write(Gdt + (9 * 8), 0x0000_ffff);
        _guest.Write(Gdt + (9 * 8) + 4, physical == UserCode ? 0x00cf_7200u : 0x00cf_3200);
        int offset = after ? code.Length : before.Length / 2;
        return linear + (uint)offset;
    }

    private void PrepareKernel(Iced.Intel.Assembler a, int vector)
    {
        uint handler = _guest.Handler(0, b => b.NoteFrameAndPowerOff());
        a.InitHypercall();
        a.PrepareUser();
        a.SetGate((uint)vector, handler, privilege: vector is 3 or 4 or 0x80 ? 3u : 0);
        if (vector == 7)
        {
            a.Hypercall(KernelAssembly.TaskSwitched, 1);
        }

        a.EnableInterrupts();
    }

    private uint CheckErrorCode(uint frame, int vector, int error)
    {
        if (error < 0)
        {
            return frame;
        }

        Assert.Equal((uint)error, _guest.Read(frame));
        return frame + 4;
    }

    private void CheckFaultAddress(int vector, string instruction)
    {
        if (vector == ExceptionVector.PageFault)
        {
            uint address = BitConverter.ToUInt32(Convert.FromHexString(instruction), 1);
            Assert.Equal(address, _guest.Read(FaultAddress));
        }
    }
}
