using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>Decimal adjustments: AAA, AAS, AAM, AAD, DAA, DAS (SDM 1, 7.3.2.6).</summary>
/// <remarks>
/// Flags that the manual leaves undefined: SF, ZF and PF after AAA and AAS are those of AL; OF is clear after all six,
/// and CF and AF are after AAM and AAD.
/// </remarks>
internal static unsafe class Bcd
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        OperationHandler handler = instruction.Mnemonic switch
        {
            Mnemonic.Aaa => &Aaa,
            Mnemonic.Aas => &Aas,
            Mnemonic.Aam => &Aam,
            Mnemonic.Aad => &Aad,
            Mnemonic.Daa => &Daa,
            Mnemonic.Das => &Das,
            _ => null,
        };
        if (handler == null)
        {
            return Lowered.Undefined;
        }

        op->Handler = handler;
        op->Immediate = instruction.OpCount == 0 ? 0u : instruction.Immediate8;
        return Lowered.Continues;
    }

    /// <summary>A digit above 9, or a carry from the last digit, is adjusted.</summary>
    private static bool NeedsAdjustment(ProcessorState* s) => (s->Eax & 0xf) > 9 || s->AuxiliaryFlag;

    private static void SetAl(ProcessorState* s, uint value) => Size8.Store(Operands.Register(s, StateOffset.Eax), value);

    private static Operation* Aaa(ProcessorState* s, Operation* op)
    {
        // AL + 6 and AH + 1 as one addition, in which a carry out of AL counts too.
        bool adjust = NeedsAdjustment(s);
        AdjustUnpacked(s, adjust, adjust ? s->Eax + 0x106 : s->Eax);
        return Operation.Next(s, op);
    }

    private static Operation* Aas(ProcessorState* s, Operation* op)
    {
        bool adjust = NeedsAdjustment(s);
        AdjustUnpacked(s, adjust, adjust ? s->Eax - 0x106 : s->Eax);
        return Operation.Next(s, op);
    }

    private static void AdjustUnpacked(ProcessorState* s, bool adjusted, uint ax)
    {
        Size16.Store(Operands.Register(s, StateOffset.Eax), ax & 0xff0f);
        s->SetResultFlags<Size8>(ax & 0xf, adjusted, overflow: false, adjusted);
    }

    private static Operation* Aam(ProcessorState* s, Operation* op)
    {
        if (op->Immediate == 0)
        {
            return Fault.Raise(s, op, ExceptionVector.DivideError);
        }

        uint al = (byte)s->Eax;
        uint quotient = al / op->Immediate;
        uint remainder = al - (quotient * op->Immediate);
        Size16.Store(Operands.Register(s, StateOffset.Eax), (quotient << 8) | remainder);
        s->SetLogicFlags<Size8>(remainder);
        return Operation.Next(s, op);
    }

    private static Operation* Aad(ProcessorState* s, Operation* op)
    {
        uint ah = (byte)(s->Eax >> 8);
        uint al = (byte)(s->Eax + (ah * op->Immediate));
        Size16.Store(Operands.Register(s, StateOffset.Eax), al);
        s->SetLogicFlags<Size8>(al);
        return Operation.Next(s, op);
    }

    private static Operation* Daa(ProcessorState* s, Operation* op)
    {
        uint al = (byte)s->Eax;
        bool low = NeedsAdjustment(s);
        bool high = al > 0x99 || s->CarryFlag;
        al = (byte)(al + (low ? 0x06u : 0) + (high ? 0x60u : 0));
        SetAl(s, al);
        s->SetResultFlags<Size8>(al, high, overflow: false, low);
        return Operation.Next(s, op);
    }

    private static Operation* Das(ProcessorState* s, Operation* op)
    {
        uint old = (byte)s->Eax;
        bool low = NeedsAdjustment(s);
        bool high = old > 0x99 || s->CarryFlag;
        uint al = (byte)(old - (low ? 0x06u : 0) - (high ? 0x60u : 0));

        // The first of the two subtractions may borrow, and that stays when the second isn't made.
        bool borrow = high || (low && old < 0x06);
        SetAl(s, al);
        s->SetResultFlags<Size8>(al, borrow, overflow: false, low);
        return Operation.Next(s, op);
    }
}
