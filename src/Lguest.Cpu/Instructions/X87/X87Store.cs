using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>Stores to memory: FST, FSTP, FIST, FISTP, FISTTP, FBSTP (SDM 1, 8.3.3).</summary>
internal static unsafe class X87Store
{
    private const int ExtendedBytes = 10;

    /// <summary>A form in memory, as a type.</summary>
    private interface IDestination
    {
        static abstract uint Bytes { get; }

        /// <summary>Converts, up to 80 bits: the low 64, and the rest.</summary>
        static abstract ulong Convert(Float80 value, out ushort high, ref FloatingPointContext context);
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Fst_m32fp: return Memory<Single, Keep>(instruction, context, op);
            case Code.Fst_m64fp: return Memory<Double, Keep>(instruction, context, op);
            case Code.Fstp_m32fp: return Memory<Single, PopOne>(instruction, context, op);
            case Code.Fstp_m64fp: return Memory<Double, PopOne>(instruction, context, op);
            case Code.Fstp_m80fp: return Memory<Extended, PopOne>(instruction, context, op);
            case Code.Fist_m16int: return Memory<Integer<Bits16, Rounded>, Keep>(instruction, context, op);
            case Code.Fist_m32int: return Memory<Integer<Bits32, Rounded>, Keep>(instruction, context, op);
            case Code.Fistp_m16int: return Memory<Integer<Bits16, Rounded>, PopOne>(instruction, context, op);
            case Code.Fistp_m32int: return Memory<Integer<Bits32, Rounded>, PopOne>(instruction, context, op);
            case Code.Fistp_m64int: return Memory<Integer<Bits64, Rounded>, PopOne>(instruction, context, op);
            case Code.Fisttp_m16int: return Memory<Integer<Bits16, Truncated>, PopOne>(instruction, context, op);
            case Code.Fisttp_m32int: return Memory<Integer<Bits32, Truncated>, PopOne>(instruction, context, op);
            case Code.Fisttp_m64int: return Memory<Integer<Bits64, Truncated>, PopOne>(instruction, context, op);
            case Code.Fbstp_m80bcd: return Memory<PackedDecimal, PopOne>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Memory<TDestination, TPop>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TDestination : struct, IDestination
        where TPop : struct, IX87Pop
    {
        op->Handler = X87Operands.SetMemory(instruction, context, op)
            ? &Store<TDestination, TPop, FlatAddressing>
            : &Store<TDestination, TPop, SegmentedAddressing>;
        return Lowered.Continues;
    }

    private static Operation* Store<TDestination, TPop, TAddressing>(ProcessorState* s, Operation* op)
        where TDestination : struct, IDestination
        where TPop : struct, IX87Pop
        where TAddressing : struct, IAddressing
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        byte* location = TAddressing.Write(s, op, TDestination.Bytes);
        if (location == null || !X87Load.CheckExtendedAlignment(s, op, TDestination.Bytes))
        {
            return null;
        }

        bool delivers;
        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        Float80 value = *X87Stack.At(s, 0);
        if (X87Stack.IsEmpty(s, 0))
        {
            // What the indefinite is in each form, conversion knows.
            delivers = X87Stack.Underflow(s, op);
            value = Float80.Indefinite;
        }
        else
        {
            delivers = true;
        }

        ulong low = TDestination.Convert(value, out ushort high, ref context);
        if (!X87Stack.IsEmpty(s, 0))
        {
            delivers = X87Stack.CompleteStore(s, op, context);
        }

        if (delivers)
        {
            Write(location, low, high, TDestination.Bytes);
            MemoryAccess.Complete(s, location);
            TPop.Pop(s);
        }

        return X87Stack.Next(s, op);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(byte* location, ulong low, ushort high, uint bytes)
    {
        switch (bytes)
        {
            case sizeof(ushort):
                Unsafe.WriteUnaligned(location, (ushort)low);
                break;
            case sizeof(uint):
                Unsafe.WriteUnaligned(location, (uint)low);
                break;
            case sizeof(ulong):
                Unsafe.WriteUnaligned(location, low);
                break;
            default:
                Unsafe.WriteUnaligned(location, low);
                Unsafe.WriteUnaligned(location + sizeof(ulong), high);
                break;
        }
    }

    private readonly struct Single : IDestination
    {
        public static uint Bytes => sizeof(uint);

        public static ulong Convert(Float80 value, out ushort high, ref FloatingPointContext context)
        {
            high = default;
            return FormatConversion.ToFloat32(value, ref context).Bits;
        }
    }

    private readonly struct Double : IDestination
    {
        public static uint Bytes => sizeof(ulong);

        public static ulong Convert(Float80 value, out ushort high, ref FloatingPointContext context)
        {
            high = default;
            return FormatConversion.ToFloat64(value, ref context).Bits;
        }
    }

    private readonly struct Extended : IDestination
    {
        public static uint Bytes => ExtendedBytes;

        public static ulong Convert(Float80 value, out ushort high, ref FloatingPointContext context)
        {
            high = value.SignExponent;
            return value.Significand;
        }
    }

    private readonly struct PackedDecimal : IDestination
    {
        public static uint Bytes => ExtendedBytes;

        public static ulong Convert(Float80 value, out ushort high, ref FloatingPointContext context) =>
            IntegerConversion.ToPackedDecimal(value, out high, ref context);
    }

    private readonly struct Integer<TBits, TRounding> : IDestination
        where TBits : struct, IBits
        where TRounding : struct, IIntegerRounding
    {
        public static uint Bytes => (uint)TBits.Count / 8;

        public static ulong Convert(Float80 value, out ushort high, ref FloatingPointContext context)
        {
            high = default;
            RoundingMode rounding = TRounding.Truncates ? RoundingMode.TowardZero : context.Rounding;
            return (ulong)IntegerConversion.ToInteger(value, TBits.Count, rounding, ref context);
        }
    }

    private interface IBits
    {
        static abstract int Count { get; }
    }

    private readonly struct Bits16 : IBits
    {
        public static int Count => 16;
    }

    private readonly struct Bits32 : IBits
    {
        public static int Count => 32;
    }

    private readonly struct Bits64 : IBits
    {
        public static int Count => 64;
    }

    private interface IIntegerRounding
    {
        static abstract bool Truncates { get; }
    }

    private readonly struct Rounded : IIntegerRounding
    {
        public static bool Truncates => false;
    }

    private readonly struct Truncated : IIntegerRounding
    {
        public static bool Truncates => true;
    }
}
