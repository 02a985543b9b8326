using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>ENTER, LEAVE, PUSHA and POPA (SDM 1, 6.5 and 6.2.5).</summary>
/// <remarks>
/// Those that push several values go through their accesses twice: once to see whether any of them faults, and once to
/// make them. A page that can be written the first time can be the second time.
/// </remarks>
internal static unsafe class ProcedureFrames
{
    private const int GeneralRegisters = 8;

    /// <summary>The deepest nesting that ENTER knows.</summary>
    private const uint LevelMask = 31;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        OperationHandler handler;
        switch (instruction.Code)
        {
            case Code.Enterw_imm16_imm8:
                handler = &Forms<Size16, SegmentedAddressing>.Enter;
                break;
            case Code.Enterd_imm16_imm8:
                handler = context.IsFlat ? &Forms<Size32, FlatAddressing>.Enter : &Forms<Size32, SegmentedAddressing>.Enter;
                break;
            case Code.Leavew:
                handler = &Forms<Size16, SegmentedAddressing>.Leave;
                break;
            case Code.Leaved:
                handler = context.IsFlat ? &Forms<Size32, FlatAddressing>.Leave : &Forms<Size32, SegmentedAddressing>.Leave;
                break;
            case Code.Pushaw:
                handler = &Forms<Size16, SegmentedAddressing>.PushAll;
                break;
            case Code.Pushad:
                handler = context.IsFlat ? &Forms<Size32, FlatAddressing>.PushAll : &Forms<Size32, SegmentedAddressing>.PushAll;
                break;
            case Code.Popaw:
                handler = &Forms<Size16, SegmentedAddressing>.PopAll;
                break;
            case Code.Popad:
                handler = context.IsFlat ? &Forms<Size32, FlatAddressing>.PopAll : &Forms<Size32, SegmentedAddressing>.PopAll;
                break;
            default:
                return Lowered.Undefined;
        }

        op->Handler = handler;
        if (instruction.Mnemonic == Mnemonic.Enter)
        {
            op->Immediate = instruction.Immediate16;
            op->Displacement = instruction.Immediate8_2nd & LevelMask;
        }

        return Lowered.Continues;
    }

    private static class Forms<TSize, TAddressing>
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        public static Operation* Enter(ProcessorState* s, Operation* op) =>
            TryEnter(s, op, commit: false) && TryEnter(s, op, commit: true) ? Operation.Next(s, op) : null;

        public static Operation* Leave(ProcessorState* s, Operation* op)
        {
            uint mask = TAddressing.StackMask(s);
            uint top = s->Ebp & mask;
            byte* saved = TAddressing.ReadAt(s, op, (int)SegmentName.Ss, top, TSize.Bytes);
            if (saved == null)
            {
                return null;
            }

            s->Esp = (s->Esp & ~mask) | ((top + TSize.Bytes) & mask);
            TSize.Store(Operands.Register(s, StateOffset.Ebp), TSize.Load(saved));
            return Operation.Next(s, op);
        }

        public static Operation* PushAll(ProcessorState* s, Operation* op) =>
            TryPushAll(s, op, commit: false) && TryPushAll(s, op, commit: true) ? Operation.Next(s, op) : null;

        public static Operation* PopAll(ProcessorState* s, Operation* op) =>
            TryPopAll(s, op) ? Operation.Next(s, op) : null;

        /// <summary>Goes through ENTER's accesses; only when committing does it write.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool TryEnter(ProcessorState* s, Operation* op, bool commit)
        {
            uint mask = TAddressing.StackMask(s);
            uint top = s->Esp;
            if (!TryPush(s, op, ref top, s->Ebp, commit))
            {
                return false;
            }

            uint frame = top;
            uint level = op->Displacement;
            for (uint i = 1; i < level; i++)
            {
                byte* pointer = TAddressing.ReadAt(s, op, (int)SegmentName.Ss, (s->Ebp - (i * TSize.Bytes)) & mask, TSize.Bytes);
                if (pointer == null || !TryPush(s, op, ref top, TSize.Load(pointer), commit))
                {
                    return false;
                }
            }

            if (level > 0 && !TryPush(s, op, ref top, frame, commit))
            {
                return false;
            }

            top = (top & ~mask) | ((top - op->Immediate) & mask);
            if (!commit)
            {
                // The new top has to be writable, though nothing is written there.
                return TAddressing.WriteAt(s, op, (int)SegmentName.Ss, top & mask, TSize.Bytes) != null;
            }

            s->Esp = top;
            TSize.Store(Operands.Register(s, StateOffset.Ebp), frame);
            return true;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool TryPushAll(ProcessorState* s, Operation* op, bool commit)
        {
            uint top = s->Esp;
            for (int i = 0; i < GeneralRegisters; i++)
            {
                if (!TryPush(s, op, ref top, s->GetGeneral(i), commit))
                {
                    return false;
                }
            }

            if (commit)
            {
                s->Esp = top;
            }

            return true;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool TryPopAll(ProcessorState* s, Operation* op)
        {
            uint* values = stackalloc uint[GeneralRegisters];
            for (int i = 0; i < GeneralRegisters; i++)
            {
                byte* host = StackAccess<TAddressing>.Peek(s, op, (uint)i * TSize.Bytes, TSize.Bytes);
                if (host == null)
                {
                    return false;
                }

                values[i] = TSize.Load(host);
            }

            // EDI lies lowest; ESP's value is thrown away.
            for (int i = 0; i < GeneralRegisters; i++)
            {
                int number = GeneralRegisters - 1 - i;
                if (4 * number != StateOffset.Esp)
                {
                    TSize.Store(Operands.Register(s, (byte)(4 * number)), values[i]);
                }
            }

            StackAccess<TAddressing>.Release(s, GeneralRegisters * TSize.Bytes);
            return true;
        }

        private static bool TryPush(ProcessorState* s, Operation* op, ref uint esp, uint value, bool commit)
        {
            uint mask = TAddressing.StackMask(s);
            esp = (esp & ~mask) | ((esp - TSize.Bytes) & mask);
            byte* host = TAddressing.WriteAt(s, op, (int)SegmentName.Ss, esp & mask, TSize.Bytes);
            if (host == null)
            {
                return false;
            }

            if (commit)
            {
                TSize.Store(host, value);
                MemoryAccess.Complete(s, host);
            }

            return true;
        }
    }
}
