using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>
/// RCPPS, RCPSS, RSQRTPS, RSQRTSS (SDM 1, 10.4.1.2): reciprocals and reciprocal square roots with a relative error of at
/// most 1.5 * 2^-12. They heed nothing of MXCSR and raise nothing; denormals count as zero and don't result.
/// </summary>
/// <remarks>
/// The manual leaves the value to the implementation. Here it is the exact result rounded to nearest at 12 bits
/// after the binary point of its significand, so that powers of two (of four) are exact: an error below 2^-13.
/// </remarks>
internal static unsafe class SseApproximation
{
    /// <summary>Bits of a result's significand after its binary point.</summary>
    private const int FractionBits = 12;

    private static int StoredBits => Float32.SignificandBits - 1;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Rcpps:
                return PackedLowering<Packed<All<Reciprocal>>>.LowerXmm<AlignedMemory128>(instruction, context, op);
            case Mnemonic.Rcpss:
                return PackedLowering<Packed<First<Reciprocal>>>.LowerXmm<Memory32>(instruction, context, op);
            case Mnemonic.Rsqrtps:
                return PackedLowering<Packed<All<ReciprocalSquareRoot>>>.LowerXmm<AlignedMemory128>(
                    instruction, context, op);
            case Mnemonic.Rsqrtss:
                return PackedLowering<Packed<First<ReciprocalSquareRoot>>>.LowerXmm<Memory32>(instruction, context, op);
            default:
                return Lowered.Undefined;
        }
    }

    private interface IApproximation
    {
        static abstract Float32 Execute(Float32 value);
    }

    /// <summary>The instructions in PS.</summary>
    private readonly struct All<TOperation> : IPackedOperation
        where TOperation : struct, IApproximation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SseElements.Vector(
                TOperation.Execute(SseElements.Single(source, 0)),
                TOperation.Execute(SseElements.Single(source, 1)),
                TOperation.Execute(SseElements.Single(source, 2)),
                TOperation.Execute(SseElements.Single(source, 3)));
    }

    /// <summary>The instructions in SS.</summary>
    private readonly struct First<TOperation> : IPackedOperation
        where TOperation : struct, IApproximation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SseElements.WithFirst(destination, TOperation.Execute(SseElements.Single(source, 0)));
    }

    /// <summary>RCPPS, RCPSS.</summary>
    private readonly struct Reciprocal : IApproximation
    {
        public static Float32 Execute(Float32 value)
        {
            switch (value.Class)
            {
                case NumberClass.Zero or NumberClass.Denormal:
                    return Rounding.Infinity<Float32>(value.IsNegative);
                case NumberClass.Infinity:
                    return Rounding.Zero<Float32>(value.IsNegative);
                case >= NumberClass.QuietNan:
                    return value.Quiet();
                default:
                    break;
            }

            // The significand m is 2^23 to 2^24, and 2^37 / m from 2^13 to 2^14.
            Unpacked number = value.Unpack();
            ulong significand = number.Significand >> (64 - Float32.SignificandBits);
            ulong doubled = (1ul << (StoredBits + FractionBits + 2)) / significand;
            return Round(number.Negative, -1 - number.Exponent, doubled);
        }
    }

    /// <summary>RSQRTPS, RSQRTSS.</summary>
    private readonly struct ReciprocalSquareRoot : IApproximation
    {
        public static Float32 Execute(Float32 value)
        {
            switch (value.Class)
            {
                case NumberClass.Zero or NumberClass.Denormal:
                    return Rounding.Infinity<Float32>(value.IsNegative);
                case >= NumberClass.QuietNan:
                    return value.Quiet();
                case var kind when value.IsNegative:
                    return Float32.Indefinite;
                case NumberClass.Infinity:
                    return Rounding.Zero<Float32>(negative: false);
                default:
                    break;
            }

            // With an even exponent, the significand m is 2^23 to 2^25, and sqrt(2^51 / m) from 2^13 to 2^14.
            Unpacked number = value.Unpack();
            int odd = number.Exponent & 1;
            ulong significand = number.Significand >> (64 - Float32.SignificandBits - odd);
            ulong doubled = SquareRoot((1ul << (StoredBits + 2 * FractionBits + 4)) / significand);
            return Round(negative: false, -1 - ((number.Exponent - odd) >> 1), doubled);
        }
    }

    /// <summary>The largest integer whose square isn't larger.</summary>
    private static ulong SquareRoot(ulong value)
    {
        ulong root = 0;
        for (ulong bit = 1ul << (FractionBits + 2); bit != 0; bit >>= 1)
        {
            if ((root + bit) * (root + bit) <= value)
            {
                root += bit;
            }
        }

        return root;
    }

    /// <summary>Rounds a significand that has one bit too many (and may be exactly 2 rather than below).</summary>
    private static Float32 Round(bool negative, int exponent, ulong doubled)
    {
        ulong significand = (doubled + 1) >> 1;
        if (significand >> (FractionBits + 1) != 0)
        {
            significand >>= 1;
            exponent++;
        }

        return exponent < Float32.MinExponent
            ? Rounding.Zero<Float32>(negative)
            : Float32.Pack(negative, exponent, significand << (63 - FractionBits));
    }
}
