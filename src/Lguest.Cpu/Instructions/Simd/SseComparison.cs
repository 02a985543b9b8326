using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>Floating-point comparison, into masks and into EFLAGS (SDM 1, 10.4.1.3 and 11.4.1.4).</summary>
internal static unsafe class SseComparison
{
    /// <summary>Lowers the family's instructions. By code, because CMPSD is a string instruction too.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Cmpps_xmm_xmmm128_imm8: return LowerMask<MaskOfSingles, AlignedMemory128>(instruction, context, op);
            case Code.Cmppd_xmm_xmmm128_imm8: return LowerMask<MaskOfDoubles, AlignedMemory128>(instruction, context, op);
            case Code.Cmpss_xmm_xmmm32_imm8: return LowerMask<MaskOfSingle, Memory32>(instruction, context, op);
            case Code.Cmpsd_xmm_xmmm64_imm8: return LowerMask<MaskOfDouble, Memory64>(instruction, context, op);
            case Code.Comiss_xmm_xmmm32: return LowerFlags<Float32, Ordered, Memory32>(instruction, context, op);
            case Code.Comisd_xmm_xmmm64: return LowerFlags<Float64, Ordered, Memory64>(instruction, context, op);
            case Code.Ucomiss_xmm_xmmm32: return LowerFlags<Float32, Unordered, Memory32>(instruction, context, op);
            case Code.Ucomisd_xmm_xmmm64: return LowerFlags<Float64, Unordered, Memory64>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered LowerMask<TOperation, TMemory>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, ISseOperation
        where TMemory : struct, IPackedMemory =>
        PackedLowering<Sse<TOperation>>.LowerXmm<TMemory>(instruction, context, op);

    private static Lowered LowerFlags<TFormat, TComparison, TMemory>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TFormat : unmanaged, IBinaryFormat<TFormat>
        where TComparison : struct, IComparison
        where TMemory : struct, IPackedMemory =>
        PackedLowering<FlagsHandler<TFormat, TComparison>>.LowerXmm<TMemory>(instruction, context, op);

    /// <summary>The predicate in the low three bits of the immediate (SDM 2A, CMPPS); the others are ignored.</summary>
    private static bool IsTrue<T>(T destination, T source, byte immediate, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        const int negated = 4;
        const int equal = 0;
        const int less = 1;
        const int lessOrEqual = 2;
        int predicate = immediate & 3;

        // Less and less-or-equal mind quiet NaNs; equal and unordered don't.
        Relation relation = FloatComparison.Compare(
            destination, source, quietIsInvalid: predicate is less or lessOrEqual, ref context);
        bool holds = predicate switch
        {
            equal => relation == Relation.Equal,
            less => relation == Relation.Less,
            lessOrEqual => relation is Relation.Less or Relation.Equal,
            _ => relation == Relation.Unordered,
        };
        return holds != ((immediate & negated) != 0);
    }

    private static uint Mask(Float32 destination, Float32 source, byte immediate, ref FloatingPointContext context) =>
        IsTrue(destination, source, immediate, ref context) ? uint.MaxValue : 0;

    private static ulong Mask(Float64 destination, Float64 source, byte immediate, ref FloatingPointContext context) =>
        IsTrue(destination, source, immediate, ref context) ? ulong.MaxValue : 0;

    /// <summary>CMPPS.</summary>
    private readonly struct MaskOfSingles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.Create(
                Mask(SseElements.Single(destination, 0), SseElements.Single(source, 0), immediate, ref context),
                Mask(SseElements.Single(destination, 1), SseElements.Single(source, 1), immediate, ref context),
                Mask(SseElements.Single(destination, 2), SseElements.Single(source, 2), immediate, ref context),
                Mask(SseElements.Single(destination, 3), SseElements.Single(source, 3), immediate, ref context)).AsByte();
    }

    /// <summary>CMPPD.</summary>
    private readonly struct MaskOfDoubles : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context) =>
            Vector128.Create(
                Mask(SseElements.Double(destination, 0), SseElements.Double(source, 0), immediate, ref context),
                Mask(SseElements.Double(destination, 1), SseElements.Double(source, 1), immediate, ref context)).AsByte();
    }

    /// <summary>CMPSS.</summary>
    private readonly struct MaskOfSingle : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context)
        {
            Float32 first = SseElements.Single(destination, 0);
            uint mask = Mask(first, SseElements.Single(source, 0), immediate, ref context);
            return SseElements.WithFirst(destination, new Float32(mask));
        }
    }

    /// <summary>CMPSD.</summary>
    private readonly struct MaskOfDouble : ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(
            Vector128<byte> destination, Vector128<byte> source, byte immediate, ref FloatingPointContext context)
        {
            Float64 first = SseElements.Double(destination, 0);
            ulong mask = Mask(first, SseElements.Double(source, 0), immediate, ref context);
            return SseElements.WithFirst(destination, new Float64(mask));
        }
    }

    private interface IComparison
    {
        /// <summary>Whether a quiet NaN is an invalid operand.</summary>
        static abstract bool QuietIsInvalid { get; }
    }

    /// <summary>COMISS, COMISD.</summary>
    private readonly struct Ordered : IComparison
    {
        public static bool QuietIsInvalid => true;
    }

    /// <summary>UCOMISS, UCOMISD.</summary>
    private readonly struct Unordered : IComparison
    {
        public static bool QuietIsInvalid => false;
    }

    private readonly struct FlagsHandler<TFormat, TComparison> : IPackedHandler
        where TFormat : unmanaged, IBinaryFormat<TFormat>
        where TComparison : struct, IComparison
    {
        public static OperationHandler For<TUnit, TDestination, TSource>()
            where TUnit : struct, IPackedUnit
            where TDestination : struct, IPackedOperand
            where TSource : struct, IPackedOperand => &Execute<TUnit, TDestination, TSource>;

        private static Operation* Execute<TUnit, TDestination, TSource>(ProcessorState* s, Operation* op)
            where TUnit : struct, IPackedUnit
            where TDestination : struct, IPackedOperand
            where TSource : struct, IPackedOperand
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

            return TryCompare(s, *(TFormat*)TDestination.Destination(s, op), *(TFormat*)source)
                ? Operation.Next(s, op)
                : SseException.Raise(s, op);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool TryCompare(ProcessorState* s, TFormat first, TFormat second)
        {
            FloatingPointContext context = FloatingPointContext.FromMxcsr(s->Mxcsr);
            Relation relation = FloatComparison.Compare(first, second, TComparison.QuietIsInvalid, ref context);
            if (!SseException.TryReport(s, context))
            {
                return false;
            }

            // OF, SF and AF are cleared (SDM 2A, COMISD).
            s->ArithmeticFlags = relation switch
            {
                Relation.Greater => 0,
                Relation.Less => Eflags.Cf,
                Relation.Equal => Eflags.Zf,
                _ => Eflags.Zf | Eflags.Pf | Eflags.Cf,
            };
            return true;
        }
    }
}
