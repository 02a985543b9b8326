using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>Near jumps, calls, returns and loops (SDM 1, 7.3.8). Far ones are in <c>FarTransfers</c>.</summary>
/// <remarks>
/// A jump that isn't taken goes on inside its block. Flat code takes linked jumps; elsewhere the target is checked
/// against CS's limit first, and looked up each time.
/// </remarks>
internal static unsafe class ControlTransfer
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.IsJccShortOrNear)
        {
            SetTarget(instruction, op);
            op->Handler = SelectConditional(instruction.ConditionCode, context.IsFlat && Bits(instruction) == 32);
            return Lowered.Continues;
        }

        switch (instruction.Code)
        {
            case Code.Jmp_rel8_16:
            case Code.Jmp_rel8_32:
            case Code.Jmp_rel16:
            case Code.Jmp_rel32_32:
                SetTarget(instruction, op);
                op->Handler = context.IsFlat && Bits(instruction) == 32 ? &JumpLinked : &JumpChecked;
                return Lowered.EndsBlock;
            case Code.Call_rel16:
                SetTarget(instruction, op);
                op->Handler = &CallForms<Size16, SegmentedAddressing>.Relative;
                return Lowered.EndsBlock;
            case Code.Call_rel32_32:
                SetTarget(instruction, op);
                op->Handler = context.IsFlat
                    ? &CallForms<Size32, FlatAddressing>.Relative
                    : &CallForms<Size32, SegmentedAddressing>.Relative;
                return Lowered.EndsBlock;
            case Code.Retnw:
            case Code.Retnw_imm16:
                op->Immediate = ReturnPop(instruction);
                op->Handler = &CallForms<Size16, SegmentedAddressing>.Return;
                return Lowered.EndsBlock;
            case Code.Retnd:
            case Code.Retnd_imm16:
                op->Immediate = ReturnPop(instruction);
                op->Handler = context.IsFlat
                    ? &CallForms<Size32, FlatAddressing>.Return
                    : &CallForms<Size32, SegmentedAddressing>.Return;
                return Lowered.EndsBlock;
            case Code.Jmp_rm16:
                return LowerIndirect<Size16>(instruction, context, op, isCall: false);
            case Code.Jmp_rm32:
                return LowerIndirect<Size32>(instruction, context, op, isCall: false);
            case Code.Call_rm16:
                return LowerIndirect<Size16>(instruction, context, op, isCall: true);
            case Code.Call_rm32:
                return LowerIndirect<Size32>(instruction, context, op, isCall: true);
            default:
                return LowerLoop(instruction, op);
        }
    }

    private static int Bits(in Instruction instruction) => instruction.Op0Kind == OpKind.NearBranch16 ? 16 : 32;

    /// <summary>Decoding starts at EIP 0, so that targets come out relative to the block's start.</summary>
    private static void SetTarget(in Instruction instruction, Operation* op)
    {
        if (instruction.Op0Kind == OpKind.NearBranch16)
        {
            int relative = (short)(instruction.NearBranch16 - instruction.NextIP16);
            op->Displacement = (uint)(instruction.NextIP32 + relative);
            op->Immediate = ushort.MaxValue;
        }
        else
        {
            op->Displacement = instruction.NearBranch32;
            op->Immediate = uint.MaxValue;
        }
    }

    private static uint ReturnPop(in Instruction instruction) =>
        instruction.OpCount == 0 ? 0u : instruction.Immediate16;

    private static OperationHandler SelectConditional(ConditionCode condition, bool linked) => condition switch
    {
        ConditionCode.o => Select<IfOverflow>(linked),
        ConditionCode.no => Select<Not<IfOverflow>>(linked),
        ConditionCode.b => Select<IfBelow>(linked),
        ConditionCode.ae => Select<Not<IfBelow>>(linked),
        ConditionCode.e => Select<IfEqual>(linked),
        ConditionCode.ne => Select<Not<IfEqual>>(linked),
        ConditionCode.be => Select<IfBelowOrEqual>(linked),
        ConditionCode.a => Select<Not<IfBelowOrEqual>>(linked),
        ConditionCode.s => Select<IfSign>(linked),
        ConditionCode.ns => Select<Not<IfSign>>(linked),
        ConditionCode.p => Select<IfParity>(linked),
        ConditionCode.np => Select<Not<IfParity>>(linked),
        ConditionCode.l => Select<IfLess>(linked),
        ConditionCode.ge => Select<Not<IfLess>>(linked),
        ConditionCode.le => Select<IfLessOrEqual>(linked),
        _ => Select<Not<IfLessOrEqual>>(linked),
    };

    private static OperationHandler Select<TCondition>(bool linked)
        where TCondition : struct, ICondition =>
        linked ? &Conditional<TCondition>.Linked : &Conditional<TCondition>.Checked;

    private static Lowered LowerLoop(in Instruction instruction, Operation* op)
    {
        bool is16 = instruction.Code is Code.Loop_rel8_16_CX or Code.Loop_rel8_32_CX
            or Code.Loope_rel8_16_CX or Code.Loope_rel8_32_CX
            or Code.Loopne_rel8_16_CX or Code.Loopne_rel8_32_CX
            or Code.Jcxz_rel8_16 or Code.Jcxz_rel8_32;
        OperationHandler handler = instruction.Mnemonic switch
        {
            Mnemonic.Loop => is16 ? &LoopForms<Size16>.Loop : &LoopForms<Size32>.Loop,
            Mnemonic.Loope => is16 ? &LoopForms<Size16>.LoopEqual : &LoopForms<Size32>.LoopEqual,
            Mnemonic.Loopne => is16 ? &LoopForms<Size16>.LoopNotEqual : &LoopForms<Size32>.LoopNotEqual,
            Mnemonic.Jcxz or Mnemonic.Jecxz => is16 ? &LoopForms<Size16>.JumpIfZero : &LoopForms<Size32>.JumpIfZero,
            _ => null,
        };
        if (handler == null)
        {
            return Lowered.Undefined;
        }

        SetTarget(instruction, op);
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Lowered LowerIndirect<TSize>(
        in Instruction instruction,
        in LoweringContext context,
        Operation* op,
        bool isCall)
        where TSize : struct, IOperandSize
    {
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            if (!isCall)
            {
                op->Handler = &JumpRegister<TSize>;
            }
            else
            {
                op->Handler = context.IsFlat
                    ? &CallForms<TSize, FlatAddressing>.Register
                    : &CallForms<TSize, SegmentedAddressing>.Register;
            }

            return Lowered.EndsBlock;
        }

        Operands.SetMemory(instruction, op);
        if (Operands.IsFlat(instruction, context))
        {
            op->Handler = isCall
                ? &CallForms<TSize, FlatAddressing>.Memory
                : &CallForms<TSize, FlatAddressing>.JumpMemory;
        }
        else
        {
            op->Handler = isCall
                ? &CallForms<TSize, SegmentedAddressing>.Memory
                : &CallForms<TSize, SegmentedAddressing>.JumpMemory;
        }

        return Lowered.EndsBlock;
    }

    private static Operation* JumpLinked(ProcessorState* s, Operation* op) =>
        BlockExit.ToLink(s, op, s->BlockEip + op->Displacement);

    private static Operation* JumpChecked(ProcessorState* s, Operation* op) =>
        CanReach(s, op, Target(s, op)) ? BlockExit.ToAddress(s, Target(s, op)) : null;

    private static Operation* JumpRegister<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
    {
        uint target = TSize.Load(Operands.Register(s, op->Register));
        return CanReach(s, op, target) ? BlockExit.ToAddress(s, target) : null;
    }

    private static uint Target(ProcessorState* s, Operation* op) => (s->BlockEip + op->Displacement) & op->Immediate;

    /// <summary>Whether CS's limit allows a target; raises #GP(0) if not. Flat code reaches everything.</summary>
    private static bool CanReach(ProcessorState* s, Operation* op, uint target)
    {
        if ((s->Mode & ExecutionMode.Flat) != 0 || target <= s->Cs.Limit)
        {
            return true;
        }

        Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        return false;
    }

    /// <summary>Jcc.</summary>
    private static class Conditional<TCondition>
        where TCondition : struct, ICondition
    {
        public static Operation* Linked(ProcessorState* s, Operation* op)
        {
            if (!TCondition.IsTrue(s))
            {
                return Operation.Next(s, op);
            }

            uint target = s->BlockEip + op->Displacement;
            BlockExit.GiveBackRest(s, op);
            return BlockExit.ToLink(s, op, target);
        }

        public static Operation* Checked(ProcessorState* s, Operation* op) =>
            TCondition.IsTrue(s) ? TakeChecked(s, op) : Operation.Next(s, op);
    }

    private static Operation* TakeChecked(ProcessorState* s, Operation* op)
    {
        uint target = Target(s, op);
        if (!CanReach(s, op, target))
        {
            return null;
        }

        BlockExit.GiveBackRest(s, op);
        return BlockExit.ToAddress(s, target);
    }

    /// <summary>LOOP, LOOPE, LOOPNE and JECXZ; the type is the size of the counter, which the address size sets.</summary>
    private static class LoopForms<TSize>
        where TSize : struct, IOperandSize
    {
        public static Operation* Loop(ProcessorState* s, Operation* op) =>
            Count(s, op, TSize.Load(Operands.Register(s, StateOffset.Ecx)) != 1);

        public static Operation* LoopEqual(ProcessorState* s, Operation* op) =>
            Count(s, op, TSize.Load(Operands.Register(s, StateOffset.Ecx)) != 1 && s->ZeroFlag);

        public static Operation* LoopNotEqual(ProcessorState* s, Operation* op) =>
            Count(s, op, TSize.Load(Operands.Register(s, StateOffset.Ecx)) != 1 && !s->ZeroFlag);

        public static Operation* JumpIfZero(ProcessorState* s, Operation* op) =>
            TSize.Load(Operands.Register(s, StateOffset.Ecx)) == 0 ? TakeChecked(s, op) : Operation.Next(s, op);

        private static Operation* Count(ProcessorState* s, Operation* op, bool taken)
        {
            // The target is checked before the counter changes: the fault finds the state untouched.
            if (taken && !CanReach(s, op, Target(s, op)))
            {
                return null;
            }

            byte* counter = Operands.Register(s, StateOffset.Ecx);
            TSize.Store(counter, TSize.Load(counter) - 1);
            return taken ? TakeChecked(s, op) : Operation.Next(s, op);
        }
    }

    /// <summary>CALL and RET, and jumps through memory.</summary>
    private static class CallForms<TSize, TAddressing>
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        public static Operation* Relative(ProcessorState* s, Operation* op)
        {
            uint target = Target(s, op);
            if (!CanReach(s, op, target) || !StackAccess<TAddressing>.Push<TSize>(s, op, Operation.NextEip(s, op)))
            {
                return null;
            }

            return (s->Mode & ExecutionMode.Flat) != 0
                ? BlockExit.ToLink(s, op, target)
                : BlockExit.ToAddress(s, target);
        }

        public static Operation* Register(ProcessorState* s, Operation* op) =>
            Call(s, op, TSize.Load(Operands.Register(s, op->Register)));

        public static Operation* Memory(ProcessorState* s, Operation* op)
        {
            byte* source = TAddressing.Read(s, op, TSize.Bytes);
            return source == null ? null : Call(s, op, TSize.Load(source));
        }

        public static Operation* JumpMemory(ProcessorState* s, Operation* op)
        {
            byte* source = TAddressing.Read(s, op, TSize.Bytes);
            if (source == null)
            {
                return null;
            }

            uint target = TSize.Load(source);
            return CanReach(s, op, target) ? BlockExit.ToAddress(s, target) : null;
        }

        public static Operation* Return(ProcessorState* s, Operation* op)
        {
            byte* top = StackAccess<TAddressing>.Peek(s, op, 0, TSize.Bytes);
            if (top == null)
            {
                return null;
            }

            uint target = TSize.Load(top);
            if (!CanReach(s, op, target))
            {
                return null;
            }

            StackAccess<TAddressing>.Release(s, TSize.Bytes + op->Immediate);
            return BlockExit.ToAddress(s, target);
        }

        private static Operation* Call(ProcessorState* s, Operation* op, uint target) =>
            CanReach(s, op, target) && StackAccess<TAddressing>.Push<TSize>(s, op, Operation.NextEip(s, op))
                ? BlockExit.ToAddress(s, target)
                : null;
    }
}
