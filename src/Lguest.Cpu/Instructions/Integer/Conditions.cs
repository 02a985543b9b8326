using System.Runtime.CompilerServices;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>A condition of Jcc, SETcc and CMOVcc (SDM 1, appendix B).</summary>
internal unsafe interface ICondition
{
    /// <summary>Whether it holds.</summary>
    static abstract bool IsTrue(ProcessorState* s);
}

/// <summary>The opposite of another condition, as the low bit of its encoding says.</summary>
internal readonly unsafe struct Not<TCondition> : ICondition
    where TCondition : struct, ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => !TCondition.IsTrue(s);
}

internal readonly unsafe struct IfOverflow : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->OverflowFlag;
}

internal readonly unsafe struct IfBelow : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->CarryFlag;
}

internal readonly unsafe struct IfEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->ZeroFlag;
}

internal readonly unsafe struct IfBelowOrEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->CarryFlag | s->ZeroFlag;
}

internal readonly unsafe struct IfSign : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->SignFlag;
}

internal readonly unsafe struct IfParity : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->ParityFlag;
}

internal readonly unsafe struct IfLess : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->IsLess;
}

internal readonly unsafe struct IfLessOrEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTrue(ProcessorState* s) => s->IsLess | s->ZeroFlag;
}
