using Iced.Intel;
using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Translator;

/// <content>
/// String instructions, forward: what goes backward is the interpreter's. With REP, MOVS and STOS do all elements at once if each
/// operand lies in one page; else the interpreter does a step, which ends with a page.
/// </content>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>One element.</summary>
    private void EmitString(int index, in Instruction guest)
    {
        int size = TranslatedForms.ElementOf(guest);
        Register source = guest.MemorySegment;
        Register accumulator = AccumulatorOf(size);
        KeepFlags(index);
        AddMiss(index, _emitter.JumpIfBackward());
        switch (TranslatedForms.StringOf(guest))
        {
            case StringKind.Move:
                LoadElement(index, size, source);
                FindDestination(index, size, isWrite: true);
                _emitter.Instruction(Instruction.Create(StoreOf(size), HostOperand, ScratchOf(size)));
                Advance(Register.RSI, size);
                Advance(Register.RDI, size);
                break;
            case StringKind.Store:
                FindDestination(index, size, isWrite: true);
                _emitter.Instruction(Instruction.Create(StoreOf(size), HostOperand, accumulator));
                Advance(Register.RDI, size);
                break;
            case StringKind.Load:
                Move(Register.R8D, Register.ESI);
                Check(index, size, isWrite: false, source);
                _emitter.Instruction(Instruction.Create(LoadOf(size), accumulator, HostOperand));
                Advance(Register.RSI, size);
                break;
            case StringKind.Compare:
                LoadElement(index, size, source);
                EmitElementComparison(index, size, ScratchOf(size));
                Advance(Register.RSI, size);
                break;
            default:
                EmitElementComparison(index, size, accumulator);
                break;
        }
    }

    /// <summary>REP MOVS and REP STOS.</summary>
    private void EmitRepeat(int index, in Instruction guest)
    {
        int size = TranslatedForms.ElementOf(guest);
        bool isMove = TranslatedForms.StringOf(guest) == StringKind.Move;
        KeepFlags(index);
        byte* nothing = _emitter.JumpIfCountIsZero();
        AddMiss(index, _emitter.JumpIfBackward());
        AddMiss(index, _emitter.JumpIfCountIsAbove((int)PhysicalMemory.PageSize / size));
        Register operand = isMove ? Register.ESI : Register.EDI;
        Move(Register.R8D, operand);
        if (isMove)
        {
            CheckRun(index, size, isWrite: false, guest.MemorySegment);
            _emitter.Instruction(Instruction.Create(Code.Lea_r64_m, Register.R11, HostOperand));
            Move(Register.R8D, Register.EDI);
        }

        CheckRun(index, size, isWrite: true, Register.ES);
        _emitter.Instruction(Instruction.Create(Code.Lea_r64_m, Register.R8, HostOperand));
        _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R10D, new MemoryOperand(Register.RDI, Register.RCX, size)));
        if (isMove)
        {
            _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R9D, new MemoryOperand(Register.RSI, Register.RCX, size)));
            _emitter.Instruction(Instruction.Create(Code.Mov_r64_rm64, Register.RSI, Register.R11));
        }

        _emitter.Instruction(Instruction.Create(Code.Mov_r64_rm64, Register.RDI, Register.R8));
        _emitter.Repeat(isMove, size);
        Move(Register.EDI, Register.R10D);
        if (isMove)
        {
            Move(Register.ESI, Register.R9D);
        }

        HostEmitter.SetDistance(nothing, _emitter.Position);
    }

    /// <summary>From the offset in R8D of as many elements as ECX says to [R10 + R8], or out to the interpreter.</summary>
    private void CheckRun(int index, int size, bool isWrite, Register segment)
    {
        AddBase(index, segment);
        AddMiss(index, _emitter.TranslateRun(size, TableOf(isWrite)));
    }

    /// <summary>Brings the source's element into R11.</summary>
    private void LoadElement(int index, int size, Register segment)
    {
        Move(Register.R8D, Register.ESI);
        Check(index, size, isWrite: false, segment);
        _emitter.Instruction(Instruction.Create(LoadOf(size), ScratchOf(size), HostOperand));
    }

    private void FindDestination(int index, int size, bool isWrite)
    {
        Move(Register.R8D, Register.EDI);
        Check(index, size, isWrite);
    }

    private void EmitElementComparison(int index, int size, Register first)
    {
        FindDestination(index, size, isWrite: false);
        Code compare = size switch
        {
            1 => Code.Cmp_r8_rm8,
            2 => Code.Cmp_r16_rm16,
            _ => Code.Cmp_r32_rm32,
        };
        _emitter.Instruction(Instruction.Create(compare, first, HostOperand));
        Advance(Register.RDI, size);
        FlagsAreHosts(AreFlagsNeeded(index + 1), default, FlagCorrection.None, RflagsBits.None);
    }

    /// <summary>Adds to ESI or EDI, and leaves the flags.</summary>
    private void Advance(Register register, int size) => _emitter.Instruction(Instruction.Create(
        Code.Lea_r32_m, register - Register.RAX + Register.EAX, new MemoryOperand(register, size)));

    private static Register AccumulatorOf(int size) => size switch
    {
        1 => Register.AL,
        2 => Register.AX,
        _ => Register.EAX,
    };

    private static Register ScratchOf(int size) => size switch
    {
        1 => Register.R11L,
        2 => Register.R11W,
        _ => Register.R11D,
    };

    private static Code LoadOf(int size) => size switch
    {
        1 => Code.Mov_r8_rm8,
        2 => Code.Mov_r16_rm16,
        _ => Code.Mov_r32_rm32,
    };

    private static Code StoreOf(int size) => size switch
    {
        1 => Code.Mov_rm8_r8,
        2 => Code.Mov_rm16_r16,
        _ => Code.Mov_rm32_r32,
    };
}
