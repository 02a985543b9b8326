using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>What happens to one pair of elements, in either format.</summary>
internal interface IFloatOperation
{
    /// <summary>The result.</summary>
    static abstract T Execute<T>(T destination, T source, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>;
}

/// <summary>The singles and doubles in a vector.</summary>
internal static class SseElements
{
    /// <summary>A single.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32 Single(Vector128<byte> value, int index) => new(value.AsUInt32().GetElement(index));

    /// <summary>A double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float64 Double(Vector128<byte> value, int index) => new(value.AsUInt64().GetElement(index));

    /// <summary>Four singles as a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Vector(Float32 first, Float32 second, Float32 third, Float32 fourth) =>
        Vector128.Create(first.Bits, second.Bits, third.Bits, fourth.Bits).AsByte();

    /// <summary>Two doubles as a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Vector(Float64 first, Float64 second) =>
        Vector128.Create(first.Bits, second.Bits).AsByte();

    /// <summary>A vector with another first single.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> WithFirst(Vector128<byte> vector, Float32 first) =>
        vector.AsUInt32().WithElement(0, first.Bits).AsByte();

    /// <summary>A vector with another first double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> WithFirst(Vector128<byte> vector, Float64 first) =>
        vector.AsUInt64().WithElement(0, first.Bits).AsByte();
}

/// <summary>Four singles with four singles: the instructions in PS.</summary>
internal readonly struct PackedSingles<TOperation> : ISseOperation
    where TOperation : struct, IFloatOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Execute(
        Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
        SseElements.Vector(
            TOperation.Execute(SseElements.Single(destination, 0), SseElements.Single(source, 0), ref context),
            TOperation.Execute(SseElements.Single(destination, 1), SseElements.Single(source, 1), ref context),
            TOperation.Execute(SseElements.Single(destination, 2), SseElements.Single(source, 2), ref context),
            TOperation.Execute(SseElements.Single(destination, 3), SseElements.Single(source, 3), ref context));
}

/// <summary>Two doubles with two doubles: the instructions in PD.</summary>
internal readonly struct PackedDoubles<TOperation> : ISseOperation
    where TOperation : struct, IFloatOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Execute(
        Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
        SseElements.Vector(
            TOperation.Execute(SseElements.Double(destination, 0), SseElements.Double(source, 0), ref context),
            TOperation.Execute(SseElements.Double(destination, 1), SseElements.Double(source, 1), ref context));
}

/// <summary>The first single only: the instructions in SS.</summary>
internal readonly struct ScalarSingle<TOperation> : ISseOperation
    where TOperation : struct, IFloatOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Execute(
        Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
        SseElements.WithFirst(
            destination,
            TOperation.Execute(SseElements.Single(destination, 0), SseElements.Single(source, 0), ref context));
}

/// <summary>The first double only: the instructions in SD.</summary>
internal readonly struct ScalarDouble<TOperation> : ISseOperation
    where TOperation : struct, IFloatOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Execute(
        Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
        SseElements.WithFirst(
            destination,
            TOperation.Execute(SseElements.Double(destination, 0), SseElements.Double(source, 0), ref context));
}
