using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>Accumulator conversions, XLAT, and moves of single flags (SDM 1, 7.3.1.5 and 7.3.13).</summary>
internal static unsafe class Conversions
{
    /// <summary>What SAHF and LAHF move: the flags in EFLAGS' low byte.</summary>
    private const uint LowFlags = Eflags.Cf | Eflags.Pf | Eflags.Af | Eflags.Zf | Eflags.Sf;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        OperationHandler handler = instruction.Mnemonic switch
        {
            Mnemonic.Cbw => &Cbw,
            Mnemonic.Cwde => &Cwde,
            Mnemonic.Cwd => &Cwd,
            Mnemonic.Cdq => &Cdq,
            Mnemonic.Lahf => &Lahf,
            Mnemonic.Sahf => &Sahf,
            Mnemonic.Clc => &Clc,
            Mnemonic.Stc => &Stc,
            Mnemonic.Cmc => &Cmc,
            Mnemonic.Cld => &Cld,
            Mnemonic.Std => &Std,
            Mnemonic.Salc => &Salc,
            Mnemonic.Xlatb => SelectXlat(instruction, context, op),
            _ => null,
        };
        if (handler == null)
        {
            return Lowered.Undefined;
        }

        op->Handler = handler;
        return Lowered.Continues;
    }

    private static OperationHandler SelectXlat(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context) ? &Xlat<FlatAddressing> : &Xlat<SegmentedAddressing>;
    }

    private static Operation* Cbw(ProcessorState* s, Operation* op)
    {
        Size16.Store(Operands.Register(s, StateOffset.Eax), Size8.SignExtend(s->Eax));
        return Operation.Next(s, op);
    }

    private static Operation* Cwde(ProcessorState* s, Operation* op)
    {
        s->Eax = Size16.SignExtend(s->Eax);
        return Operation.Next(s, op);
    }

    private static Operation* Cwd(ProcessorState* s, Operation* op)
    {
        Size16.Store(Operands.Register(s, StateOffset.Edx), (uint)((short)s->Eax >> 15));
        return Operation.Next(s, op);
    }

    private static Operation* Cdq(ProcessorState* s, Operation* op)
    {
        s->Edx = (uint)((int)s->Eax >> 31);
        return Operation.Next(s, op);
    }

    private static Operation* Lahf(ProcessorState* s, Operation* op)
    {
        Size8.Store(Operands.Register(s, StateOffset.Ah), (s->ArithmeticFlags & LowFlags) | Eflags.Fixed);
        return Operation.Next(s, op);
    }

    private static Operation* Sahf(ProcessorState* s, Operation* op)
    {
        s->ArithmeticFlags = (s->ArithmeticFlags & Eflags.Of) | ((s->Eax >> 8) & LowFlags);
        return Operation.Next(s, op);
    }

    private static Operation* Clc(ProcessorState* s, Operation* op)
    {
        s->SetCarry(false);
        return Operation.Next(s, op);
    }

    private static Operation* Stc(ProcessorState* s, Operation* op)
    {
        s->SetCarry(true);
        return Operation.Next(s, op);
    }

    private static Operation* Cmc(ProcessorState* s, Operation* op)
    {
        s->SetCarry(!s->CarryFlag);
        return Operation.Next(s, op);
    }

    private static Operation* Cld(ProcessorState* s, Operation* op)
    {
        s->SystemFlags &= ~(uint)Eflags.Df;
        return Operation.Next(s, op);
    }

    private static Operation* Std(ProcessorState* s, Operation* op)
    {
        s->SystemFlags |= Eflags.Df;
        return Operation.Next(s, op);
    }

    /// <summary>SBB AL, AL without its flags: in no manual of Intel's, but in every processor.</summary>
    private static Operation* Salc(ProcessorState* s, Operation* op)
    {
        Size8.Store(Operands.Register(s, StateOffset.Eax), 0 - s->Carry);
        return Operation.Next(s, op);
    }

    private static Operation* Xlat<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        uint offset = s->Ebx + (byte)s->Eax;
        if ((op->Scale & Operation.Address16) != 0)
        {
            offset = (ushort)offset;
        }

        byte* source = TAddressing.ReadAt(s, op, op->Segment, offset, Size8.Bytes);
        if (source == null)
        {
            return null;
        }

        Size8.Store(Operands.Register(s, StateOffset.Eax), Size8.Load(source));
        return Operation.Next(s, op);
    }
}
