using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>Packed integer arithmetic, comparison and logic, on MMX and XMM registers (SDM 1, 9.4, 10.4.4, 12.6).</summary>
internal static unsafe class SimdArithmetic
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Paddb: return Either<AddElements<byte>>(instruction, context, op);
            case Mnemonic.Paddw: return Either<AddElements<ushort>>(instruction, context, op);
            case Mnemonic.Paddd: return Either<AddElements<uint>>(instruction, context, op);
            case Mnemonic.Paddq: return Either<AddElements<ulong>>(instruction, context, op);
            case Mnemonic.Paddsb: return Either<AddSaturated<sbyte>>(instruction, context, op);
            case Mnemonic.Paddsw: return Either<AddSaturated<short>>(instruction, context, op);
            case Mnemonic.Paddusb: return Either<AddSaturated<byte>>(instruction, context, op);
            case Mnemonic.Paddusw: return Either<AddSaturated<ushort>>(instruction, context, op);
            case Mnemonic.Psubb: return Either<SubtractElements<byte>>(instruction, context, op);
            case Mnemonic.Psubw: return Either<SubtractElements<ushort>>(instruction, context, op);
            case Mnemonic.Psubd: return Either<SubtractElements<uint>>(instruction, context, op);
            case Mnemonic.Psubq: return Either<SubtractElements<ulong>>(instruction, context, op);
            case Mnemonic.Psubsb: return Either<SubtractSaturated<sbyte>>(instruction, context, op);
            case Mnemonic.Psubsw: return Either<SubtractSaturated<short>>(instruction, context, op);
            case Mnemonic.Psubusb: return Either<SubtractSaturated<byte>>(instruction, context, op);
            case Mnemonic.Psubusw: return Either<SubtractSaturated<ushort>>(instruction, context, op);
            case Mnemonic.Pavgb: return Either<Average<byte>>(instruction, context, op);
            case Mnemonic.Pavgw: return Either<Average<ushort>>(instruction, context, op);
            case Mnemonic.Pminub: return Either<Minimum<byte>>(instruction, context, op);
            case Mnemonic.Pminsw: return Either<Minimum<short>>(instruction, context, op);
            case Mnemonic.Pmaxub: return Either<Maximum<byte>>(instruction, context, op);
            case Mnemonic.Pmaxsw: return Either<Maximum<short>>(instruction, context, op);
            case Mnemonic.Pcmpeqb: return Either<IsEqual<byte>>(instruction, context, op);
            case Mnemonic.Pcmpeqw: return Either<IsEqual<ushort>>(instruction, context, op);
            case Mnemonic.Pcmpeqd: return Either<IsEqual<uint>>(instruction, context, op);
            case Mnemonic.Pcmpgtb: return Either<IsGreater<sbyte>>(instruction, context, op);
            case Mnemonic.Pcmpgtw: return Either<IsGreater<short>>(instruction, context, op);
            case Mnemonic.Pcmpgtd: return Either<IsGreater<int>>(instruction, context, op);
            case Mnemonic.Pabsb: return Either<Absolute<sbyte>>(instruction, context, op);
            case Mnemonic.Pabsw: return Either<Absolute<short>>(instruction, context, op);
            case Mnemonic.Pabsd: return Either<Absolute<int>>(instruction, context, op);
            case Mnemonic.Psignb: return Either<ApplySign<sbyte>>(instruction, context, op);
            case Mnemonic.Psignw: return Either<ApplySign<short>>(instruction, context, op);
            case Mnemonic.Psignd: return Either<ApplySign<int>>(instruction, context, op);
            case Mnemonic.Pand or Mnemonic.Andps or Mnemonic.Andpd: return Either<And>(instruction, context, op);
            case Mnemonic.Pandn or Mnemonic.Andnps or Mnemonic.Andnpd: return Either<AndNot>(instruction, context, op);
            case Mnemonic.Por or Mnemonic.Orps or Mnemonic.Orpd: return Either<Or>(instruction, context, op);
            case Mnemonic.Pxor or Mnemonic.Xorps or Mnemonic.Xorpd: return Either<Xor>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Either<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPackedOperation =>
        PackedLowering<Packed<TOperation>>.LowerEither(instruction, context, op);

    /// <summary>PADDB, PADDW, PADDD, PADDQ.</summary>
    private readonly struct AddElements<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (destination.As<byte, T>() + source.As<byte, T>()).AsByte();
    }

    /// <summary>PADDSB, PADDSW, PADDUSB, PADDUSW.</summary>
    private readonly struct AddSaturated<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.AddSaturate(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    /// <summary>PSUBB, PSUBW, PSUBD, PSUBQ.</summary>
    private readonly struct SubtractElements<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (destination.As<byte, T>() - source.As<byte, T>()).AsByte();
    }

    /// <summary>PSUBSB, PSUBSW, PSUBUSB, PSUBUSW.</summary>
    private readonly struct SubtractSaturated<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.SubtractSaturate(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    /// <summary>PAVGB, PAVGW: half the sum, rounded up, without room for its carry.</summary>
    private readonly struct Average<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<T> halfDifference = (destination ^ source).As<byte, T>() >>> 1;
            return ((destination | source).As<byte, T>() - halfDifference).AsByte();
        }
    }

    /// <summary>PMINUB, PMINSW.</summary>
    private readonly struct Minimum<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Min(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    /// <summary>PMAXUB, PMAXSW.</summary>
    private readonly struct Maximum<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Max(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    /// <summary>PCMPEQB, PCMPEQW, PCMPEQD.</summary>
    private readonly struct IsEqual<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Equals(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    /// <summary>PCMPGTB, PCMPGTW, PCMPGTD.</summary>
    private readonly struct IsGreater<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.GreaterThan(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    /// <summary>PABSB, PABSW, PABSD: the most negative number stays what it is.</summary>
    private readonly struct Absolute<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<T> value = source.As<byte, T>();
            Vector128<T> negative = Vector128.LessThan(value, Vector128<T>.Zero);
            return Vector128.ConditionalSelect(negative, Vector128<T>.Zero - value, value).AsByte();
        }
    }

    /// <summary>PSIGNB, PSIGNW, PSIGND: the destination times the source's sign.</summary>
    private readonly struct ApplySign<T> : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<T> value = destination.As<byte, T>();
            Vector128<T> sign = source.As<byte, T>();
            Vector128<T> negative = Vector128.LessThan(sign, Vector128<T>.Zero);
            Vector128<T> zero = Vector128.Equals(sign, Vector128<T>.Zero);
            Vector128<T> signed = Vector128.ConditionalSelect(negative, Vector128<T>.Zero - value, value);
            return Vector128.AndNot(signed, zero).AsByte();
        }
    }

    /// <summary>PAND, ANDPS, ANDPD.</summary>
    private readonly struct And : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            destination & source;
    }

    /// <summary>PANDN, ANDNPS, ANDNPD: it is the destination that is inverted.</summary>
    private readonly struct AndNot : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            ~destination & source;
    }

    /// <summary>POR, ORPS, ORPD.</summary>
    private readonly struct Or : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            destination | source;
    }

    /// <summary>PXOR, XORPS, XORPD.</summary>
    private readonly struct Xor : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            destination ^ source;
    }
}
