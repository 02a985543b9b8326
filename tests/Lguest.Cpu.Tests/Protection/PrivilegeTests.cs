using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>What each ring may do, and what the system instructions do when they may.</summary>
public sealed class PrivilegeTests : IPortHandler, IDisposable
{
    private readonly ProtectedMachine _machine = new();
    private readonly List<(string Kind, ushort Port, int Size, uint Value)> _ports = [];

    public PrivilegeTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Ports = this;
    }

    private ref ProcessorState State => ref _machine.State;

    /// <summary>Instructions that only ring 0 executes, as bytes.</summary>
    public static TheoryData<string, byte[]> Privileged => new()
    {
        { "hlt", [0xf4] },
        { "clts", [0x0f, 0x06] },
        { "invd", [0x0f, 0x08] },
        { "wbinvd", [0x0f, 0x09] },
        { "wbnoinvd", [0xf3, 0x0f, 0x09] },
        { "invlpg [eax]", [0x0f, 0x01, 0x38] },
        { "lgdt [ebx]", [0x0f, 0x01, 0x13] },
        { "lidt [ebx]", [0x0f, 0x01, 0x1b] },
        { "lldt ax", [0x0f, 0x00, 0xd0] },
        { "ltr ax", [0x0f, 0x00, 0xd8] },
        { "lmsw ax", [0x0f, 0x01, 0xf0] },
        { "mov eax, cr0", [0x0f, 0x20, 0xc0] },
        { "mov eax, cr2", [0x0f, 0x20, 0xd0] },
        { "mov eax, cr3", [0x0f, 0x20, 0xd8] },
        { "mov eax, cr4", [0x0f, 0x20, 0xe0] },
        { "mov cr0, eax", [0x0f, 0x22, 0xc0] },
        { "mov cr3, eax", [0x0f, 0x22, 0xd8] },
        { "mov cr4, eax", [0x0f, 0x22, 0xe0] },
        { "mov eax, dr0", [0x0f, 0x21, 0xc0] },
        { "mov eax, dr6", [0x0f, 0x21, 0xf0] },
        { "mov dr7, eax", [0x0f, 0x23, 0xf8] },
        { "rdmsr", [0x0f, 0x32] },
        { "wrmsr", [0x0f, 0x30] },
        { "cli", [0xfa] },
        { "sti", [0xfb] },
        { "in al, dx", [0xec] },
        { "in eax, dx", [0xed] },
        { "out dx, al", [0xee] },
        { "in al, 5", [0xe4, 0x05] },
        { "out 5, ax", [0x66, 0xe7, 0x05] },
        { "insb", [0x6c] },
        { "outsb", [0x6e] },
        { "rep insd", [0xf3, 0x6d] },
    };

    [Theory]
    [MemberData(nameof(Privileged))]
    public void Privileged_instructions_fault_in_outer_rings_and_change_nothing(string name, byte[] code)
    {
        foreach (int ring in (int[])[1, 3])
        {
            _machine.EnterRing(ring);
            State.Eax = 0x8000_0011;
            State.Ebx = 0x2000;
            State.Ecx = 0x10;
            State.Edi = State.Esi = 0x2000;
            _machine.Exceptions.Clear();
            const byte incrementEbp = 0x45;
            State.Ebp = 0x77;
            Execute([.. code, incrementEbp], 2);

            ExceptionInfo exception = Assert.Single(_machine.Exceptions);
            Assert.Equal(0x77u, State.Ebp);
            Assert.True(
                exception is { Vector: ExceptionVector.GeneralProtection, ErrorCode: 0, InstructionEip: Machine.CodeBase },
                $"{name} in ring {ring}: {exception}");
            Assert.Equal(0x8000_0011u, State.Eax);
            Assert.Equal(0ul, _machine.Cpu.Retired);
            Assert.Empty(_ports);
        }
    }

    [Theory]
    [MemberData(nameof(Privileged))]
    public void Privileged_instructions_execute_in_ring_0(string name, byte[] code)
    {
        _machine.Machine.WriteUInt32(0x2000, 0);
        State.Eax = name switch
        {
            "ltr ax" => OtherTssSelector,
            "lldt ax" => LdtSelector,
            "mov cr4, eax" => 0,
            _ => 0x0000_0031,
        };
        State.Ebx = 0x2000;
        State.Ecx = name is "rdmsr" or "wrmsr" ? 0x10u : 1;
        State.Edi = State.Esi = 0x2000;
        Execute(code);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(1ul, _machine.Cpu.Retired);
        Assert.Equal(Machine.CodeBase + (uint)code.Length, State.Eip);
    }

    /// <summary>System instructions that every ring executes.</summary>
    public static TheoryData<string, byte[]> Unprivileged => new()
    {
        { "sgdt [ebx]", [0x0f, 0x01, 0x03] },
        { "sidt [ebx]", [0x0f, 0x01, 0x0b] },
        { "sldt eax", [0x0f, 0x00, 0xc0] },
        { "str eax", [0x0f, 0x00, 0xc8] },
        { "smsw eax", [0x0f, 0x01, 0xe0] },
        { "cpuid", [0x0f, 0xa2] },
        { "rdtsc", [0x0f, 0x31] },
        { "pushf", [0x9c] },
    };

    [Theory]
    [MemberData(nameof(Unprivileged))]
    public void Some_system_instructions_are_for_all(string name, byte[] code)
    {
        _machine.EnterRing(3);
        State.Ebx = 0x2000;
        Execute(code);
        Assert.True(_machine.Exceptions.Count == 0, name);
    }

    /// <summary>Encodings that no ring may use here.</summary>
    public static TheoryData<string, byte[], int> Never => new()
    {
        { "sysenter", [0x0f, 0x34], ExceptionVector.GeneralProtection },
        { "sysexit", [0x0f, 0x35], ExceptionVector.GeneralProtection },
        { "rdpmc", [0x0f, 0x33], ExceptionVector.GeneralProtection },
        { "syscall", [0x0f, 0x05], ExceptionVector.InvalidOpcode },
        { "rdtscp", [0x0f, 0x01, 0xf9], ExceptionVector.InvalidOpcode },
        { "monitor", [0x0f, 0x01, 0xc8], ExceptionVector.InvalidOpcode },
        { "mwait", [0x0f, 0x01, 0xc9], ExceptionVector.InvalidOpcode },
        { "rsm", [0x0f, 0xaa], ExceptionVector.InvalidOpcode },
        { "mov eax, cr1", [0x0f, 0x20, 0xc8], ExceptionVector.InvalidOpcode },
        { "mov eax, cr5", [0x0f, 0x20, 0xe8], ExceptionVector.InvalidOpcode },
        { "mov eax, cr6", [0x0f, 0x20, 0xf0], ExceptionVector.InvalidOpcode },
        { "mov eax, cr7", [0x0f, 0x20, 0xf8], ExceptionVector.InvalidOpcode },
        { "mov cr1, eax", [0x0f, 0x22, 0xc8], ExceptionVector.InvalidOpcode },
        { "mov cr5, eax", [0x0f, 0x22, 0xe8], ExceptionVector.InvalidOpcode },
        { "mov cr6, eax", [0x0f, 0x22, 0xf0], ExceptionVector.InvalidOpcode },
        { "mov cr7, eax", [0x0f, 0x22, 0xf8], ExceptionVector.InvalidOpcode },
        { "lock mov eax, cr0", [0xf0, 0x0f, 0x20, 0xc0], ExceptionVector.InvalidOpcode },
        { "lock mov cr0, eax", [0xf0, 0x0f, 0x22, 0xc0], ExceptionVector.InvalidOpcode },
        { "lea eax, eax", [0x8d, 0xc0], ExceptionVector.InvalidOpcode },
        { "lock hlt", [0xf0, 0xf4], ExceptionVector.InvalidOpcode },
        { "vmcall", [0x0f, 0x01, 0xc1], ExceptionVector.InvalidOpcode },
    };

    [Theory]
    [MemberData(nameof(Never))]
    public void Some_encodings_fault_in_every_ring(string name, byte[] code, int vector)
    {
        foreach (int ring in (int[])[0, 3])
        {
            _machine.EnterRing(ring);
            Execute(code);
            ExceptionInfo exception = _machine.Exceptions[^1];
            Assert.True(exception.Vector == vector && exception.ErrorCode == 0, $"{name}: {exception}");
        }
    }

    /// <summary>Ring, IOPL, and whether IF and IOPL change.</summary>
    public static TheoryData<int, int, bool, bool> Pops => new()
    {
        { 0, 0, true, true },
        { 0, 3, true, true },
        { 1, 0, false, false },
        { 1, 1, true, false },
        { 1, 3, true, false },
        { 3, 0, false, false },
        { 3, 2, false, false },
        { 3, 3, true, false },
    };

    [Theory]
    [MemberData(nameof(Pops))]
    public void Popf_and_iret_change_if_and_iopl_as_far_as_privilege_goes(int ring, int iopl, bool changesIf, bool changesIopl)
    {
        const uint Free = Eflags.Id | Eflags.Ac | Eflags.Nt | Eflags.Df | Eflags.Arithmetic;
        foreach (string form in (string[])["popfd", "popfw", "iretd", "iretw"])
        {
            foreach (bool set in (bool[])[false, true])
            {
                _machine.EnterRing(ring);
                uint oldIopl = (uint)iopl << 12;
                uint image = set ? Free | Eflags.If | (~oldIopl & Eflags.Iopl) : ~oldIopl & Eflags.Iopl;
                uint before = set ? oldIopl | Eflags.Fixed : oldIopl | Eflags.If | Eflags.Fixed;
                before |= form.EndsWith('w') && !set ? Eflags.Id | Eflags.Vif : 0;
                image |= form == "iretd" && set ? Eflags.Vif | Eflags.Vip : 0;
                _machine.Cpu.Eflags = before;
                State.Esp = 0x2000;
                ushort[] words = [(ushort)Machine.CodeBase, State.Cs.Selector, (ushort)image];
                uint[] frame = form switch
                {
                    "iretd" => [Machine.CodeBase, State.Cs.Selector, image],
                    "iretw" => [words[0] | ((uint)words[1] << 16), words[2]],
                    _ => [image],
                };
                for (uint i = 0; i < frame.Length; i++)
                {
                    _machine.Machine.WriteUInt32(0x2000 + (4 * i), frame[i]);
                }

                Execute(form switch
                {
                    "popfd" => [0x9d],
                    "popfw" => [0x66, 0x9d],
                    "iretw" => [0x66, 0xcf],
                    _ => [0xcf],
                });

                uint writable = Free | (changesIf ? Eflags.If : 0) | (changesIopl ? Eflags.Iopl : 0);
                writable |= form == "iretd" && ring == 0 ? Eflags.Vif | Eflags.Vip : 0;
                writable &= form.EndsWith('w') ? ushort.MaxValue : uint.MaxValue;
                uint expected = (before & ~writable) | (image & writable);
                Assert.True(
                    expected == _machine.Cpu.Eflags,
                    $"{form} in ring {ring}, IOPL {iopl}: 0x{_machine.Cpu.Eflags:x}, not 0x{expected:x}");
                Assert.Empty(_machine.Exceptions);
            }
        }
    }

    [Theory]
    [InlineData(0, 0, true)]
    [InlineData(1, 0, false)]
    [InlineData(1, 1, true)]
    [InlineData(3, 2, false)]
    [InlineData(3, 3, true)]
    public void Cli_sti_and_ports_depend_on_iopl(int ring, int iopl, bool allowed)
    {
        foreach (byte[] code in (byte[][])[[0xfa], [0xfb], [0xec], [0xee], [0x6c], [0x6e]])
        {
            _machine.EnterRing(ring);
            _machine.Cpu.Eflags = (uint)iopl << 12;
            State.Edi = State.Esi = 0x2000;
            _machine.Exceptions.Clear();
            Execute(code);
            Assert.Equal(allowed ? 0 : 1, _machine.Exceptions.Count);
        }
    }

    [Fact]
    public void Cli_and_sti_change_if_and_nothing_else()
    {
        const uint others = Eflags.Fixed | Eflags.Df | Eflags.Cf | Eflags.Iopl;
        foreach (uint before in (uint[])[others, others | Eflags.If])
        {
            _machine.Cpu.Eflags = before;
            Execute([0xfa]);
            Assert.Equal(others, _machine.Cpu.Eflags);
            _machine.Cpu.Eflags = before;
            Execute([0xfb]);
            Assert.Equal(others | Eflags.If, _machine.Cpu.Eflags);
        }
    }

    [Fact]
    public void Pushf_shows_neither_rf_nor_vm()
    {
        _machine.Cpu.Eflags = Eflags.Rf | Eflags.Id | Eflags.Cf | Eflags.Fixed;
        Execute([0x9c]);
        Assert.Equal(Eflags.Id | Eflags.Cf | Eflags.Fixed, _machine.StackDword(0));
    }

    [Fact]
    public void Alignment_is_checked_from_the_instruction_after_popf_on()
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Am);
        _machine.EnterRing(3);
        foreach (uint flag in (uint[])[Eflags.Ac, 0])
        {
            _machine.Cpu.Eflags = Eflags.Fixed | (Eflags.Ac - flag);
            State.Esp = 0x2000;
            _machine.Machine.WriteUInt32(0x2000, flag);
            _machine.Exceptions.Clear();

            // POPFD, MOV EAX, [2001].
            Execute([0x9d, 0xa1, 0x01, 0x20, 0x00, 0x00], 2);
            int[] expected = flag == 0 ? [] : [ExceptionVector.AlignmentCheck];
            Assert.Equal(expected, _machine.Exceptions.Select(e => e.Vector));
        }
    }

    [Theory]
    [InlineData(1u, new byte[] { 0x8a, 0x06 })]
    [InlineData(2u, new byte[] { 0x66, 0x8b, 0x06 })]
    [InlineData(4u, new byte[] { 0x8b, 0x06 })]
    [InlineData(8u, new byte[] { 0xdd, 0x06 })]
    [InlineData(1u, new byte[] { 0x88, 0x06 })]
    [InlineData(2u, new byte[] { 0x66, 0x89, 0x06 })]
    [InlineData(4u, new byte[] { 0x89, 0x06 })]
    [InlineData(8u, new byte[] { 0xdd, 0x16 })]
    public void While_alignment_is_checked_an_operands_address_is_a_multiple_of_its_size(uint size, byte[] code)
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Am);
        _machine.EnterRing(3);
        _machine.Cpu.Eflags = Eflags.Fixed | Eflags.Ac;
        for (uint offset = 0; offset < 16; offset++)
        {
            State.Esi = Machine.DataBase + offset;
            _machine.Exceptions.Clear();
            Execute(code);
            int[] expected = offset % size == 0 ? [] : [ExceptionVector.AlignmentCheck];
            Assert.Equal(expected, _machine.Exceptions.Select(e => e.Vector));
        }

        // Not by AC alone.
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) & ~Cr0.Am);
        _machine.Exceptions.Clear();
        Execute(code);
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void Cpuid_fills_four_registers()
    {
        foreach (uint leaf in (uint[])[0, 1, 2, 4, 0x8000_0002])
        {
            (State.Eax, State.Ebx, State.Ecx, State.Edx) = (leaf, 1, 0, 2);
            Execute([0x0f, 0xa2]);
            CpuidLeaf answer = CpuidModel.Default.Answer(leaf, 0);
            Assert.Equal((answer.Eax, answer.Ebx, answer.Ecx, answer.Edx), (State.Eax, State.Ebx, State.Ecx, State.Edx));
        }
    }

    /// <summary>A control register, a value, and whether it may be written.</summary>
    private const uint ReservedCr0 = 0x1ffa_ffc0;

    public static TheoryData<int, uint, bool> ControlWrites => new()
    {
        { 0, Cr0.Pe, true },
        { 0, Cr0.Pe | ReservedCr0, true },
        { 0, 0, false },
        { 0, Cr0.Pe | Cr0.Nw, false },
        { 0, Cr0.Pe | Cr0.Nw | Cr0.Cd, true },
        { 0, Cr0.Pg, false },
        { 2, 0x1234_5678, true },
        { 3, 0x0012_3018, true },
        { 4, 0, true },
        { 4, Cr4.Pge | Cr4.Tsd | Cr4.Osfxsr | Cr4.Osxmmexcpt | Cr4.Pce, true },
        { 4, Cr4.Pse, false },
        { 4, Cr4.Pae, false },
        { 4, Cr4.Vme, false },
        { 4, Cr4.De, false },
        { 4, 0x8000_0000, false },
    };

    [Theory]
    [MemberData(nameof(ControlWrites))]
    public void Control_registers_take_the_bits_that_exist(int number, uint value, bool allowed)
    {
        uint before = _machine.Cpu.ReadControlRegister(number);
        State.Eax = value;
        Execute([0x0f, 0x22, (byte)(0xc0 | (number << 3))]);
        Assert.Equal(allowed ? 0 : 1, _machine.Exceptions.Count);
        uint expected = !allowed ? before : number == 0 ? (value & ~ReservedCr0) | Cr0.Et : value;
        Assert.Equal(expected, _machine.Cpu.ReadControlRegister(number));
    }

    /// <summary>SDM 2B, MOV: whatever ModRM.mod says, the other operand is a register.</summary>
    [Theory]
    [InlineData(0x05)]
    [InlineData(0x45)]
    [InlineData(0x85)]
    public void Control_and_debug_registers_move_to_registers_only(byte modrm)
    {
        foreach (byte opcode in (byte[])[0x20, 0x21])
        {
            State.Ebp = 0;
            State.SetDebug(0, Cr0.Pe | Cr0.Et);
            Execute([0x0f, opcode, modrm, 0x90], 2);
            Assert.Equal((Cr0.Pe | Cr0.Et, Machine.CodeBase + 4), (State.Ebp, State.Eip));
        }
    }

    [Fact]
    public void A_processor_with_large_pages_can_turn_them_on()
    {
        _machine.Cpu.Cpuid = CpuidModel.RingZero;
        State.Eax = Cr4.Pse;
        Execute([0x0f, 0x22, 0xe0]);
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void Lmsw_changes_the_low_four_bits_and_cannot_clear_pe()
    {
        _machine.Step(
            a =>
            {
                a.lmsw(ax);
                a.smsw(ecx);
                a.clts();
                a.smsw(bx);
            },
            4,
            eax: 0xfffe);
        Assert.Equal(Cr0.Pe | Cr0.Mp | Cr0.Em | Cr0.Ts | Cr0.Et, State.Ecx);
        Assert.Equal(Cr0.Pe | Cr0.Mp | Cr0.Em | Cr0.Et, State.Ebx);
        _machine.Step(a => a.lmsw(ax), eax: 0);
        Assert.Equal(Cr0.Pe | Cr0.Et, _machine.Cpu.ReadControlRegister(0));
    }

    [Fact]
    public void Descriptor_table_registers_load_and_store_in_both_sizes()
    {
        _machine.Memory.Write(0x2000, [0x34, 0x12, 0x78, 0x56, 0x34, 0xab]);
        _machine.Step(
            a =>
            {
                a.mov(ebx, 0x2000);
                a.lidt(__fword_ptr[ebx]);
                a.sidt(__fword_ptr[ebx + 16]);
                a.db(0x66, 0x0f, 0x01, 0x1b);
                a.sidt(__fword_ptr[ebx + 32]);
                a.sgdt(__fword_ptr[ebx + 48]);
            },
            6);
        Assert.Equal([0x34, 0x12, 0x78, 0x56, 0x34, 0xab], _machine.Memory.Span(0x2010, 6).ToArray());
        Assert.Equal([0x34, 0x12, 0x78, 0x56, 0x34, 0x00], _machine.Memory.Span(0x2020, 6).ToArray());
        Assert.Equal([0xff, 0x01, 0x00, 0x00, 0x01, 0x00], _machine.Memory.Span(0x2030, 6).ToArray());
    }

    [Fact]
    public void A_descriptor_table_register_is_stored_up_to_where_memory_ends()
    {
        for (uint inside = 1; inside < 6; inside++)
        {
            _machine.Memory.Write(Machine.MemorySize - 6, new byte[6]);
            State.Ebx = Machine.MemorySize - inside;
            _machine.Step(a => a.sidt(__fword_ptr[ebx]));
            byte[] stored = [0xff, 0x07, 0x00, 0x20, 0x01, 0x00];
            Assert.Equal(stored[..(int)inside], _machine.Memory.Span(State.Ebx, inside).ToArray());
        }
    }

    public void Dispose() => _machine.Dispose();

    uint IPortHandler.Read(ushort port, int size)
    {
        _ports.Add(("in", port, size, 0));
        return 0x9090_9000u | (byte)port;
    }

    void IPortHandler.Write(ushort port, int size, uint value)
    {
        _ports.Add(("out", port, size, value));
        if (port == 0x1ff)
        {
            _machine.Cpu.RequestStop();
        }
    }

    private void Execute(byte[] code, ulong instructions = 1)
    {
        _machine.Memory.Write(Machine.CodeBase, code);
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(instructions);
    }
}
