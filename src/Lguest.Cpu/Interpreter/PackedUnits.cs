using System.Runtime.CompilerServices;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// The register files that an instruction uses, as a type: what must be enabled, and what using them does.
/// </summary>
internal unsafe interface IPackedUnit
{
    /// <summary>Whether the instruction may execute.</summary>
    static abstract bool IsAvailable(ProcessorState* s);

    /// <summary>Raises the reason why not; always null.</summary>
    static abstract Operation* Raise(ProcessorState* s, Operation* op);

    /// <summary>What the instruction does to the units' state, once its operands are known to be accessible.</summary>
    static abstract void Enter(ProcessorState* s);
}

/// <summary>XMM registers only.</summary>
internal readonly unsafe struct SseUnit : IPackedUnit
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAvailable(ProcessorState* s) => FloatingPointAccess.IsSseAvailable(s);

    public static Operation* Raise(ProcessorState* s, Operation* op) => FloatingPointAccess.RaiseSse(s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Enter(ProcessorState* s)
    {
    }
}

/// <summary>MMX registers only.</summary>
internal readonly unsafe struct MmxUnit : IPackedUnit
{
    private const ushort TopOfStack = 7 << 11;
    private const byte AllValid = byte.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAvailable(ProcessorState* s) => FloatingPointAccess.IsMmxAvailable(s);

    public static Operation* Raise(ProcessorState* s, Operation* op) => FloatingPointAccess.RaiseMmx(s, op);

    /// <summary>The x87 stack is left full, with its top at register 0 (SDM 1, 9.5.1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Enter(ProcessorState* s)
    {
        s->X87.Status = (ushort)(s->X87.Status & ~TopOfStack);
        s->X87.Valid = AllValid;
    }
}

/// <summary>SSE instructions that use MMX registers too (SDM 1, 11.6.9).</summary>
internal readonly unsafe struct SseAndMmxUnit : IPackedUnit
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAvailable(ProcessorState* s) =>
        FloatingPointAccess.IsSseAvailable(s) && FloatingPointAccess.IsMmxAvailable(s);

    public static Operation* Raise(ProcessorState* s, Operation* op) =>
        FloatingPointAccess.IsSseAvailable(s)
            ? FloatingPointAccess.RaiseMmx(s, op)
            : FloatingPointAccess.RaiseSse(s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Enter(ProcessorState* s) => MmxUnit.Enter(s);
}
