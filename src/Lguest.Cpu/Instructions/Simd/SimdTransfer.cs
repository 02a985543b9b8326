using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>Moves among MMX, XMM and general registers and memory (SDM 1, 9.4.2, 10.4.1.1, 11.4.1.1, 12.3).</summary>
/// <remarks>Non-temporal stores are stores: there is no cache to keep them out of.</remarks>
internal static unsafe class SimdTransfer
{
    /// <summary>Lowers the family's instructions. By code, because MOVSD is a string instruction too.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Movaps_xmm_xmmm128 or Code.Movaps_xmmm128_xmm:
            case Code.Movapd_xmm_xmmm128 or Code.Movapd_xmmm128_xmm:
            case Code.Movdqa_xmm_xmmm128 or Code.Movdqa_xmmm128_xmm:
            case Code.Movntps_m128_xmm or Code.Movntpd_m128_xmm or Code.Movntdq_m128_xmm:
                return Xmm<Copy, AlignedMemory128>(instruction, context, op);
            case Code.Movups_xmm_xmmm128 or Code.Movups_xmmm128_xmm:
            case Code.Movupd_xmm_xmmm128 or Code.Movupd_xmmm128_xmm:
            case Code.Movdqu_xmm_xmmm128 or Code.Movdqu_xmmm128_xmm:
            case Code.Lddqu_xmm_m128:
                return Xmm<Copy, UnalignedMemory128>(instruction, context, op);
            case Code.Movss_xmm_xmmm32 or Code.Movss_xmmm32_xmm:
                return BetweenRegisters(instruction)
                    ? Xmm<MergeSingle, Memory32>(instruction, context, op)
                    : Xmm<Copy, Memory32>(instruction, context, op);
            case Code.Movsd_xmm_xmmm64 or Code.Movsd_xmmm64_xmm:
                return BetweenRegisters(instruction)
                    ? Xmm<LowToLow, Memory64>(instruction, context, op)
                    : Xmm<Copy, Memory64>(instruction, context, op);
            case Code.Movlps_xmm_m64 or Code.Movlpd_xmm_m64:
                return Xmm<LowToLow, Memory64>(instruction, context, op);
            case Code.Movhps_xmm_m64 or Code.Movhpd_xmm_m64 or Code.Movlhps_xmm_xmm:
                return Xmm<LowToHigh, Memory64>(instruction, context, op);
            case Code.Movhps_m64_xmm or Code.Movhpd_m64_xmm or Code.Movhlps_xmm_xmm:
                return Xmm<HighToLow, Memory64>(instruction, context, op);
            case Code.Movlps_m64_xmm or Code.Movlpd_m64_xmm:
                return Xmm<Copy, Memory64>(instruction, context, op);
            case Code.Movq_xmm_xmmm64 or Code.Movq_xmmm64_xmm:
                return Xmm<LowAlone, Memory64>(instruction, context, op);
            case Code.Movddup_xmm_xmmm64:
                return Xmm<DuplicateDouble, Memory64>(instruction, context, op);
            case Code.Movsldup_xmm_xmmm128:
                return Xmm<DuplicateEvenSingles, AlignedMemory128>(instruction, context, op);
            case Code.Movshdup_xmm_xmmm128:
                return Xmm<DuplicateOddSingles, AlignedMemory128>(instruction, context, op);
            case Code.Movd_xmm_rm32:
                return PackedLowering<Packed<Copy>>.Lower<SseUnit, XmmOperand, GeneralOperand, Memory32>(
                    instruction, context, op);
            case Code.Movd_rm32_xmm:
                return PackedLowering<Packed<Copy>>.Lower<SseUnit, GeneralOperand, XmmOperand, Memory32>(
                    instruction, context, op);
            case Code.Movd_mm_rm32:
                return PackedLowering<Packed<Copy>>.Lower<MmxUnit, MmxOperand, GeneralOperand, Memory32>(
                    instruction, context, op);
            case Code.Movd_rm32_mm:
                return PackedLowering<Packed<Copy>>.Lower<MmxUnit, GeneralOperand, MmxOperand, Memory32>(
                    instruction, context, op);
            case Code.Movq_mm_mmm64 or Code.Movq_mmm64_mm or Code.Movntq_m64_mm:
                return PackedLowering<Packed<Copy>>.Lower<MmxUnit, MmxOperand, MmxOperand, Memory64>(
                    instruction, context, op);
            case Code.Movdq2q_mm_xmm:
                return PackedLowering<Packed<Copy>>.Lower<SseAndMmxUnit, MmxOperand, XmmOperand, Memory64>(
                    instruction, context, op);
            case Code.Movq2dq_xmm_mm:
                return PackedLowering<Packed<Copy>>.Lower<SseAndMmxUnit, XmmOperand, MmxOperand, Memory64>(
                    instruction, context, op);
            case Code.Movmskps_r32_xmm:
                return ToGeneral<Packed<SignsOfSingles>, SseUnit, XmmOperand>(instruction, context, op);
            case Code.Movmskpd_r32_xmm:
                return ToGeneral<Packed<SignsOfDoubles>, SseUnit, XmmOperand>(instruction, context, op);
            case Code.Pmovmskb_r32_xmm:
                return ToGeneral<Packed<SignsOfBytes>, SseUnit, XmmOperand>(instruction, context, op);
            case Code.Pmovmskb_r32_mm:
                return ToGeneral<Packed<SignsOfBytes>, MmxUnit, MmxOperand>(instruction, context, op);
            case Code.Pextrw_r32_xmm_imm8:
                return ToGeneral<PackedImmediate<ExtractWord>, SseUnit, XmmOperand>(instruction, context, op);
            case Code.Pextrw_r32_mm_imm8:
                return ToGeneral<PackedImmediate<ExtractWord64>, MmxUnit, MmxOperand>(instruction, context, op);
            case Code.Pinsrw_xmm_r32m16_imm8:
                return PackedLowering<PackedImmediate<InsertWord>>.Lower<SseUnit, XmmOperand, GeneralOperand, Memory16>(
                    instruction, context, op);
            case Code.Pinsrw_mm_r32m16_imm8:
                return PackedLowering<PackedImmediate<InsertWord64>>.Lower<MmxUnit, MmxOperand, GeneralOperand, Memory16>(
                    instruction, context, op);
            default:
                return Lowered.Undefined;
        }
    }

    private static bool BetweenRegisters(in Instruction instruction) =>
        Operands.IsRegister(instruction, 0) && Operands.IsRegister(instruction, 1);

    private static Lowered Xmm<TOperation, TMemory>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPackedOperation
        where TMemory : struct, IPackedMemory =>
        PackedLowering<Packed<TOperation>>.LowerXmm<TMemory>(instruction, context, op);

    private static Lowered ToGeneral<THandler, TUnit, TSource>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where THandler : struct, IPackedHandler
        where TUnit : struct, IPackedUnit
        where TSource : struct, IPackedRegister =>
        PackedLowering<THandler>.Lower<TUnit, GeneralOperand, TSource, Memory32>(instruction, context, op);

    /// <summary>The source, as far as the destination has room for it; zeros above it.</summary>
    private readonly struct Copy : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) => source;
    }

    /// <summary>MOVSS between registers leaves the other 96 bits alone.</summary>
    private readonly struct MergeSingle : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            destination.AsUInt32().WithElement(0, source.AsUInt32().ToScalar()).AsByte();
    }

    /// <summary>MOVSD between registers; MOVLPS and MOVLPD from memory.</summary>
    private readonly struct LowToLow : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.Low(source), SimdHalves.High(destination));
    }

    /// <summary>MOVLHPS; MOVHPS and MOVHPD from memory.</summary>
    private readonly struct LowToHigh : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.Low(destination), SimdHalves.Low(source));
    }

    /// <summary>MOVHLPS; MOVHPS and MOVHPD to memory.</summary>
    private readonly struct HighToLow : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.High(source), SimdHalves.High(destination));
    }

    /// <summary>MOVQ: the low half, with zeros above.</summary>
    private readonly struct LowAlone : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.CreateScalar(source.AsUInt64().ToScalar()).AsByte();
    }

    /// <summary>MOVDDUP.</summary>
    private readonly struct DuplicateDouble : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            SimdHalves.Join(SimdHalves.Low(source), SimdHalves.Low(source));
    }

    /// <summary>MOVSLDUP.</summary>
    private readonly struct DuplicateEvenSingles : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Shuffle(source.AsUInt32(), Vector128.Create(0u, 0, 2, 2)).AsByte();
    }

    /// <summary>MOVSHDUP.</summary>
    private readonly struct DuplicateOddSingles : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Shuffle(source.AsUInt32(), Vector128.Create(1u, 1, 3, 3)).AsByte();
    }

    /// <summary>MOVMSKPS.</summary>
    private readonly struct SignsOfSingles : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.CreateScalar(source.AsUInt32().ExtractMostSignificantBits()).AsByte();
    }

    /// <summary>MOVMSKPD.</summary>
    private readonly struct SignsOfDoubles : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.CreateScalar(source.AsUInt64().ExtractMostSignificantBits()).AsByte();
    }

    /// <summary>PMOVMSKB.</summary>
    private readonly struct SignsOfBytes : IPackedOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.CreateScalar(source.ExtractMostSignificantBits()).AsByte();
    }

    /// <summary>PEXTRW.</summary>
    private readonly struct ExtractWord : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            Vector128.CreateScalar((uint)source.AsUInt16().GetElement(immediate & 7)).AsByte();
    }

    /// <summary>PEXTRW of an MMX register.</summary>
    private readonly struct ExtractWord64 : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            ExtractWord.Execute(destination, source, (byte)(immediate & 3));
    }

    /// <summary>PINSRW.</summary>
    private readonly struct InsertWord : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            destination.AsUInt16().WithElement(immediate & 7, source.AsUInt16().ToScalar()).AsByte();
    }

    /// <summary>PINSRW into an MMX register.</summary>
    private readonly struct InsertWord64 : IPackedImmediateOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate) =>
            InsertWord.Execute(destination, source, (byte)(immediate & 3));
    }
}
