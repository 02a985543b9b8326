using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>What a floating-point instruction makes of its operands, with the exceptions that it raises.</summary>
internal interface ISseOperation
{
    /// <summary>The new destination.</summary>
    static abstract Vector128<byte> Execute(
        Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context);
}

/// <summary>The handlers of floating-point instructions: as of packed ones, but the operation itself may fault.</summary>
internal static unsafe class SseForms<TUnit, TDestination, TSource>
    where TUnit : struct, IPackedUnit
    where TDestination : struct, IPackedOperand
    where TSource : struct, IPackedOperand
{
    public static Operation* Execute<TOperation>(ProcessorState* s, Operation* op)
        where TOperation : struct, ISseOperation
    {
        if (!TUnit.IsAvailable(s))
        {
            return TUnit.Raise(s, op);
        }

        byte* source = TSource.Source(s, op);
        if (source == null)
        {
            return null;
        }

        return TryExecute<TOperation>(s, op, source)
            ? Operation.Next(s, op)
            : SseException.Raise(s, op);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryExecute<TOperation>(ProcessorState* s, Operation* op, byte* source)
        where TOperation : struct, ISseOperation
    {
        // Processors enter MMX before they compute: it stays so after an exception.
        TUnit.Enter(s);
        byte* destination = TDestination.Destination(s, op);
        FloatingPointContext context = FloatingPointContext.FromMxcsr(s->Mxcsr);
        Vector128<byte> result = TOperation.Execute(
            TDestination.Load(destination), TSource.Load(source), (byte)op->Immediate, ref context);
        if (!SseException.TryReport(s, context))
        {
            return false;
        }

        TDestination.Store(s, destination, result);
        return true;
    }
}

/// <summary>The handler of a floating-point operation.</summary>
internal readonly unsafe struct Sse<TOperation> : IPackedHandler
    where TOperation : struct, ISseOperation
{
    public static OperationHandler For<TUnit, TDestination, TSource>()
        where TUnit : struct, IPackedUnit
        where TDestination : struct, IPackedOperand
        where TSource : struct, IPackedOperand => &SseForms<TUnit, TDestination, TSource>.Execute<TOperation>;
}

/// <summary>What becomes of the exceptions of an SSE instruction (SDM 1, 11.5).</summary>
internal static unsafe class SseException
{
    /// <summary>Adds an instruction's exceptions to MXCSR; false when one of them isn't masked.</summary>
    public static bool TryReport(ProcessorState* s, in FloatingPointContext context)
    {
        s->Mxcsr |= (uint)context.Reported;
        return context.Unmasked == FloatingPointExceptions.None;
    }

    /// <summary>Raises the fault of an unmasked exception; always null.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operation* Raise(ProcessorState* s, Operation* op) =>
        Fault.Raise(
            s,
            op,
            (s->Cr4 & Cr4.Osxmmexcpt) != 0 ? ExceptionVector.SimdError : ExceptionVector.InvalidOpcode);
}
