using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>Conversion between singles, doubles and doublewords (SDM 1, 10.4.3 and 11.4.1.6).</summary>
internal static unsafe class SseConversion
{
    /// <summary>How a number becomes an integer.</summary>
    private interface IIntegerRounding
    {
        static abstract RoundingMode Mode(in FloatingPointContext context);
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Cvtps2pd: return Xmm<SinglesToDoubles, Memory64>(instruction, context, op);
            case Mnemonic.Cvtpd2ps: return Xmm<DoublesToSingles, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvtss2sd: return Xmm<SingleToDouble, Memory32>(instruction, context, op);
            case Mnemonic.Cvtsd2ss: return Xmm<DoubleToSingle, Memory64>(instruction, context, op);
            case Mnemonic.Cvtdq2ps: return Xmm<FourToSingles, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvtdq2pd: return Xmm<TwoToDoubles, Memory64>(instruction, context, op);
            case Mnemonic.Cvtps2dq: return Xmm<FromSingles<AsControlled>, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvttps2dq: return Xmm<FromSingles<Truncating>, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvtpd2dq: return Xmm<FromDoubles<AsControlled>, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvttpd2dq: return Xmm<FromDoubles<Truncating>, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvtsi2ss: return FromGeneral<OneToSingle>(instruction, context, op);
            case Mnemonic.Cvtsi2sd: return FromGeneral<OneToDouble>(instruction, context, op);
            case Mnemonic.Cvtss2si: return ToGeneral<FromSingle<AsControlled>, Memory32>(instruction, context, op);
            case Mnemonic.Cvttss2si: return ToGeneral<FromSingle<Truncating>, Memory32>(instruction, context, op);
            case Mnemonic.Cvtsd2si: return ToGeneral<FromDouble<AsControlled>, Memory64>(instruction, context, op);
            case Mnemonic.Cvttsd2si: return ToGeneral<FromDouble<Truncating>, Memory64>(instruction, context, op);
            case Mnemonic.Cvtpi2ps: return FromMmx<TwoToSingles>(instruction, context, op);
            case Mnemonic.Cvtpi2pd: return FromMmx<TwoToDoubles>(instruction, context, op);
            case Mnemonic.Cvtps2pi: return ToMmx<FromTwoSingles<AsControlled>, Memory64>(instruction, context, op);
            case Mnemonic.Cvttps2pi: return ToMmx<FromTwoSingles<Truncating>, Memory64>(instruction, context, op);
            case Mnemonic.Cvtpd2pi: return ToMmx<FromDoubles<AsControlled>, AlignedMemory128>(instruction, context, op);
            case Mnemonic.Cvttpd2pi: return ToMmx<FromDoubles<Truncating>, AlignedMemory128>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Xmm<TOperation, TMemory>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation
        where TMemory : struct, IPackedMemory =>
        PackedLowering<Sse<TOperation>>.LowerXmm<TMemory>(instruction, context, op);

    private static Lowered FromGeneral<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation =>
        PackedLowering<Sse<TOperation>>.Lower<SseUnit, XmmOperand, GeneralOperand, Memory32>(instruction, context, op);

    private static Lowered ToGeneral<TOperation, TMemory>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation
        where TMemory : struct, IPackedMemory =>
        PackedLowering<Sse<TOperation>>.Lower<SseUnit, GeneralOperand, XmmOperand, TMemory>(instruction, context, op);

    /// <summary>With a source in memory, nothing of MMX is touched (SDM 2A, CVTPI2PD).</summary>
    private static Lowered FromMmx<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation => Operands.IsMemory(instruction, 1)
            ? Xmm<TOperation, Memory64>(instruction, context, op)
            : PackedLowering<Sse<TOperation>>.Lower<SseAndMmxUnit, XmmOperand, MmxOperand, Memory64>(
                instruction, context, op);

    private static Lowered ToMmx<TOperation, TMemory>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation
        where TMemory : struct, IPackedMemory =>
        PackedLowering<Sse<TOperation>>.Lower<SseAndMmxUnit, MmxOperand, XmmOperand, TMemory>(instruction, context, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T ToFloat<T>(Vector128<byte> integers, int index, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T> =>
        IntegerConversion.FromInteger<T>(integers.AsInt32().GetElement(index), ref context);

    private static int ToInteger<T, TRounding>(T value, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
        where TRounding : struct, IIntegerRounding =>
        (int)IntegerConversion.ToInteger(value, 32, TRounding.Mode(context), ref context);

    /// <summary>CVT: as MXCSR says.</summary>
    private readonly struct AsControlled : IIntegerRounding
    {
        public static RoundingMode Mode(in FloatingPointContext context) => context.Rounding;
    }

    /// <summary>CVTT.</summary>
    private readonly struct Truncating : IIntegerRounding
    {
        public static RoundingMode Mode(in FloatingPointContext context) => RoundingMode.TowardZero;
    }

    /// <summary>CVTPS2PD.</summary>
    private readonly struct SinglesToDoubles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                FormatConversion.ToFloat64(SseElements.Single(source, 0), ref context),
                FormatConversion.ToFloat64(SseElements.Single(source, 1), ref context));
    }

    /// <summary>CVTPD2PS: zeros in the high half.</summary>
    private readonly struct DoublesToSingles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                FormatConversion.ToFloat32(SseElements.Double(source, 0), ref context),
                FormatConversion.ToFloat32(SseElements.Double(source, 1), ref context),
                default,
                default);
    }

    /// <summary>CVTSS2SD.</summary>
    private readonly struct SingleToDouble : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.WithFirst(destination, FormatConversion.ToFloat64(SseElements.Single(source, 0), ref context));
    }

    /// <summary>CVTSD2SS.</summary>
    private readonly struct DoubleToSingle : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.WithFirst(destination, FormatConversion.ToFloat32(SseElements.Double(source, 0), ref context));
    }

    /// <summary>CVTDQ2PS.</summary>
    private readonly struct FourToSingles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                ToFloat<Float32>(source, 0, ref context),
                ToFloat<Float32>(source, 1, ref context),
                ToFloat<Float32>(source, 2, ref context),
                ToFloat<Float32>(source, 3, ref context));
    }

    /// <summary>CVTPI2PS: leaves the high half alone.</summary>
    private readonly struct TwoToSingles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(
                ToFloat<Float32>(source, 0, ref context),
                ToFloat<Float32>(source, 1, ref context),
                SseElements.Single(destination, 2),
                SseElements.Single(destination, 3));
    }

    /// <summary>CVTDQ2PD, CVTPI2PD.</summary>
    private readonly struct TwoToDoubles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.Vector(ToFloat<Float64>(source, 0, ref context), ToFloat<Float64>(source, 1, ref context));
    }

    /// <summary>CVTSI2SS.</summary>
    private readonly struct OneToSingle : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.WithFirst(destination, ToFloat<Float32>(source, 0, ref context));
    }

    /// <summary>CVTSI2SD.</summary>
    private readonly struct OneToDouble : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            SseElements.WithFirst(destination, ToFloat<Float64>(source, 0, ref context));
    }

    /// <summary>CVTPS2DQ, CVTTPS2DQ.</summary>
    private readonly struct FromSingles<TRounding> : ISseOperation
        where TRounding : struct, IIntegerRounding
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.Create(
                ToInteger<Float32, TRounding>(SseElements.Single(source, 0), ref context),
                ToInteger<Float32, TRounding>(SseElements.Single(source, 1), ref context),
                ToInteger<Float32, TRounding>(SseElements.Single(source, 2), ref context),
                ToInteger<Float32, TRounding>(SseElements.Single(source, 3), ref context)).AsByte();
    }

    /// <summary>CVTPS2PI, CVTTPS2PI: the first two.</summary>
    private readonly struct FromTwoSingles<TRounding> : ISseOperation
        where TRounding : struct, IIntegerRounding
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.Create(
                ToInteger<Float32, TRounding>(SseElements.Single(source, 0), ref context),
                ToInteger<Float32, TRounding>(SseElements.Single(source, 1), ref context),
                0,
                0).AsByte();
    }

    /// <summary>CVTPD2DQ, CVTTPD2DQ, CVTPD2PI, CVTTPD2PI: zeros in the high half, where there is one.</summary>
    private readonly struct FromDoubles<TRounding> : ISseOperation
        where TRounding : struct, IIntegerRounding
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.Create(
                ToInteger<Float64, TRounding>(SseElements.Double(source, 0), ref context),
                ToInteger<Float64, TRounding>(SseElements.Double(source, 1), ref context),
                0,
                0).AsByte();
    }

    /// <summary>CVTSS2SI, CVTTSS2SI.</summary>
    private readonly struct FromSingle<TRounding> : ISseOperation
        where TRounding : struct, IIntegerRounding
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.CreateScalar(
                ToInteger<Float32, TRounding>(SseElements.Single(source, 0), ref context)).AsByte();
    }

    /// <summary>CVTSD2SI, CVTTSD2SI.</summary>
    private readonly struct FromDouble<TRounding> : ISseOperation
        where TRounding : struct, IIntegerRounding
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.CreateScalar(
                ToInteger<Float64, TRounding>(SseElements.Double(source, 0), ref context)).AsByte();
    }
}
