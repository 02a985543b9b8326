using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>Floating-point arithmetic on XMM registers (SDM 1, 10.4.1.2, 11.4.1.2, 12.3.3).</summary>
internal static unsafe class SseArithmetic
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Addps or Mnemonic.Addpd or Mnemonic.Addss or Mnemonic.Addsd:
                return LowerElements<Add>(instruction, context, op);
            case Mnemonic.Subps or Mnemonic.Subpd or Mnemonic.Subss or Mnemonic.Subsd:
                return LowerElements<Subtract>(instruction, context, op);
            case Mnemonic.Mulps or Mnemonic.Mulpd or Mnemonic.Mulss or Mnemonic.Mulsd:
                return LowerElements<Multiply>(instruction, context, op);
            case Mnemonic.Divps or Mnemonic.Divpd or Mnemonic.Divss or Mnemonic.Divsd:
                return LowerElements<Divide>(instruction, context, op);
            case Mnemonic.Minps or Mnemonic.Minpd or Mnemonic.Minss or Mnemonic.Minsd:
                return LowerElements<Minimum>(instruction, context, op);
            case Mnemonic.Maxps or Mnemonic.Maxpd or Mnemonic.Maxss or Mnemonic.Maxsd:
                return LowerElements<Maximum>(instruction, context, op);
            case Mnemonic.Sqrtps or Mnemonic.Sqrtpd or Mnemonic.Sqrtss or Mnemonic.Sqrtsd:
                return LowerElements<SquareRoot>(instruction, context, op);
            case Mnemonic.Addsubps: return LowerPacked<AlternateSingles>(instruction, context, op);
            case Mnemonic.Addsubpd: return LowerPacked<AlternateDoubles>(instruction, context, op);
            case Mnemonic.Haddps: return LowerPacked<HorizontalSingles<Add>>(instruction, context, op);
            case Mnemonic.Haddpd: return LowerPacked<HorizontalDoubles<Add>>(instruction, context, op);
            case Mnemonic.Hsubps: return LowerPacked<HorizontalSingles<Subtract>>(instruction, context, op);
            case Mnemonic.Hsubpd: return LowerPacked<HorizontalDoubles<Subtract>>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    /// <summary>An operation in its four shapes, told apart by the memory operand that each may have.</summary>
    private static Lowered LowerElements<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IFloatOperation => instruction.Code.ToOpCode().MemorySize switch
        {
            MemorySize.Packed128_Float32 => LowerPacked<PackedSingles<TOperation>>(instruction, context, op),
            MemorySize.Packed128_Float64 => LowerPacked<PackedDoubles<TOperation>>(instruction, context, op),
            MemorySize.Float32 =>
                PackedLowering<Sse<ScalarSingle<TOperation>>>.LowerXmm<Memory32>(instruction, context, op),
            _ => PackedLowering<Sse<ScalarDouble<TOperation>>>.LowerXmm<Memory64>(instruction, context, op),
        };

    private static Lowered LowerPacked<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation =>
        PackedLowering<Sse<TOperation>>.LowerXmm<AlignedMemory128>(instruction, context, op);

    private readonly struct Add : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatArithmetic.Add(destination, source, ref context);
    }

    private readonly struct Subtract : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatArithmetic.Subtract(destination, source, ref context);
    }

    private readonly struct Multiply : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatArithmetic.Multiply(destination, source, ref context);
    }

    private readonly struct Divide : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatArithmetic.Divide(destination, source, ref context);
    }

    private readonly struct Minimum : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatComparison.Minimum(destination, source, ref context);
    }

    private readonly struct Maximum : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatComparison.Maximum(destination, source, ref context);
    }

    private readonly struct SquareRoot : IFloatOperation
    {
        public static T Execute<T>(T destination, T source, ref FloatingPointContext context)
            where T : struct, IBinaryFormat<T> => FloatArithmetic.SquareRoot(source, ref context);
    }

    /// <summary>ADDSUBPS: subtracts elements 0 and 2, adds elements 1 and 3.</summary>
    private readonly struct AlternateSingles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                Subtract.Execute(SseElements.Single(destination, 0), SseElements.Single(source, 0), ref context),
                Add.Execute(SseElements.Single(destination, 1), SseElements.Single(source, 1), ref context),
                Subtract.Execute(SseElements.Single(destination, 2), SseElements.Single(source, 2), ref context),
                Add.Execute(SseElements.Single(destination, 3), SseElements.Single(source, 3), ref context));
    }

    /// <summary>ADDSUBPD: subtracts element 0, adds element 1.</summary>
    private readonly struct AlternateDoubles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                Subtract.Execute(SseElements.Double(destination, 0), SseElements.Double(source, 0), ref context),
                Add.Execute(SseElements.Double(destination, 1), SseElements.Double(source, 1), ref context));
    }

    /// <summary>HADDPS, HSUBPS: each element with its neighbour, the destination's pairs and then the source's.</summary>
    private readonly struct HorizontalSingles<TOperation> : ISseOperation
        where TOperation : struct, IFloatOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                TOperation.Execute(SseElements.Single(destination, 0), SseElements.Single(destination, 1), ref context),
                TOperation.Execute(SseElements.Single(destination, 2), SseElements.Single(destination, 3), ref context),
                TOperation.Execute(SseElements.Single(source, 0), SseElements.Single(source, 1), ref context),
                TOperation.Execute(SseElements.Single(source, 2), SseElements.Single(source, 3), ref context));
    }

    /// <summary>HADDPD, HSUBPD.</summary>
    private readonly struct HorizontalDoubles<TOperation> : ISseOperation
        where TOperation : struct, IFloatOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                TOperation.Execute(SseElements.Double(destination, 0), SseElements.Double(destination, 1), ref context),
                TOperation.Execute(SseElements.Double(source, 0), SseElements.Double(source, 1), ref context));
    }
}
