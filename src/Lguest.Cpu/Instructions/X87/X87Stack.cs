using System.Runtime.CompilerServices;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>Bits of the x87 status word (SDM 1, 8.1.3).</summary>
internal static class X87Status
{
    /// <summary>IE: invalid operation; the five other exceptions follow.</summary>
    public const uint Ie = 1 << 0;

    /// <summary>All six exceptions.</summary>
    public const uint Exceptions = 0x3f;

    /// <summary>SF: the invalid operation was one on the stack.</summary>
    public const uint Sf = 1 << 6;

    /// <summary>ES: an exception is not masked.</summary>
    public const uint Es = 1 << 7;

    /// <summary>C0.</summary>
    public const uint C0 = 1 << 8;

    /// <summary>C1: rounded up; or the stack overflowed rather than underflowed.</summary>
    public const uint C1 = 1 << 9;

    /// <summary>C2.</summary>
    public const uint C2 = 1 << 10;

    /// <summary>C3.</summary>
    public const uint C3 = 1 << 14;

    /// <summary>B: the same as ES.</summary>
    public const uint B = 1 << 15;

    /// <summary>TOP.</summary>
    public const uint TopMask = 7 << TopShift;

    /// <summary>Where TOP is.</summary>
    public const int TopShift = 11;
}

/// <summary>The x87's register stack, and what every x87 instruction does before and after its work.</summary>
internal static unsafe class X87Stack
{
    /// <summary>In <see cref="Operation.Immediate"/>: the instruction has a memory operand.</summary>
    public const uint HasMemoryOperand = 1;

    /// <summary>Registers of the stack.</summary>
    public const int Registers = 8;

    private const int RegisterMask = Registers - 1;
    private const uint InvalidMask = 1;

    /// <summary>
    /// Whether a waiting instruction may execute: else #NM, or #MF for an exception that an earlier instruction
    /// left, has been raised.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CanExecute(ProcessorState* s, Operation* op) =>
        ((s->Cr0 & (Cr0.Em | Cr0.Ts)) | (s->X87.Status & X87Status.Es)) == 0 || CanExecuteSlow(s, op);

    /// <summary>#MF if an exception waits to be reported. Without CR0.NE the report would leave the processor.</summary>
    public static bool CheckPending(ProcessorState* s, Operation* op)
    {
        if ((s->X87.Status & X87Status.Es) == 0 || (s->Cr0 & Cr0.Ne) == 0)
        {
            return true;
        }

        Fault.Raise(s, op, ExceptionVector.X87Error);
        return false;
    }

    /// <summary>
    /// Goes on after an instruction that doesn't only control the x87, and remembers where it was (SDM 1, 8.1.8).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Operation* Next(ProcessorState* s, Operation* op)
    {
        s->X87.InstructionPointer = s->BlockEip + op->EipOffset;
        return Operation.Next(s, op);
    }

    /// <summary>ST(i).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float80* At(ProcessorState* s, int index) =>
        (Float80*)&s->X87.Registers + Physical(s, index);

    /// <summary>Whether ST(i) holds nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsEmpty(ProcessorState* s, int index) =>
        ((s->X87.Valid >> Physical(s, index)) & 1) == 0;

    /// <summary>Whether there is no room to push, ST(7) holding something.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFull(ProcessorState* s) => !IsEmpty(s, Registers - 1);

    /// <summary>Pushes a value over whatever ST(7) holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Push(ProcessorState* s, Float80 value)
    {
        Rotate(s, -1);
        Set(s, 0, value);
    }

    /// <summary>Empties ST(0) and makes ST(1) the top.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pop(ProcessorState* s)
    {
        Free(s, 0);
        Rotate(s, 1);
    }

    /// <summary>Puts a value into ST(i), empty or not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(ProcessorState* s, int index, Float80 value)
    {
        int physical = Physical(s, index);
        ((Float80*)&s->X87.Registers)[physical] = value;
        s->X87.Valid |= (byte)(1 << physical);
    }

    /// <summary>Empties ST(i).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(ProcessorState* s, int index) => s->X87.Valid &= (byte)~(1 << Physical(s, index));

    /// <summary>Moves TOP.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Rotate(ProcessorState* s, int by)
    {
        uint status = s->X87.Status;
        uint top = (status + ((uint)by << X87Status.TopShift)) & X87Status.TopMask;
        s->X87.Status = (ushort)((status & ~X87Status.TopMask) | top);
    }

    /// <summary>C1 as every instruction without a rounding leaves it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ClearC1(ProcessorState* s) => s->X87.Status &= unchecked((ushort)~X87Status.C1);

    /// <summary>
    /// Takes an instruction's exceptions and C1 into the status word; false when its result, if it goes to a
    /// register, must not be delivered.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Complete(ProcessorState* s, Operation* op, in FloatingPointContext context) =>
        Complete(s, op, context, X87Status.C1, 0);

    /// <summary>The same for an instruction that sets condition codes.</summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="op">The instruction.</param>
    /// <param name="context">What its operations reported.</param>
    /// <param name="replaced">The condition codes that it sets.</param>
    /// <param name="conditions">What it sets them to.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Complete(
        ProcessorState* s, Operation* op, in FloatingPointContext context, uint replaced, uint conditions)
    {
        uint status = (s->X87.Status & ~replaced) | conditions;
        if (context.Raised == 0)
        {
            s->X87.Status = (ushort)status;
            return true;
        }

        s->X87.Status = (ushort)(status | (uint)context.Reported | (context.ReportedRoundedUp ? X87Status.C1 : 0));
        if (context.Unmasked != 0)
        {
            X87Error.Record(s, op);
        }

        return !context.StopsComputation;
    }

    /// <summary>
    /// The same for an instruction that stores to memory: an unmasked overflow or underflow, too, delivers nothing.
    /// </summary>
    public static bool CompleteStore(ProcessorState* s, Operation* op, in FloatingPointContext context)
    {
        Complete(s, op, context);
        return (context.Unmasked & ~FloatingPointExceptions.Precision) == 0;
    }

    /// <summary>An operand is empty; true when the masked response, an indefinite, is to be delivered.</summary>
    public static bool Underflow(ProcessorState* s, Operation* op) => Report(s, op, 0);

    /// <summary>There is no room to push; true when the masked response, an indefinite, is to be delivered.</summary>
    public static bool Overflow(ProcessorState* s, Operation* op) => Report(s, op, X87Status.C1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Physical(ProcessorState* s, int index) =>
        ((s->X87.Status >> X87Status.TopShift) + index) & RegisterMask;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Report(ProcessorState* s, Operation* op, uint direction)
    {
        s->X87.Status = (ushort)((s->X87.Status & ~X87Status.C1) | X87Status.Ie | X87Status.Sf | direction);
        if ((s->X87.Control & InvalidMask) != 0)
        {
            return true;
        }

        X87Error.Record(s, op);
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool CanExecuteSlow(ProcessorState* s, Operation* op) =>
        FloatingPointAccess.CheckX87(s, op) && CheckPending(s, op);
}
