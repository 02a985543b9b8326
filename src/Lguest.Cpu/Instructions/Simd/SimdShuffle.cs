using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>Packing, unpacking and shuffling (SDM 1, 9.4.4, 10.4.1, 11.4.1, 12.6).</summary>
internal static unsafe class SimdShuffle
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Packsswb: return LowerJoined<PackWords>(instruction, context, op);
            case Mnemonic.Packssdw: return LowerJoined<PackDoublewords>(instruction, context, op);
            case Mnemonic.Packuswb: return LowerJoined<PackWordsUnsigned>(instruction, context, op);
            case Mnemonic.Punpcklbw: return LowerLow<UnpackLowBytes>(instruction, context, op);
            case Mnemonic.Punpcklwd: return LowerLow<UnpackLowWords>(instruction, context, op);
            case Mnemonic.Punpckldq: return LowerLow<UnpackLowDoublewords>(instruction, context, op);
            case Mnemonic.Punpckhbw: return LowerHigh<UnpackHighBytes, UnpackLowBytes>(instruction, context, op);
            case Mnemonic.Punpckhwd: return LowerHigh<UnpackHighWords, UnpackLowWords>(instruction, context, op);
            case Mnemonic.Punpckhdq:
                return LowerHigh<UnpackHighDoublewords, UnpackLowDoublewords>(instruction, context, op);
            case Mnemonic.Unpcklps: return LowerXmm<Packed<UnpackLowDoublewords>>(instruction, context, op);
            case Mnemonic.Unpckhps: return LowerXmm<Packed<UnpackHighDoublewords>>(instruction, context, op);
            case Mnemonic.Punpcklqdq or Mnemonic.Unpcklpd:
                return LowerXmm<Packed<UnpackLowQuadwords>>(instruction, context, op);
            case Mnemonic.Punpckhqdq or Mnemonic.Unpckhpd:
                return LowerXmm<Packed<UnpackHighQuadwords>>(instruction, context, op);
            case Mnemonic.Pshufb:
                return LowerEither<Packed<ShuffleBytes>, Packed<ShuffleEightBytes>>(instruction, context, op);
            case Mnemonic.Palignr:
                return LowerEither<PackedImmediate<AlignRight>, PackedImmediate<AlignRight64>>(
                    instruction, context, op);
            case Mnemonic.Pshufw or Mnemonic.Pshuflw:
                return PackedLowering<PackedImmediate<ShuffleLowWords>>.LowerEither(instruction, context, op);
            case Mnemonic.Pshufhw: return LowerXmm<PackedImmediate<ShuffleHighWords>>(instruction, context, op);
            case Mnemonic.Pshufd: return LowerXmm<PackedImmediate<ShuffleDoublewords>>(instruction, context, op);
            case Mnemonic.Shufps: return LowerXmm<PackedImmediate<ShuffleSingles>>(instruction, context, op);
            case Mnemonic.Shufpd: return LowerXmm<PackedImmediate<ShuffleDoubles>>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    /// <summary>
    /// An instruction whose result has the destination's elements in its low half and the source's in its
    /// high half. In MMX registers both operands are the low half of one vector.
    /// </summary>
    public static Lowered LowerJoined<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPackedOperation =>
        LowerEither<Packed<TOperation>, Packed<Join<TOperation>>>(instruction, context, op);

    private static Lowered LowerXmm<THandler>(in Instruction instruction, in LoweringContext context, Operation* op)
        where THandler : struct, IPackedHandler =>
        PackedLowering<THandler>.LowerXmm<AlignedMemory128>(instruction, context, op);

    private static Lowered LowerEither<TXmm, TMmx>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TXmm : struct, IPackedHandler
        where TMmx : struct, IPackedHandler => instruction.Op0Register.IsMM()
            ? PackedLowering<TMmx>.LowerEither(instruction, context, op)
            : PackedLowering<TXmm>.LowerEither(instruction, context, op);

    /// <summary>MMX reads only the half of the memory operand that it uses; SSE2 still wants all of it, and aligned.</summary>
    private static Lowered LowerLow<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPackedOperation => instruction.Op0Register.IsMM()
            ? PackedLowering<Packed<TOperation>>.Lower<MmxUnit, MmxOperand, MmxOperand, Memory32>(instruction, context, op)
            : LowerXmm<Packed<TOperation>>(instruction, context, op);

    /// <summary>The high half of an MMX register, unpacked, is what stands above its low half, unpacked.</summary>
    private static Lowered LowerHigh<THigh, TLow>(in Instruction instruction, in LoweringContext context, Operation* op)
        where THigh : struct, IPackedOperation
        where TLow : struct, IPackedOperation =>
        LowerEither<Packed<THigh>, Packed<HighHalf<TLow>>>(instruction, context, op);

    private readonly struct Join<TOperation> : IPackedOperation
        where TOperation : struct, IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source)
        {
            Vector128<byte> both = SimdHalves.Join(SimdHalves.Low(destination), SimdHalves.Low(source));
            return TOperation.Execute(both, both);
        }
    }

    private readonly struct HighHalf<TOperation> : IPackedOperation
        where TOperation : struct, IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.High(TOperation.Execute(destination, source)), 0);
    }

    /// <summary>PACKSSWB.</summary>
    private readonly struct PackWords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.NarrowWithSaturation(destination.AsInt16(), source.AsInt16()).AsByte();
    }

    /// <summary>PACKSSDW.</summary>
    private readonly struct PackDoublewords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.NarrowWithSaturation(destination.AsInt32(), source.AsInt32()).AsByte();
    }

    /// <summary>PACKUSWB: signed words become unsigned bytes.</summary>
    private readonly struct PackWordsUnsigned : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Narrow(Clamp(destination.AsInt16()), Clamp(source.AsInt16()));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector128<ushort> Clamp(Vector128<short> words) =>
            Vector128.Min(Vector128.Max(words, Vector128<short>.Zero), Vector128.Create((short)byte.MaxValue)).AsUInt16();
    }

    /// <summary>PUNPCKLBW.</summary>
    private readonly struct UnpackLowBytes : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (Vector128.WidenLower(destination) | (Vector128.WidenLower(source) << 8)).AsByte();
    }

    /// <summary>PUNPCKLWD.</summary>
    private readonly struct UnpackLowWords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (Vector128.WidenLower(destination.AsUInt16()) | (Vector128.WidenLower(source.AsUInt16()) << 16)).AsByte();
    }

    /// <summary>PUNPCKLDQ, UNPCKLPS.</summary>
    private readonly struct UnpackLowDoublewords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (Vector128.WidenLower(destination.AsUInt32()) | (Vector128.WidenLower(source.AsUInt32()) << 32)).AsByte();
    }

    /// <summary>PUNPCKLQDQ, UNPCKLPD.</summary>
    private readonly struct UnpackLowQuadwords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.Low(destination), SimdHalves.Low(source));
    }

    /// <summary>PUNPCKHBW.</summary>
    private readonly struct UnpackHighBytes : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (Vector128.WidenUpper(destination) | (Vector128.WidenUpper(source) << 8)).AsByte();
    }

    /// <summary>PUNPCKHWD.</summary>
    private readonly struct UnpackHighWords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (Vector128.WidenUpper(destination.AsUInt16()) | (Vector128.WidenUpper(source.AsUInt16()) << 16)).AsByte();
    }

    /// <summary>PUNPCKHDQ, UNPCKHPS.</summary>
    private readonly struct UnpackHighDoublewords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            (Vector128.WidenUpper(destination.AsUInt32()) | (Vector128.WidenUpper(source.AsUInt32()) << 32)).AsByte();
    }

    /// <summary>PUNPCKHQDQ, UNPCKHPD.</summary>
    private readonly struct UnpackHighQuadwords : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.High(destination), SimdHalves.High(source));
    }

    /// <summary>PSHUFB: each byte of the source names one of the destination's, or zero with its bit 7.</summary>
    private readonly struct ShuffleBytes : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Shuffle(destination, source & Vector128.Create((byte)0x8f));
    }

    /// <summary>PSHUFB on MMX registers.</summary>
    private readonly struct ShuffleEightBytes : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Shuffle(destination, source & Vector128.Create((byte)0x87));
    }

    /// <summary>PALIGNR: the destination above the source, shifted right by bytes.</summary>
    private readonly struct AlignRight : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            immediate <= Vector128<byte>.Count
                ? SimdShift.RightBytes(source, immediate)
                    | SimdShift.LeftBytes(destination, Vector128<byte>.Count - immediate)
                : SimdShift.RightBytes(destination, immediate - Vector128<byte>.Count);
    }

    /// <summary>PALIGNR on MMX registers.</summary>
    private readonly struct AlignRight64 : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            SimdShift.RightBytes(SimdHalves.Join(SimdHalves.Low(source), SimdHalves.Low(destination)), immediate);
    }

    /// <summary>PSHUFLW, and PSHUFW, whose registers have no words above.</summary>
    private readonly struct ShuffleLowWords : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate)
        {
            Vector128<ushort> order = Vector128.Create(
                Selector(immediate, 0), Selector(immediate, 1), Selector(immediate, 2), Selector(immediate, 3), 4, 5, 6, 7);
            return Vector128.Shuffle(source.AsUInt16(), order).AsByte();
        }
    }

    /// <summary>PSHUFHW.</summary>
    private readonly struct ShuffleHighWords : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate)
        {
            const int half = 4;
            Vector128<ushort> order = Vector128.Create(
                0,
                1,
                2,
                3,
                (ushort)(half + Selector(immediate, 0)),
                (ushort)(half + Selector(immediate, 1)),
                (ushort)(half + Selector(immediate, 2)),
                (ushort)(half + Selector(immediate, 3)));
            return Vector128.Shuffle(source.AsUInt16(), order).AsByte();
        }
    }

    /// <summary>PSHUFD.</summary>
    private readonly struct ShuffleDoublewords : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate)
        {
            Vector128<uint> order = Vector128.Create(
                (uint)Selector(immediate, 0), Selector(immediate, 1), Selector(immediate, 2), Selector(immediate, 3));
            return Vector128.Shuffle(source.AsUInt32(), order).AsByte();
        }
    }

    /// <summary>SHUFPS: two of the destination's, then two of the source's.</summary>
    private readonly struct ShuffleSingles : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            Vector128.Create(
                destination.AsUInt32().GetElement(Selector(immediate, 0)),
                destination.AsUInt32().GetElement(Selector(immediate, 1)),
                source.AsUInt32().GetElement(Selector(immediate, 2)),
                source.AsUInt32().GetElement(Selector(immediate, 3))).AsByte();
    }

    /// <summary>SHUFPD: one of the destination's, then one of the source's.</summary>
    private readonly struct ShuffleDoubles : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            Vector128.Create(
                destination.AsUInt64().GetElement(immediate & 1),
                source.AsUInt64().GetElement((immediate >> 1) & 1)).AsByte();
    }

    /// <summary>Two bits of an immediate: which of four elements goes to a place.</summary>
    private static ushort Selector(byte immediate, int place) => (ushort)((immediate >> (2 * place)) & 3);
}
