using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// Every integer instruction with a memory operand, the operand placed so that each byte in turn is the first (or
/// the last) on a page, or behind a limit, that doesn't allow the access. Nothing may have changed afterwards.
/// </summary>
[ResultsUnchecked]
public sealed class MemoryFaultTests : IDisposable
{
    private const uint First = 0x10_0000;
    private const uint Second = First + PagedMachine.PageSize;
    private const int Esi = 6;
    private const int Edi = 7;

    // Small enough that divisions by the memory fit and that bit numbers stay in the operand.
    private const uint Filler = 5;
    private const byte MemoryFiller = 0x7F;
    private const uint FlagsBefore = Eflags.Cf | Eflags.Of | Eflags.Pf;

    private readonly PagedMachine _machine = new();
    private readonly byte[] _before = new byte[2 * PagedMachine.PageSize];

    public enum Obstacle
    {
        Missing,
        ReadOnly,
        Supervisor,
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_that_reaches_a_forbidden_page_faults_and_changes_nothing(Code code)
    {
        foreach (Obstacle obstacle in Enum.GetValues<Obstacle>())
        {
            ForEachOperand(code, (form, operand) =>
            {
                for (uint inFirst = 0; inFirst <= operand.Size; inFirst++)
                {
                    if (inFirst < operand.Size)
                    {
                        CheckPage(form, operand, Second - inFirst, Second, obstacle);
                    }

                    if (inFirst > 0)
                    {
                        CheckPage(form, operand, Second - inFirst, First, obstacle);
                    }
                }
            });
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_behind_a_segments_limit_is_a_protection_fault_and_changes_nothing(Code code) =>
        ForEachOperand(code, (form, operand) =>
        {
            for (uint within = 0; within < operand.Size; within++)
            {
                SegmentRegister segment = SegmentOf(operand) with { Limit = First + within - 1 };
                CheckSegment(form, operand, segment, expectFault: true);
            }

            CheckSegment(form, operand, SegmentOf(operand) with { Limit = First + operand.Size - 1 }, expectFault: false);
            CheckSegment(form, operand, default, expectFault: true);
            SegmentRegister readOnly = SegmentOf(operand);
            readOnly.Access &= ~SegmentAccess.WritableOrReadable;
            CheckSegment(form, operand, readOnly, expectFault: operand.IsWritten);
        });

    public static TheoryData<Code> Instructions() => [.. IntegerForm.Codes.Where(HasMemory)];

    public void Dispose() => _machine.Dispose();

    private static bool HasMemory(Code code) =>
        code.Mnemonic() is not (Mnemonic.Nop or Mnemonic.Reservednop or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0
            or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2)
        && IntegerForm.TryMake(code, memory: true, new Random(1)) is not null;

    private static void ForEachOperand(Code code, Action<IntegerForm, Operand> check)
    {
        var factory = new InstructionInfoFactory();
        Random random = TestSize.SeededRandom(code.ToString());
        for (int encoding = 0; encoding < 3; encoding++)
        {
            IntegerForm form = IntegerForm.TryMake(code, memory: true, random)!;
            InstructionInfo info = factory.GetInfo(form.Decoded);
            for (int i = 0; i < form.Decoded.OpCount; i++)
            {
                OpKind kind = form.Decoded.GetOpKind(i);

                // ARPL finds nothing to raise, and then only reads.
                bool isWritten = info.GetOpAccess(i) is not (OpAccess.Read or OpAccess.CondRead)
                    && code is not (Code.Clflush_m8 or Code.Arpl_rm16_r16 or Code.Arpl_r32m16_r32);
                uint size = code == Code.Clflush_m8 ? 1 : (uint)form.Decoded.MemorySize.GetSize();
                switch (kind)
                {
                    case OpKind.Memory:
                        check(form, new Operand(form.Pointer, Displacement(form), size, isWritten));
                        break;
                    case OpKind.MemorySegESI:
                        check(form, new Operand(Esi, 0, size, isWritten));
                        break;
                    case OpKind.MemoryESEDI:
                        check(form, new Operand(Edi, 0, size, isWritten));
                        break;
                }
            }
        }
    }

    private static uint Displacement(IntegerForm form) =>
        form.Decoded.Mnemonic == Mnemonic.Xlatb ? Filler : form.Decoded.MemoryDisplacement32;

    private SegmentRegister SegmentOf(Operand operand) =>
        operand.Pointer == Edi ? _machine.Cpu.State.Es : _machine.Cpu.State.Ds;

    private void CheckPage(IntegerForm form, Operand operand, uint address, uint badPage, Obstacle obstacle)
    {
        bool user = obstacle == Obstacle.Supervisor;
        switch (obstacle)
        {
            case Obstacle.Missing: _machine.Unmap(badPage); break;
            case Obstacle.ReadOnly: _machine.MapReadOnly(badPage); break;
            default: _machine.MapForSupervisor(badPage); break;
        }

        SegmentRegister cs = _machine.Cpu.State.Cs;
        SegmentRegister ss = _machine.Cpu.State.Ss;
        if (user)
        {
            _machine.EnterUserMode();
        }

        uint[] registers = Execute(form, operand, address);
        if (obstacle == Obstacle.ReadOnly && !operand.IsWritten)
        {
            Assert.DoesNotContain(_machine.Machine.Exceptions, e => e.Vector == ExceptionVector.PageFault);
        }
        else
        {
            ExceptionInfo fault = ExpectUnchanged(form, registers);
            uint error = (obstacle == Obstacle.Missing ? 0 : PageFaultError.Protection)
                | (operand.IsWritten ? PageFaultError.Write : 0)
                | (user ? PageFaultError.User : 0);
            Assert.Equal((ExceptionVector.PageFault, error), (fault.Vector, fault.ErrorCode));
            Assert.Equal(badPage == First ? address : Math.Max(address, Second), fault.Address);
        }

        _machine.Cpu.SetSegment(SegmentName.Cs, cs);
        _machine.Cpu.SetSegment(SegmentName.Ss, ss);
        _machine.Map(badPage, badPage);
    }

    private void CheckSegment(IntegerForm form, Operand operand, in SegmentRegister segment, bool expectFault)
    {
        SegmentName name = operand.Pointer == Edi ? SegmentName.Es : SegmentName.Ds;
        SegmentRegister saved = SegmentOf(operand);
        _machine.Cpu.SetSegment(name, segment);
        uint[] registers = Execute(form, operand, First);
        if (expectFault)
        {
            ExceptionInfo fault = ExpectUnchanged(form, registers);
            Assert.Equal((ExceptionVector.GeneralProtection, 0u), (fault.Vector, fault.ErrorCode));
        }
        else
        {
            Assert.DoesNotContain(_machine.Machine.Exceptions, e => e.Vector == ExceptionVector.GeneralProtection);
        }

        _machine.Cpu.SetSegment(name, saved);
    }

    private uint[] Execute(IntegerForm form, Operand operand, uint address)
    {
        Span<byte> memory = _machine.Machine.Memory.Span(First, 2 * PagedMachine.PageSize);
        memory.Fill(MemoryFiller);
        memory.CopyTo(_before);
        _machine.Machine.Exceptions.Clear();
        ref ProcessorState state = ref _machine.Cpu.State;
        for (int i = 0; i < 8; i++)
        {
            state.SetGeneral(i, Filler);
        }

        // The other operand of a string instruction lies where everything is allowed.
        if (form.IsString)
        {
            state.Esi = state.Edi = First - 0x100;
        }

        state.SetGeneral(operand.Pointer, address - operand.Displacement);
        _machine.Cpu.Eflags = FlagsBefore;
        uint[] registers = [.. Enumerable.Range(0, 8).Select(_machine.Cpu.State.GetGeneral)];
        _machine.Execute(form.Bytes);
        return registers;
    }

    private ExceptionInfo ExpectUnchanged(IntegerForm form, uint[] registers)
    {
        Assert.True(_machine.Machine.Exceptions.Count == 1, $"{form} didn't fault");
        Assert.Equal(registers, Enumerable.Range(0, 8).Select(_machine.Cpu.State.GetGeneral));
        Assert.Equal(FlagsBefore | Eflags.Fixed, _machine.Cpu.Eflags);
        Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
        Assert.True(
            _machine.Machine.Memory.Span(First, 2 * PagedMachine.PageSize).SequenceEqual(_before),
            $"{form} has written");
        return _machine.Machine.Exceptions[0];
    }

    /// <summary>An operand in memory.</summary>
    /// <param name="Pointer">The register that it is addressed by.</param>
    /// <param name="Displacement">What is added to that.</param>
    /// <param name="Size">Bytes.</param>
    /// <param name="IsWritten">Whether a store is among the accesses.</param>
    private sealed record Operand(int Pointer, uint Displacement, uint Size, bool IsWritten);
}
