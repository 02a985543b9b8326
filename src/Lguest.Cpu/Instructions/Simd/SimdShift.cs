using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>
/// Packed shifts (SDM 1, 9.4.6 and 11.4.2). All elements move by one count, and too large a count shifts everything out.
/// </summary>
internal static unsafe class SimdShift
{
    private const int BitsPerByte = 8;

    private interface IShift
    {
        static abstract Vector128<byte> Execute(Vector128<byte> value, ulong count);
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Psllw: return LowerShift<ShiftLeft<ushort>>(instruction, context, op);
            case Mnemonic.Pslld: return LowerShift<ShiftLeft<uint>>(instruction, context, op);
            case Mnemonic.Psllq: return LowerShift<ShiftLeft<ulong>>(instruction, context, op);
            case Mnemonic.Psrlw: return LowerShift<ShiftRight<ushort>>(instruction, context, op);
            case Mnemonic.Psrld: return LowerShift<ShiftRight<uint>>(instruction, context, op);
            case Mnemonic.Psrlq: return LowerShift<ShiftRight<ulong>>(instruction, context, op);
            case Mnemonic.Psraw: return LowerShift<ShiftRightArithmetic<short>>(instruction, context, op);
            case Mnemonic.Psrad: return LowerShift<ShiftRightArithmetic<int>>(instruction, context, op);
            case Mnemonic.Pslldq:
                return PackedLowering<PackedImmediate<ShiftLeftBytes>>.LowerEither(instruction, context, op);
            case Mnemonic.Psrldq:
                return PackedLowering<PackedImmediate<ShiftRightBytes>>.LowerEither(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    /// <summary>Shifts towards bit 127 by 0 to 255 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LeftBytes(Vector128<byte> value, int bytes)
    {
        int bits = bytes * BitsPerByte;
        ulong low = SimdHalves.Low(value);
        return bits < 64 ? SimdHalves.Join(low << bits, (SimdHalves.High(value) << bits) | (low >> 1 >> (63 - bits)))
            : bits < 128 ? SimdHalves.Join(0, low << (bits - 64))
            : Vector128<byte>.Zero;
    }

    /// <summary>Shifts towards bit 0 by 0 to 255 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> RightBytes(Vector128<byte> value, int bytes)
    {
        int bits = bytes * BitsPerByte;
        ulong high = SimdHalves.High(value);
        return bits < 64 ? SimdHalves.Join((SimdHalves.Low(value) >> bits) | (high << 1 << (63 - bits)), high >> bits)
            : bits < 128 ? SimdHalves.Join(high >> (bits - 64), 0)
            : Vector128<byte>.Zero;
    }

    private static Lowered LowerShift<TShift>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TShift : struct, IShift => instruction.Op1Kind == OpKind.Immediate8
            ? PackedLowering<PackedImmediate<ByImmediate<TShift>>>.LowerEither(instruction, context, op)
            : PackedLowering<Packed<ByOperand<TShift>>>.LowerEither(instruction, context, op);

    private readonly struct ByImmediate<TShift> : IPackedImmediateOperation
        where TShift : struct, IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            TShift.Execute(destination, immediate);
    }

    /// <summary>The count is the operand's low 64 bits, all of them.</summary>
    private readonly struct ByOperand<TShift> : IPackedOperation
        where TShift : struct, IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            TShift.Execute(destination, source.AsUInt64().ToScalar());
    }

    /// <summary>PSLLW, PSLLD, PSLLQ.</summary>
    private readonly struct ShiftLeft<T> : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> value, ulong count) =>
            count < (ulong)(Unsafe.SizeOf<T>() * BitsPerByte)
                ? (value.As<byte, T>() << (int)count).AsByte()
                : Vector128<byte>.Zero;
    }

    /// <summary>PSRLW, PSRLD, PSRLQ.</summary>
    private readonly struct ShiftRight<T> : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> value, ulong count) =>
            count < (ulong)(Unsafe.SizeOf<T>() * BitsPerByte)
                ? (value.As<byte, T>() >>> (int)count).AsByte()
                : Vector128<byte>.Zero;
    }

    /// <summary>PSRAW, PSRAD.</summary>
    private readonly struct ShiftRightArithmetic<T> : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> value, ulong count)
        {
            ulong most = (ulong)(Unsafe.SizeOf<T>() * BitsPerByte) - 1;
            return (value.As<byte, T>() >> (int)ulong.Min(count, most)).AsByte();
        }
    }

    /// <summary>PSLLDQ.</summary>
    private readonly struct ShiftLeftBytes : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            LeftBytes(destination, immediate);
    }

    /// <summary>PSRLDQ.</summary>
    private readonly struct ShiftRightBytes : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            RightBytes(destination, immediate);
    }
}
