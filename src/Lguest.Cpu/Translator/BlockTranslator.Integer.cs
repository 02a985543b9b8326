using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <content>Integer instructions that the host has only in another form, or whose results processors don't agree on.</content>
internal sealed unsafe partial class BlockTranslator
{
    private const RflagsBits AllButCarry =
        RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.PF;

    private static MemoryOperand HostOperand => new(Register.R10, Register.R8);

    /// <summary>
    /// Shifts and rotates. The manual defines OF for a count of 1 only, and ours is that of the last of so many shifts by 1: so where
    /// anyone may see it, the last one is on its own. A count in CL may be 0, and then all flags stay.
    /// </summary>
    private void EmitShift(int index, in Instruction guest)
    {
        FlagUse use = _instructions[index].Flags;
        if (!use.Writes || !AreFlagsNeeded(index + 1) || FlagUse.CorrectionOf(guest) is not null)
        {
            EmitAsIs(index, guest);
        }
        else if (guest.GetOpKind(guest.OpCount - 1) == OpKind.Register)
        {
            EmitShiftByRegister(index, guest);
        }
        else
        {
            EmitShiftByImmediate(index, guest);
        }
    }

    private void EmitShiftByImmediate(int index, in Instruction guest)
    {
        bool isRotate = FlagUse.IsRotate(guest.Mnemonic);
        if (isRotate && _open != RflagsBits.None)
        {
            SaveFlagsIfHost();
        }

        Instruction host = HostForm(index, guest);
        if (isRotate)
        {
            LoadFlagsUnlessHost();
        }

        if (guest.Mnemonic == Mnemonic.Shrd)
        {
            _emitter.Instruction(host);
            SaveFlagsOfRightFill(guest);
            FlagsAreInSlot();
            return;
        }

        int count = (int)guest.GetImmediate(1) & 31;
        host.Immediate8 = (byte)(count - 1);
        _emitter.Instruction(host);
        host.Immediate8 = 1;
        _emitter.Instruction(host);
        FlagsAreHosts(
            areNeeded: true,
            default,
            isRotate ? FlagCorrection.None : FlagCorrection.Auxiliary,
            isRotate ? RflagsBits.None : RflagsBits.AF);
    }

    private void EmitShiftByRegister(int index, in Instruction guest)
    {
        bool isRotate = FlagUse.IsRotate(guest.Mnemonic);
        SaveFlagsIfHost();
        Instruction host = HostForm(index, guest);
        Register count = Register.None;
        if (guest.Op0Kind == OpKind.Register && guest.Op0Register is Register.ECX or Register.CX)
        {
            // ECX is the count and what is shifted.
            Move(Register.R9D, Register.ECX);
            count = guest.Op0Register;
            host.Op0Register = count == Register.ECX ? Register.R9D : Register.R9W;
        }

        byte* none = _emitter.JumpUnlessCount();
        if (isRotate)
        {
            _emitter.LoadFlags();
        }

        if (guest.OpCount == 3)
        {
            _emitter.Instruction(host);
            if (count != Register.None)
            {
                Move(Register.ECX, Register.R9D);
            }

            if (guest.Mnemonic == Mnemonic.Shld)
            {
                _emitter.SaveFlags(FlagCorrection.ShiftLeft);
            }
            else
            {
                SaveFlagsOfRightFill(guest);
            }
        }
        else
        {
            _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.ECX, new MemoryOperand(Register.RCX, -1)));
            _emitter.Instruction(host);
            _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.ECX, new MemoryOperand(Register.RCX, 1)));
            host.Code = TranslatedForms.ByImmediate(host.Code);
            host.Op1Kind = OpKind.Immediate8;
            host.Immediate8 = 1;
            _emitter.Instruction(host);
            if (count != Register.None)
            {
                _emitter.Instruction(count == Register.ECX
                    ? Instruction.Create(Code.Mov_r32_rm32, Register.ECX, Register.R9D)
                    : Instruction.Create(Code.Mov_r16_rm16, Register.CX, Register.R9W));
            }

            _emitter.SaveFlags(isRotate ? FlagCorrection.None : FlagCorrection.Auxiliary);
        }

        HostEmitter.SetDistance(none, _emitter.Position);
        FlagsAreInSlot();
    }

    /// <summary>Keeps SHRD's flags: OF is whether the last shift by 1 changed the sign, so the two top bits of the result differ.</summary>
    private void SaveFlagsOfRightFill(in Instruction guest)
    {
        bool isWord = guest.Op1Register.GetSize() == sizeof(ushort);
        _emitter.Instruction(guest.Op0Kind == OpKind.Register
            ? Instruction.Create(Code.Mov_r32_rm32, Register.R9D, HostRegisters.Of(guest.Op0Register.GetFullRegister32()))
            : Instruction.Create(isWord ? Code.Movzx_r32_rm16 : Code.Mov_r32_rm32, Register.R9D, HostOperand));
        _emitter.SaveFlagsOfRightFill(isWord);
    }

    /// <summary>DIV and IDIV, which change no flags here. What the host would raise #DE for, and more, is the interpreter's.</summary>
    private void EmitDivision(int index, in Instruction guest)
    {
        bool isSigned = guest.Mnemonic == Mnemonic.Idiv;
        KeepFlags(index);
        int size = LoadOperand(index, guest, isSigned);
        if (isSigned)
        {
            // The divisor is neither 0 nor -1, and the dividend's upper half only extends the lower's sign: nothing can overflow.
            _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R9D, new MemoryOperand(Register.R11, 1)));
            _emitter.Instruction(Instruction.Create(Code.Cmp_rm32_imm8, Register.R9D, 1));
            AddMiss(index, _emitter.JumpIf(ConditionCode.be));
            EmitSignComparison(size);
            AddMiss(index, _emitter.JumpIf(ConditionCode.ne));
        }
        else
        {
            // The quotient fits if the dividend's upper half is below the divisor.
            if (size == 1)
            {
                _emitter.Instruction(Instruction.Create(Code.Movzx_r32_rm16, Register.R9D, Register.AX));
                _emitter.Instruction(Instruction.Create(Code.Shr_rm32_imm8, Register.R9D, 8));
                _emitter.Instruction(Instruction.Create(Code.Cmp_r32_rm32, Register.R9D, Register.R11D));
            }
            else
            {
                _emitter.Instruction(size == 2
                    ? Instruction.Create(Code.Cmp_r16_rm16, Register.DX, Register.R11W)
                    : Instruction.Create(Code.Cmp_r32_rm32, Register.EDX, Register.R11D));
            }

            AddMiss(index, _emitter.JumpIf(ConditionCode.ae));
        }

        _emitter.Instruction(size switch
        {
            1 => Instruction.Create(isSigned ? Code.Idiv_rm8 : Code.Div_rm8, Register.R11L),
            2 => Instruction.Create(isSigned ? Code.Idiv_rm16 : Code.Div_rm16, Register.R11W),
            _ => Instruction.Create(isSigned ? Code.Idiv_rm32 : Code.Div_rm32, Register.R11D),
        });
    }

    private void EmitSignComparison(int size)
    {
        switch (size)
        {
            case 1:
                _emitter.Instruction(Instruction.Create(Code.Movsx_r32_rm8, Register.R9D, Register.AL));
                _emitter.Instruction(Instruction.Create(Code.Cmp_r16_rm16, Register.R9W, Register.AX));
                break;
            case 2:
                _emitter.Instruction(Instruction.Create(Code.Movsx_r32_rm16, Register.R9D, Register.AX));
                _emitter.Instruction(Instruction.Create(Code.Shr_rm32_imm8, Register.R9D, 16));
                _emitter.Instruction(Instruction.Create(Code.Cmp_r16_rm16, Register.R9W, Register.DX));
                break;
            default:
                Move(Register.R9D, Register.EAX);
                _emitter.Instruction(Instruction.Create(Code.Sar_rm32_imm8, Register.R9D, 31));
                _emitter.Instruction(Instruction.Create(Code.Cmp_r32_rm32, Register.R9D, Register.EDX));
                break;
        }
    }

    /// <summary>Brings an operand, the last one, into R11D, extended. The host's flags are lost. Answers its bytes.</summary>
    private int LoadOperand(int index, in Instruction guest, bool isSigned)
    {
        int operand = guest.OpCount - 1;
        bool isMemory = guest.GetOpKind(operand) == OpKind.Memory;
        int size = isMemory ? guest.MemorySize.GetSize() : guest.GetOpRegister(operand).GetSize();
        Code move = size switch
        {
            1 => isSigned ? Code.Movsx_r32_rm8 : Code.Movzx_r32_rm8,
            2 => isSigned ? Code.Movsx_r32_rm16 : Code.Movzx_r32_rm16,
            _ => Code.Mov_r32_rm32,
        };
        if (isMemory)
        {
            EmitAddress(guest, Register.R8D);
            Check(index, size, isWrite: false, guest.MemorySegment);
            _emitter.Instruction(Instruction.Create(move, Register.R11D, HostOperand));
            return size;
        }

        Register register = guest.GetOpRegister(operand);
        if (HostRegisters.IsHighByte(register))
        {
            Move(Register.R11D, register.GetFullRegister32());
            _emitter.Instruction(Instruction.Create(Code.Shl_rm32_imm8, Register.R11D, 16));
            _emitter.Instruction(Instruction.Create(isSigned ? Code.Sar_rm32_imm8 : Code.Shr_rm32_imm8, Register.R11D, 24));
            return size;
        }

        _emitter.Instruction(Instruction.Create(move, Register.R11D, HostRegisters.Of(register)));
        return size;
    }

    /// <summary>BT, BTS, BTR and BTC: CF is the bit, and all other flags stay. A bit number in a register may lead away from the operand.</summary>
    private void EmitBitTest(int index, in Instruction guest)
    {
        bool isNeeded = AreFlagsNeeded(index + 1);
        bool isMerged = isNeeded && !IsOnlyCarryNeeded(index + 1);
        if (isMerged)
        {
            SaveFlagsIfHost();
        }

        bool isWord = (guest.Op0Kind == OpKind.Memory ? guest.MemorySize.GetSize() : guest.Op0Register.GetSize()) == sizeof(ushort);
        Register tested = isWord ? Register.R9W : Register.R9D;
        if (guest.Op0Kind == OpKind.Memory)
        {
            bool writes = TranslatedForms.WritesFirst(guest);
            EmitAddress(guest, Register.R8D);
            if (guest.Op1Kind == OpKind.Register)
            {
                KeepFlags(index);
                AddBitDistance(guest.Op1Register, isWord);
            }

            Check(index, isWord ? sizeof(ushort) : sizeof(uint), writes, guest.MemorySegment);
            _emitter.Instruction(Instruction.Create(isWord ? Code.Mov_r16_rm16 : Code.Mov_r32_rm32, tested, HostOperand));
            EmitBitTestOf(tested, guest);
            if (writes)
            {
                _emitter.Instruction(Instruction.Create(isWord ? Code.Mov_rm16_r16 : Code.Mov_rm32_r32, HostOperand, tested));
            }
        }
        else
        {
            EmitBitTestOf(HostRegisters.Of(guest.Op0Register), guest);
        }

        if (isMerged)
        {
            _emitter.MergeCarry();
            FlagsAreInSlot();
        }
        else
        {
            FlagsAreHosts(isNeeded, default, FlagCorrection.None, AllButCarry);
        }
    }

    private void EmitBitTestOf(Register tested, in Instruction guest)
    {
        Instruction host = guest.Op1Kind == OpKind.Register
            ? Instruction.Create(guest.Code, tested, HostRegisters.Of(guest.Op1Register))
            : Instruction.Create(guest.Code, tested, (uint)guest.Immediate8);
        _emitter.Instruction(host);
    }

    /// <summary>From the operand's address in R8D to that of the part of it that has the bit.</summary>
    private void AddBitDistance(Register number, bool isWord)
    {
        _emitter.Instruction(Instruction.Create(
            isWord ? Code.Movsx_r32_rm16 : Code.Mov_r32_rm32, Register.R9D, HostRegisters.Of(number)));
        _emitter.Instruction(Instruction.Create(Code.Sar_rm32_imm8, Register.R9D, isWord ? 4 : 5));
        var part = new MemoryOperand(Register.R8, Register.R9, isWord ? sizeof(ushort) : sizeof(uint));
        _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R8D, part));
    }

    /// <summary>Whether CF is the one flag that anyone can see from an instruction on.</summary>
    private bool IsOnlyCarryNeeded(int from)
    {
        for (int i = from; i < _instructions.Count; i++)
        {
            ref readonly GuestInstruction instruction = ref _instructions[i];
            if (instruction.MayLeave || (instruction.Flags.Read & AllButCarry) != 0
                || (instruction.Flags.Writes && !instruction.Flags.WritesAll))
            {
                return false;
            }

            if (instruction.Flags.WritesAll)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>BSF and BSR: flags are TEST's of the source; a source of 0 leaves the destination.</summary>
    private void EmitBitScan(int index, in Instruction guest)
    {
        bool isWord = guest.Op0Register.GetSize() == sizeof(ushort);
        bool isForward = guest.Mnemonic is Mnemonic.Bsf or Mnemonic.Tzcnt;
        Register source = isWord ? Register.R11W : Register.R11D;
        if (guest.Op1Kind == OpKind.Memory)
        {
            LoadOperand(index, guest, isSigned: false);
        }
        else
        {
            source = HostRegisters.Of(guest.Op1Register);
        }

        Register destination = HostRegisters.Of(guest.Op0Register);
        if (isWord)
        {
            _emitter.Instruction(Instruction.Create(isForward ? Code.Bsf_r16_rm16 : Code.Bsr_r16_rm16, Register.R9W, source));
            _emitter.Instruction(Instruction.Create(Code.Test_rm16_r16, source, source));
            _emitter.Instruction(Instruction.Create(Code.Cmovne_r16_rm16, destination, Register.R9W));
        }
        else
        {
            _emitter.Instruction(Instruction.Create(isForward ? Code.Bsf_r32_rm32 : Code.Bsr_r32_rm32, Register.R9D, source));
            _emitter.Instruction(Instruction.Create(Code.Test_rm32_r32, source, source));
            _emitter.Instruction(Instruction.Create(Code.Cmovne_r32_rm32, destination, Register.R9D));
        }

        FlagsAreHosts(AreFlagsNeeded(index + 1), default, FlagCorrection.Auxiliary, _instructions[index].Flags.Open);
    }

    /// <summary>MOV from a segment register.</summary>
    private void EmitSelectorRead(int index, in Instruction guest)
    {
        var selector = new MemoryOperand(Register.R14, HostEmitter.SegmentSlot(guest.Op1Register));
        if (guest.Op0Kind == OpKind.Memory)
        {
            EmitAddress(guest, Register.R8D);
            Check(index, sizeof(ushort), isWrite: true, guest.MemorySegment);
            _emitter.Instruction(Instruction.Create(Code.Movzx_r32_rm16, Register.R11D, selector));
            _emitter.Instruction(Instruction.Create(Code.Mov_rm16_r16, HostOperand, Register.R11W));
            return;
        }

        bool isWord = guest.Op0Register.GetSize() == sizeof(ushort);
        _emitter.Instruction(Instruction.Create(
            isWord ? Code.Mov_r16_rm16 : Code.Movzx_r32_rm16, HostRegisters.Of(guest.Op0Register), selector));
    }

    /// <summary>PUSH of a segment register takes four bytes, and writes two of them.</summary>
    private void EmitPushSelector(int index, in Instruction guest)
    {
        LowerAddress(Register.R8D);
        Check(index, sizeof(ushort), isWrite: true);
        var selector = new MemoryOperand(Register.R14, HostEmitter.SegmentSlot(guest.Op0Register));
        _emitter.Instruction(Instruction.Create(Code.Movzx_r32_rm16, Register.R11D, selector));
        _emitter.Instruction(Instruction.Create(Code.Mov_rm16_r16, HostOperand, Register.R11W));
        Move(Register.R12D, Register.R8D);
    }

    /// <summary>CLI and STI at CPL 0. What waits for IF to become 1 is the interpreter's, and so are other rings.</summary>
    private void EmitInterruptFlag(int index, in Instruction guest)
    {
        KeepFlags(index);
        AddMiss(index, _emitter.JumpUnlessRingZero());
        if (guest.Mnemonic == Mnemonic.Cli)
        {
            _emitter.DisableInterrupts();
            return;
        }

        byte* done = _emitter.JumpIfInterruptsAreEnabled();
        AddMiss(index, _emitter.JumpIfInterruptWaits());
        _emitter.EnableInterrupts(_translation.Block->InstructionCount - index);
        HostEmitter.SetDistance(done, _emitter.Position);
    }

    private void EmitPushFlags(int index)
    {
        SaveFlagsIfHost();
        LowerAddress(Register.R8D);
        Check(index, sizeof(uint), isWrite: true);
        _emitter.LoadImage();
        _emitter.Instruction(Instruction.Create(Code.Mov_rm32_r32, HostOperand, Register.R11D));
        Move(Register.R12D, Register.R8D);
    }

    private void EmitPushAll(int index)
    {
        const int Bytes = 8 * sizeof(uint);
        _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R8D, new MemoryOperand(Register.R12, -Bytes)));
        Check(index, Bytes, isWrite: true);
        for (Register register = Register.EAX; register <= Register.EDI; register++)
        {
            var place = new MemoryOperand(Register.R10, Register.R8, 1, Bytes - (sizeof(uint) * (register - Register.EAX + 1)), 1);
            _emitter.Instruction(Instruction.Create(Code.Mov_rm32_r32, place, HostRegisters.Of(register)));
        }

        Move(Register.R12D, Register.R8D);
    }

    private void EmitPopAll(int index)
    {
        const int Bytes = 8 * sizeof(uint);
        Move(Register.R8D, Register.R12D);
        Check(index, Bytes, isWrite: false);
        for (Register register = Register.EAX; register <= Register.EDI; register++)
        {
            if (register != Register.ESP)
            {
                var place = new MemoryOperand(Register.R10, Register.R8, 1, Bytes - (sizeof(uint) * (register - Register.EAX + 1)), 1);
                _emitter.Instruction(Instruction.Create(Code.Mov_r32_rm32, register, place));
            }
        }

        AdjustStack(Bytes);
    }

    /// <summary>XLAT.</summary>
    private void EmitLookup(int index, in Instruction guest)
    {
        _emitter.Instruction(Instruction.Create(Code.Movzx_r32_rm8, Register.R8D, Register.AL));
        _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R8D, new MemoryOperand(Register.RBX, Register.R8)));
        Check(index, 1, isWrite: false, guest.MemorySegment);
        _emitter.Instruction(Instruction.Create(Code.Mov_r8_rm8, Register.AL, HostOperand));
    }
}
