using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>MOV to and from control registers, LMSW, SMSW and CLTS (SDM 2B, MOV; SDM 3A, 2.5).</summary>
/// <remarks>There is no real mode: what would clear CR0.PE raises #GP(0).</remarks>
internal static unsafe class ControlRegisterTransfer
{
    private const uint MachineStatusWord = Cr0.Pe | Cr0.Mp | Cr0.Em | Cr0.Ts;

    private const uint WritableCr0 = Cr0.Pe | Cr0.Mp | Cr0.Em | Cr0.Ts | Cr0.Et | Cr0.Ne | Cr0.Wp | Cr0.Am | Cr0.Nw
        | Cr0.Cd | Cr0.Pg;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            // Iced knows which registers exist: CR0, CR2, CR3 and CR4.
            case Code.Mov_cr_r32:
                op->Register = Operands.RegisterOffset(instruction, 1);
                op->Immediate = (uint)(instruction.Op0Register - Register.CR0);
                op->Handler = &MoveTo;
                return Lowered.EndsBlock;
            case Code.Mov_r32_cr:
                op->Register = Operands.RegisterOffset(instruction, 0);
                op->Immediate = (uint)(instruction.Op1Register - Register.CR0);
                op->Handler = &MoveFrom;
                return Lowered.Continues;
            case Code.Clts:
                op->Handler = &ClearTaskSwitched;
                return Lowered.Continues;
            case Code.Lmsw_rm16:
            case Code.Lmsw_r32m16:
                SetOperand(instruction, op);
                op->Handler = Operands.IsMemory(instruction, 0) ? &LoadStatusMemory : &LoadStatusRegister;
                return Lowered.EndsBlock;
            case Code.Smsw_rm16:
            case Code.Smsw_r32m16:
                SetOperand(instruction, op);
                op->Handler = Operands.IsMemory(instruction, 0)
                    ? &StoreStatusMemory
                    : Operands.Bits(instruction, 0) == 16 ? &StoreStatusRegister<Size16> : &StoreStatusRegister<Size32>;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static void SetOperand(in Instruction instruction, Operation* op)
    {
        if (Operands.IsMemory(instruction, 0))
        {
            Operands.SetMemory(instruction, op);
        }
        else
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
        }
    }

    private static Operation* MoveFrom(ProcessorState* s, Operation* op)
    {
        if (!SystemInstructions.IsPrivileged(s, op))
        {
            return null;
        }

        Size32.Store(Operands.Register(s, op->Register), Processor.From(s).ReadControlRegister((int)op->Immediate));
        return Operation.Next(s, op);
    }

    private static Operation* MoveTo(ProcessorState* s, Operation* op) =>
        SystemInstructions.IsPrivileged(s, op)
            ? Write(s, op, (int)op->Immediate, Size32.Load(Operands.Register(s, op->Register)))
            : null;

    private static Operation* ClearTaskSwitched(ProcessorState* s, Operation* op)
    {
        if (!SystemInstructions.IsPrivileged(s, op))
        {
            return null;
        }

        s->Cr0 &= ~Cr0.Ts;
        return Operation.Next(s, op);
    }

    private static Operation* LoadStatusRegister(ProcessorState* s, Operation* op) =>
        SystemInstructions.IsPrivileged(s, op)
            ? LoadStatus(s, op, Size16.Load(Operands.Register(s, op->Register)))
            : null;

    private static Operation* LoadStatusMemory(ProcessorState* s, Operation* op)
    {
        if (!SystemInstructions.IsPrivileged(s, op))
        {
            return null;
        }

        byte* source = SegmentedAddressing.Read(s, op, sizeof(ushort));
        return source == null ? null : LoadStatus(s, op, Size16.Load(source));
    }

    /// <summary>LMSW can set PE but not clear it.</summary>
    private static Operation* LoadStatus(ProcessorState* s, Operation* op, uint value) =>
        Write(s, op, 0, (s->Cr0 & ~(MachineStatusWord & ~Cr0.Pe)) | (value & MachineStatusWord));

    /// <summary>SMSW isn't privileged. A 32-bit register gets all of CR0.</summary>
    private static Operation* StoreStatusRegister<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
    {
        TSize.Store(Operands.Register(s, op->Register), s->Cr0);
        return Operation.Next(s, op);
    }

    private static Operation* StoreStatusMemory(ProcessorState* s, Operation* op)
    {
        byte* destination = SegmentedAddressing.Write(s, op, sizeof(ushort));
        if (destination == null)
        {
            return null;
        }

        Size16.Store(destination, s->Cr0);
        MemoryAccess.Complete(s, destination);
        return Operation.Next(s, op);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operation* Write(ProcessorState* s, Operation* op, int number, uint value)
    {
        Processor processor = Processor.From(s);
        if (!IsAllowed(processor, number, value) || !HasGoodPointers(processor, number, value))
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        processor.WriteControlRegister(number, number == 0 ? value & WritableCr0 : value);
        return BlockExit.Leave(s, op);
    }

    private static bool IsAllowed(Processor processor, int number, uint value) => number switch
    {
        0 => (value & Cr0.Pe) != 0 && (value & (Cr0.Nw | Cr0.Cd)) != Cr0.Nw,
        4 => (value & ~processor.Cpuid.WritableCr4) == 0,
        _ => true,
    };

    /// <summary>Whether the page-directory-pointer-table entries, if they are to be loaded, have no reserved bit (SDM 3A, 4.4.1).</summary>
    private static bool HasGoodPointers(Processor processor, int number, uint value)
    {
        ProcessorState* s = processor.StatePointer;
        return !PaePaging.LoadsPointers(s, number, value)
            || PaePaging.TryReadPointers(processor.Memory, number == 3 ? value : s->Cr3, out _);
    }
}
