using Iced.Intel;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Translator;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>What the translator may do, and what becomes of everything without it.</summary>
public sealed unsafe class TranslatorTests
{
    private const int Programs = 200;

    /// <summary>Registers of 64 bits that emitted code may address memory with: the state, a host address and the offset to it.</summary>
    private static readonly HashSet<Register> Bases = [Register.R14, Register.R10, Register.None];

    /// <summary>Instructions that go to Iced's encoder as they are, and those around them.</summary>
    private static readonly HashSet<Mnemonic> Emitted =
    [
        Mnemonic.Add, Mnemonic.Or, Mnemonic.Adc, Mnemonic.Sbb, Mnemonic.And, Mnemonic.Sub, Mnemonic.Xor, Mnemonic.Cmp, Mnemonic.Test,
        Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Neg, Mnemonic.Not, Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol,
        Mnemonic.Ror, Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Cwde, Mnemonic.Cbw, Mnemonic.Cdq, Mnemonic.Cwd, Mnemonic.Mov,
        Mnemonic.Imul, Mnemonic.Mul, Mnemonic.Xchg, Mnemonic.Xadd, Mnemonic.Cmpxchg, Mnemonic.Bswap, Mnemonic.Lea, Mnemonic.Jmp, Mnemonic.Lahf, Mnemonic.Sahf,
        Mnemonic.Rcl, Mnemonic.Rcr, Mnemonic.Shld, Mnemonic.Shrd, Mnemonic.Div, Mnemonic.Idiv, Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr,
        Mnemonic.Btc, Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Clc, Mnemonic.Stc, Mnemonic.Cmc, Mnemonic.Cmpxchg8b,
        Mnemonic.Movsb, Mnemonic.Movsw, Mnemonic.Movsd, Mnemonic.Stosb, Mnemonic.Stosw, Mnemonic.Stosd,
    ];

    /// <summary>
    /// Were a form on the list only left to the interpreter, the tests would compare the interpreter with itself. Were something of the
    /// host's seen that the manual leaves open, they would fail on another host: so here it is another value than this one's.
    /// </summary>
    [Fact]
    public void Every_test_of_the_processor_passes_with_it_and_they_execute_all_that_is_on_its_list()
    {
        Assert.SkipWhen(TestEngine.Current != Engine.Interpreter, "This is such a run.");
        TestEngine.SkipUnlessTranslating();
        string record = Path.GetTempFileName();
        try
        {
            TestProcess.RunAll("scrambled", record);
            var executed = ExecutionRecord.Read(record).Keys.Select(key => key.Code).ToHashSet();
            string[] missing = [.. TranslatedEncodings.All.Where(code => !executed.Contains(code)).Select(code => code.ToString())];
            Assert.True(missing.Length == 0, $"Translated code never executes {string.Join(' ', missing)}.");
        }
        finally
        {
            File.Delete(record);
        }
    }

    /// <summary>Whatever a guest's code is, what is emitted for it is on the list, and touches only the state and guest memory.</summary>
    [Fact]
    public void Nothing_else_is_ever_emitted()
    {
        Assert.SkipWhen(TestEngine.Current == Engine.Scrambled, "What changes open values is emitted in tests only.");
        TestEngine.SkipUnlessTranslating();
        long checkedInstructions = 0;
        for (int seed = 0; seed < Programs; seed++)
        {
            using var machine = new Machine();
            machine.Cpu.TryTranslate(threshold: 0);
            var random = new Random(seed);
            var program = new RandomProgram(random, 0x3000);
            machine.Memory.Write(0x3000, program.Bytes);
            for (int i = 0; i < 20; i++)
            {
                machine.Cpu.State.Eip = program.AnyStart();
                machine.Cpu.State.Esp = 0x8000;
                machine.Cpu.Run(500);
            }

            checkedInstructions += Check(machine.Cpu.Translations!.EmittedForGuests, seed);
        }

        Assert.True(checkedInstructions > Programs * 1000, $"Only {checkedInstructions} instructions were emitted.");
    }

    /// <summary>What isn't on the list costs the rest of its block nothing: only itself is interpreted.</summary>
    [Fact]
    public void The_interpreter_comes_back_in_the_middle_of_a_block()
    {
        TestEngine.SkipUnlessTranslating();
        using var machine = new Machine();
        machine.Cpu.TryTranslate(threshold: 0);
        machine.Assemble(a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.inc(eax);
            a.aas();
            a.add(ebx, 3);
            a.lea(ecx, __[ecx + 5]);
            a.xor(edx, ebx);
            a.jmp(loop);
        });
        machine.Cpu.Run(6000);

        // One of six is the interpreter's, and so is a little before all is linked.
        Assert.InRange(machine.Cpu.TranslatedInstructions, 4990ul, 5000ul);
    }

    /// <summary>Calls of many places of one page find them all in the jump cache: none takes another's entry.</summary>
    [Fact]
    public void A_page_may_have_many_targets()
    {
        const uint Functions = 0x5000;
        const int Count = 128;
        const uint Distance = 16;
        TestEngine.SkipUnlessTranslating();
        using var machine = new Machine();
        machine.Cpu.TryTranslate(threshold: 0);
        machine.Assemble(a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            for (uint i = 0; i < Count; i++)
            {
                // ret
                machine.Memory.Write(Functions + (i * Distance), [0xC3]);
                a.call(Functions + (i * Distance));
                a.nop(11);
            }

            a.jmp(loop);
        });
        machine.Cpu.State.Esp = 0x9000;
        machine.Cpu.Run(10_000);
        ulong before = machine.Cpu.TranslatedInstructions;
        machine.Cpu.Run(100_000);

        // The last block doesn't fit into a run as a rule.
        Assert.InRange(machine.Cpu.TranslatedInstructions - before, 99_900ul, 100_000ul);
    }

    /// <summary>What is known to change of the registers is all that changes: else a group would go on with another address.</summary>
    [Fact]
    public void No_register_changes_unnoticed()
    {
        var factory = new InstructionInfoFactory();
        int seen = 0;
        foreach (EncodingSample sample in Enum.GetValues<Code>()
            .Where(code => code.ToOpCode() is { IsInstruction: true, Mode32: true }).SelectMany(EncodingSample.Of))
        {
            Instruction instruction = EncodingSample.Decode(sample.Bytes, DecoderOptions.None);
            TranslatedForm form = instruction.IsInvalid ? TranslatedForm.None : TranslatedForms.Of(instruction);
            int known = RegisterChanges.Of(instruction, form);
            foreach (UsedRegister used in factory.GetInfo(instruction).GetUsedRegisters())
            {
                bool isWritten = used.Access is OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite;
                if (form != TranslatedForm.None && isWritten && used.Register.IsGPR())
                {
                    Assert.True((known & RegisterChanges.Bit(used.Register)) != 0, $"{sample} changes {used.Register}");
                    seen++;
                }
            }
        }

        Assert.True(seen > 500, $"Only {seen} changes were seen.");
    }

    [Theory]
    [InlineData(0x9010, 0)]
    [InlineData(0x9FFC, 1)]
    public void A_group_across_two_pages_is_given_up(uint address, int dropped)
    {
        TestEngine.SkipUnlessTranslating();
        using var machine = new Machine();
        machine.Cpu.TryTranslate(threshold: 0);
        var assembler = new Assembler(32);
        Label loop = assembler.CreateLabel();
        assembler.Label(ref loop);
        assembler.inc(__dword_ptr[ebx]);
        assembler.inc(__dword_ptr[ebx + 4]);
        assembler.jmp(loop);
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), 0x3000);
        machine.Memory.Write(0x3000, code.ToArray());
        machine.Cpu.State.Eip = 0x3000;
        machine.Cpu.State.Ebx = address;
        machine.Cpu.Run(3000);

        Assert.Equal(1000u, machine.ReadUInt32(address));
        Assert.Equal(1000u, machine.ReadUInt32(address + 4));
        Assert.Equal(1ul + (ulong)dropped, machine.Cpu.TranslatedBlocks);
        Assert.InRange(machine.Cpu.TranslatedInstructions, 2850ul, 3000ul);
    }

    [Fact]
    public void No_memory_is_both_written_and_executed()
    {
        TestEngine.SkipUnlessTranslating();
        using ExecutableMemory memory = ExecutableMemory.TryCreate(1 << 20)!;
        string[] mappings = [.. File.ReadLines("/proc/self/maps").Where(line => line.Contains("lguest-translated", StringComparison.Ordinal))];
        Assert.NotEmpty(mappings);
        Assert.All(mappings, line => Assert.DoesNotContain(" rwx", line, StringComparison.Ordinal));
    }

    [Fact]
    public void A_host_that_gives_no_executable_memory_is_no_failure() => Assert.Null(ExecutableMemory.TryCreate(-4096));

    private static int Check(ReadOnlySpan<byte> code, int seed)
    {
        byte[] bytes = code.ToArray();
        var decoder = Decoder.Create(64, bytes);
        int count = 0;

        // Whether RSI has a host address: so it is for a guest's AH to BH, for which there are few encodings.
        bool isSwapped = false;

        // The registers that host addresses have just been brought into, for a REP MOVS or REP STOS.
        var loaded = new HashSet<Register>();
        while (decoder.IP < (ulong)bytes.Length)
        {
            Instruction instruction = decoder.Decode();
            count++;
            bool isPadding = instruction.Mnemonic == Mnemonic.Int3;
            bool isListed = Emitted.Contains(instruction.Mnemonic) || EmittedForUnits.All.Contains(instruction.Mnemonic) || instruction.ConditionCode != ConditionCode.None;
            bool isWithin = instruction.MemoryBase == Register.None || instruction.Mnemonic == Mnemonic.Lea
                || Bases.Contains(instruction.MemoryBase) || (isSwapped && instruction.MemoryBase == Register.RSI);
            isSwapped ^= instruction is { Code: Code.Xchg_rm64_r64, Op0Register: Register.RSI, Op1Register: Register.R10 };
            isWithin &= !isSwapped || instruction.FlowControl == FlowControl.Next;
            if (instruction.IsStringInstruction)
            {
                bool isMove = TranslatedForms.StringOf(instruction) == StringKind.Move;
                isWithin &= instruction.HasRepPrefix && loaded.Contains(Register.RDI) && (!isMove || loaded.Contains(Register.RSI));
            }

            if (instruction is { Code: Code.Mov_r64_rm64, Op0Register: Register.RSI or Register.RDI, Op1Register: Register.R11 or Register.R8 })
            {
                loaded.Add(instruction.Op0Register);
            }
            else
            {
                loaded.Clear();
            }
            bool isStackUntouched = instruction.UsedRegisters().All(register => register != Register.RSP);
            Assert.True(
                isPadding || (isListed && isWithin && isStackUntouched && instruction.SegmentPrefix == Register.None),
                $"seed {seed}: {instruction} at {instruction.IP:x}");
        }

        return count;
    }
}

/// <summary>The registers that an instruction names.</summary>
file static class NamedRegisters
{
    public static IEnumerable<Register> UsedRegisters(this Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register)
            {
                yield return instruction.GetOpRegister(i).GetFullRegister();
            }
        }

        yield return instruction.MemoryBase.GetFullRegister();
        yield return instruction.MemoryIndex.GetFullRegister();
    }
}
