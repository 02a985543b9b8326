using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>MOV to and from debug registers (SDM 3B, 17.2).</summary>
internal static unsafe class DebugRegisterTransfer
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.Mnemonic != Mnemonic.Mov)
        {
            return Lowered.Undefined;
        }

        if (IsDebug(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 1);
            op->Immediate = Number(instruction.Op0Register);
            op->Handler = &MoveTo;
            return Lowered.EndsBlock;
        }

        if (IsDebug(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            op->Immediate = Number(instruction.Op1Register);
            op->Handler = &MoveFrom;
            return Lowered.EndsBlock;
        }

        return Lowered.Undefined;
    }

    private static bool IsDebug(in Instruction instruction, int operand) =>
        Operands.IsRegister(instruction, operand) && instruction.GetOpRegister(operand).IsDR();

    /// <summary>DR4 and DR5 are DR6 and DR7, as there is no CR4.DE that would take them away (SDM 3B, 17.2.2).</summary>
    private static uint Number(Register register)
    {
        uint number = (uint)(register - Register.DR0);
        return number is 4 or 5 ? number + 2 : number;
    }

    private static Operation* MoveFrom(ProcessorState* s, Operation* op)
    {
        if (!IsAllowed(s, op, Processor.From(s).DebugReadPrivilege))
        {
            return null;
        }

        Size32.Store(Operands.Register(s, op->Register), s->GetDebug((int)op->Immediate));
        return BlockExit.Leave(s, op);
    }

    private static Operation* MoveTo(ProcessorState* s, Operation* op)
    {
        if (!IsAllowed(s, op, 0))
        {
            return null;
        }

        int number = (int)op->Immediate;
        s->SetDebug(number, Debug.Normalize(number, Size32.Load(Operands.Register(s, op->Register))));
        Processor.From(s).UpdateMode();
        return BlockExit.Leave(s, op);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool IsAllowed(ProcessorState* s, Operation* op, int privilege)
    {
        if (s->Cpl > privilege)
        {
            Fault.Raise(s, op, ExceptionVector.GeneralProtection);
            return false;
        }

        if ((s->GetDebug(7) & Debug.GeneralDetect) != 0)
        {
            Debug.Report(s, Debug.StatusAccess);
            Fault.Raise(s, op, ExceptionVector.Debug);
            return false;
        }

        return true;
    }
}
