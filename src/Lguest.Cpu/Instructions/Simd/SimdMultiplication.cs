using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>
/// Packed integer products, sums of neighbours and sums of differences (SDM 1, 9.4.1, 10.4.4, 11.4.2, 12.6).
/// </summary>
internal static unsafe class SimdMultiplication
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Pmullw: return Either<MultiplyLow>(instruction, context, op);
            case Mnemonic.Pmulhw: return Either<MultiplyHigh>(instruction, context, op);
            case Mnemonic.Pmulhuw: return Either<MultiplyHighUnsigned>(instruction, context, op);
            case Mnemonic.Pmulhrsw: return Either<MultiplyHighRounded>(instruction, context, op);
            case Mnemonic.Pmuludq: return Either<MultiplyWide>(instruction, context, op);
            case Mnemonic.Pmaddwd: return Either<MultiplyAddWords>(instruction, context, op);
            case Mnemonic.Pmaddubsw: return Either<MultiplyAddBytes>(instruction, context, op);
            case Mnemonic.Psadbw: return Either<SumAbsoluteDifferences>(instruction, context, op);
            case Mnemonic.Phaddw: return Joined<AddNeighbourWords>(instruction, context, op);
            case Mnemonic.Phaddd: return Joined<AddNeighbourDoublewords>(instruction, context, op);
            case Mnemonic.Phaddsw: return Joined<AddNeighboursSaturated>(instruction, context, op);
            case Mnemonic.Phsubw: return Joined<SubtractNeighbourWords>(instruction, context, op);
            case Mnemonic.Phsubd: return Joined<SubtractNeighbourDoublewords>(instruction, context, op);
            case Mnemonic.Phsubsw: return Joined<SubtractNeighboursSaturated>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Either<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPackedOperation =>
        PackedLowering<Packed<TOperation>>.LowerEither(instruction, context, op);

    private static Lowered Joined<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPackedOperation =>
        SimdShuffle.LowerJoined<TOperation>(instruction, context, op);

    /// <summary>PMULLW.</summary>
    private readonly struct MultiplyLow : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (destination.AsUInt16() * source.AsUInt16()).AsByte();
    }

    /// <summary>PMULHW.</summary>
    private readonly struct MultiplyHigh : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<int> low = LowProducts(destination.AsInt16(), source.AsInt16());
            Vector128<int> high = HighProducts(destination.AsInt16(), source.AsInt16());
            return Vector128.Narrow(low >> 16, high >> 16).AsByte();
        }
    }

    /// <summary>PMULHUW.</summary>
    private readonly struct MultiplyHighUnsigned : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<uint> low = Vector128.WidenLower(destination.AsUInt16()) * Vector128.WidenLower(source.AsUInt16());
            Vector128<uint> high = Vector128.WidenUpper(destination.AsUInt16()) * Vector128.WidenUpper(source.AsUInt16());
            return Vector128.Narrow(low >>> 16, high >>> 16).AsByte();
        }
    }

    /// <summary>PMULHRSW: bits 15 to 30 of the product, rounded by the bit below.</summary>
    private readonly struct MultiplyHighRounded : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<int> low = LowProducts(destination.AsInt16(), source.AsInt16());
            Vector128<int> high = HighProducts(destination.AsInt16(), source.AsInt16());
            return Vector128.Narrow(
                ((low >> 14) + Vector128<int>.One) >> 1,
                ((high >> 14) + Vector128<int>.One) >> 1).AsByte();
        }
    }

    /// <summary>PMULUDQ: of the even doublewords.</summary>
    private readonly struct MultiplyWide : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<ulong> evens = Vector128.Create((ulong)uint.MaxValue);
            return ((destination.AsUInt64() & evens) * (source.AsUInt64() & evens)).AsByte();
        }
    }

    /// <summary>PMADDWD: products of signed words, added in pairs. Only -2^15 four times over wraps around.</summary>
    private readonly struct MultiplyAddWords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<int> evens = (destination.AsInt32() << 16 >> 16) * (source.AsInt32() << 16 >> 16);
            Vector128<int> odds = (destination.AsInt32() >> 16) * (source.AsInt32() >> 16);
            return (evens + odds).AsByte();
        }
    }

    /// <summary>PMADDUBSW: unsigned bytes of the destination times signed ones of the source, added in pairs.</summary>
    private readonly struct MultiplyAddBytes : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<short> evens = (destination.AsInt16() << 8 >>> 8) * (source.AsInt16() << 8 >> 8);
            Vector128<short> odds = (destination.AsInt16() >>> 8) * (source.AsInt16() >> 8);
            return Vector128.AddSaturate(evens, odds).AsByte();
        }
    }

    /// <summary>PSADBW: the sum of eight absolute differences, in each half.</summary>
    private readonly struct SumAbsoluteDifferences : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<byte> differences = Vector128.Max(destination, source) - Vector128.Min(destination, source);
            Vector128<ushort> pairs = (differences.AsUInt16() << 8 >>> 8) + (differences.AsUInt16() >>> 8);
            Vector128<uint> fours = (pairs.AsUInt32() << 16 >>> 16) + (pairs.AsUInt32() >>> 16);
            return ((fours.AsUInt64() << 32 >>> 32) + (fours.AsUInt64() >>> 32)).AsByte();
        }
    }

    /// <summary>PHADDW.</summary>
    private readonly struct AddNeighbourWords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (EvenWords(destination, source) + OddWords(destination, source)).AsByte();
    }

    /// <summary>PHADDD.</summary>
    private readonly struct AddNeighbourDoublewords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (EvenDoublewords(destination, source) + OddDoublewords(destination, source)).AsByte();
    }

    /// <summary>PHADDSW.</summary>
    private readonly struct AddNeighboursSaturated : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.AddSaturate(EvenWords(destination, source), OddWords(destination, source)).AsByte();
    }

    /// <summary>PHSUBW.</summary>
    private readonly struct SubtractNeighbourWords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (EvenWords(destination, source) - OddWords(destination, source)).AsByte();
    }

    /// <summary>PHSUBD.</summary>
    private readonly struct SubtractNeighbourDoublewords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (EvenDoublewords(destination, source) - OddDoublewords(destination, source)).AsByte();
    }

    /// <summary>PHSUBSW.</summary>
    private readonly struct SubtractNeighboursSaturated : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.SubtractSaturate(EvenWords(destination, source), OddWords(destination, source)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> LowProducts(Vector128<short> a, Vector128<short> b) => Vector128.WidenLower(a) * Vector128.WidenLower(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> HighProducts(Vector128<short> a, Vector128<short> b) => Vector128.WidenUpper(a) * Vector128.WidenUpper(b);

    // Elements 0, 2, 4 ... of the destination, then of the source.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> EvenWords(Vector128<byte> destination, Vector128<byte> source) =>
        Vector128.Narrow(destination.AsInt32(), source.AsInt32());

    // Elements 1, 3, 5 ... of the destination, then of the source.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> OddWords(Vector128<byte> destination, Vector128<byte> source) =>
        Vector128.Narrow(destination.AsInt32() >> 16, source.AsInt32() >> 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> EvenDoublewords(Vector128<byte> destination, Vector128<byte> source) =>
        Vector128.Narrow(destination.AsUInt64(), source.AsUInt64());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> OddDoublewords(Vector128<byte> destination, Vector128<byte> source) =>
        Vector128.Narrow(destination.AsUInt64() >>> 32, source.AsUInt64() >>> 32);
}
