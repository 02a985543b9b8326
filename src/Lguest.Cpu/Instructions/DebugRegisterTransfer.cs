using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>MOV to and from debug registers (SDM 3B, 17.2).</summary>
internal static unsafe class DebugRegisterTransfer
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.Mnemonic != Mnemonic.Mov)
        {
            return Lowered.NotMine;
        }

        if (IsDebug(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 1);
            op->Immediate = (uint)(instruction.Op0Register - Register.DR0);
            op->Handler = &MoveTo;
            return Lowered.EndsBlock;
        }

        if (IsDebug(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            op->Immediate = (uint)(instruction.Op1Register - Register.DR0);
            op->Handler = &MoveFrom;
            return Lowered.EndsBlock;
        }

        return Lowered.NotMine;
    }

    private static bool IsDebug(in Instruction instruction, int operand) =>
        Operands.IsRegister(instruction, operand) && instruction.GetOpRegister(operand).IsDR();

    private static Operation* MoveFrom(ProcessorState* s, Operation* op)
    {
        int number = Number(s, op);
        if (!IsAllowed(s, op, number, Processor.From(s).DebugReadPrivilege))
        {
            return null;
        }

        Size32.Store(Operands.Register(s, op->Register), s->GetDebug(number));
        return BlockExit.Leave(s, op);
    }

    private static Operation* MoveTo(ProcessorState* s, Operation* op)
    {
        int number = Number(s, op);
        if (!IsAllowed(s, op, number, 0))
        {
            return null;
        }

        s->SetDebug(number, Debug.Normalize(number, Size32.Load(Operands.Register(s, op->Register))));
        Processor.From(s).UpdateMode();
        return BlockExit.Leave(s, op);
    }

    /// <summary>DR4 and DR5 are DR6 and DR7, unless CR4.DE is set; then they don't exist.</summary>
    private static int Number(ProcessorState* s, Operation* op)
    {
        int number = (int)op->Immediate;
        bool isAlias = number is 4 or 5;
        return !isAlias ? number : (s->Cr4 & Cr4.De) != 0 ? -1 : number + 2;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool IsAllowed(ProcessorState* s, Operation* op, int number, int privilege)
    {
        if (number is < 0 or > 7)
        {
            Fault.Raise(s, op, ExceptionVector.InvalidOpcode);
            return false;
        }

        if (s->Cpl > privilege)
        {
            Fault.Raise(s, op, ExceptionVector.GeneralProtection);
            return false;
        }

        if ((s->GetDebug(7) & Debug.GeneralDetect) != 0)
        {
            s->SetDebug(6, s->GetDebug(6) | Debug.StatusAccess);
            Fault.Raise(s, op, ExceptionVector.Debug);
            return false;
        }

        return true;
    }
}
