using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>
/// What an x87 instruction works on, in a form that both the core and the real processor can be given.
/// </summary>
internal struct X87Case
{
    public Float80 St0;
    public Float80 St1;
    public ulong MemoryLow;
    public ushort MemoryHigh;
    public FloatingPointContext Context;

    /// <summary>C0, C2 and C3 (and C1, where rounding doesn't set it).</summary>
    public ushort Conditions;

    /// <summary>Whether a result may be delivered, as far as the exceptions before computation go.</summary>
    public readonly bool Delivers => !Context.StopsComputation;

    /// <summary>Whether a result may be stored to memory.</summary>
    public readonly bool Stores => (Context.Unmasked & ~FloatingPointExceptions.Precision) == 0;
}

/// <summary>One instruction by what the core makes of it, and its encoding with [RBX] as a memory operand.</summary>
/// <param name="Name">The mnemonic and what distinguishes the form.</param>
/// <param name="Code">Its bytes.</param>
/// <param name="Operands">What its operands are.</param>
/// <param name="Model">Applies it.</param>
internal sealed record X87Model(string Name, byte[] Code, X87Operands Operands, X87Model.Apply Model)
{
    internal delegate void Apply(ref X87Case state);

    internal delegate Float80 Binary(Float80 first, Float80 second, ref FloatingPointContext context);

    private const ushort C0 = 1 << 8;
    private const ushort C1 = 1 << 9;
    private const ushort C2 = 1 << 10;
    private const ushort C3 = 1 << 14;

    public static X87Model[] All { get; } =
    [
        Arithmetic("FADD", [0xD8, 0xC1], FloatArithmetic.Add),
        Arithmetic("FMUL", [0xD8, 0xC9], FloatArithmetic.Multiply),
        Arithmetic("FSUB", [0xD8, 0xE1], FloatArithmetic.Subtract),
        Arithmetic("FSUBR", [0xD8, 0xE9], (Float80 a, Float80 b, ref FloatingPointContext c) =>
            FloatArithmetic.Subtract(b, a, ref c)),
        Arithmetic("FDIV", [0xD8, 0xF1], FloatArithmetic.Divide),
        Arithmetic("FDIVR", [0xD8, 0xF9], (Float80 a, Float80 b, ref FloatingPointContext c) =>
            FloatArithmetic.Divide(b, a, ref c)),
        Arithmetic("FSCALE", [0xD9, 0xFD], ExtendedFunctions.Scale),
        new("FPREM", [0xD9, 0xF8], X87Operands.Pair, (ref X87Case s) => Remainder(ref s, toNearest: false)),
        new("FPREM1", [0xD9, 0xF5], X87Operands.Pair, (ref X87Case s) => Remainder(ref s, toNearest: true)),
        new("FCOM", [0xD8, 0xD1], X87Operands.Pair, (ref X87Case s) => Compare(ref s, quietIsInvalid: true)),
        new("FUCOM", [0xDD, 0xE1], X87Operands.Pair, (ref X87Case s) => Compare(ref s, quietIsInvalid: false)),
        Unary("FSQRT", [0xD9, 0xFA], FloatArithmetic.SquareRoot),
        Unary("FRNDINT", [0xD9, 0xFC], ExtendedFunctions.RoundToInteger),
        new("FXTRACT", [0xD9, 0xF4], X87Operands.One, Extract),
        Store("FST m32", [0xD9, 0x13], 4, (ref X87Case s) => FormatConversion.ToFloat32(s.St0, ref s.Context).Bits),
        Store("FST m64", [0xDD, 0x13], 8, (ref X87Case s) => FormatConversion.ToFloat64(s.St0, ref s.Context).Bits),
        StoreInteger("FIST m16", [0xDF, 0x13], 16, truncates: false),
        StoreInteger("FIST m32", [0xDB, 0x13], 32, truncates: false),
        StoreInteger("FISTP m64", [0xDF, 0x3B], 64, truncates: false),
        StoreInteger("FISTTP m16", [0xDF, 0x0B], 16, truncates: true),
        StoreInteger("FISTTP m32", [0xDB, 0x0B], 32, truncates: true),
        StoreInteger("FISTTP m64", [0xDD, 0x0B], 64, truncates: true),
        new("FBSTP", [0xDF, 0x33], X87Operands.OnePopped, StoreDecimal),
        Load("FLD m32", [0xD9, 0x03], X87Operands.Memory32, (ref X87Case s) => Single(ref s)),
        Load("FLD m64", [0xDD, 0x03], X87Operands.Memory64, (ref X87Case s) => Double(ref s)),
        Load("FILD m16", [0xDF, 0x03], X87Operands.Memory64, (ref X87Case s) => Integer((short)s.MemoryLow)),
        Load("FILD m32", [0xDB, 0x03], X87Operands.Memory64, (ref X87Case s) => Integer((int)s.MemoryLow)),
        Load("FILD m64", [0xDF, 0x2B], X87Operands.Memory64, (ref X87Case s) => Integer((long)s.MemoryLow)),
        Load("FBLD", [0xDF, 0x23], X87Operands.MemoryDecimal, (ref X87Case s) =>
            IntegerConversion.FromPackedDecimal(s.MemoryLow, s.MemoryHigh)),
        WithMemory("FADD m32", [0xD8, 0x03], X87Operands.Memory32, FloatArithmetic.Add, (in X87Case s) =>
            FormatConversion.Widen(new Float32((uint)s.MemoryLow)), s => new Float32((uint)s.MemoryLow).Class),
        WithMemory("FDIV m64", [0xDC, 0x33], X87Operands.Memory64, FloatArithmetic.Divide, (in X87Case s) =>
            FormatConversion.Widen(new Float64(s.MemoryLow)), s => new Float64(s.MemoryLow).Class),
        WithMemory("FIMUL m16", [0xDE, 0x0B], X87Operands.Memory64, FloatArithmetic.Multiply, (in X87Case s) =>
            Integer((short)s.MemoryLow), _ => NumberClass.Normal),
    ];

    private delegate Float80 UnaryFunction(Float80 value, ref FloatingPointContext context);

    private delegate ulong Conversion(ref X87Case state);

    private delegate Float80 Source(ref X87Case state);

    private delegate Float80 WidenedSource(in X87Case state);

    private static X87Model Arithmetic(string name, byte[] code, Binary operation) =>
        new(name, code, X87Operands.Pair, (ref X87Case s) =>
            Deliver(ref s, operation(s.St0, s.St1, ref s.Context)));

    private static X87Model Unary(string name, byte[] code, UnaryFunction operation) =>
        new(name, code, X87Operands.One, (ref X87Case s) => Deliver(ref s, operation(s.St0, ref s.Context)));

    private static X87Model Load(string name, byte[] code, X87Operands operands, Source source) =>
        new(name, code, operands, (ref X87Case s) =>
        {
            Float80 old = s.St0;
            Deliver(ref s, source(ref s));
            s.St1 = s.Delivers ? old : s.St1;
        });

    private static X87Model WithMemory(
        string name,
        byte[] code,
        X87Operands operands,
        Binary operation,
        WidenedSource source,
        Func<X87Case, NumberClass> classify) =>
        new(name, code, operands, (ref X87Case s) =>
        {
            Float80 operand = source(s);
            Float80 result = operation(s.St0, operand, ref s.Context);
            if (classify(s) == NumberClass.Denormal)
            {
                s.Context.RaiseWidenedDenormal(s.St0.IsNan || operand.IsNan);
            }

            Deliver(ref s, result);
        });

    private static X87Model StoreInteger(string name, byte[] code, int bits, bool truncates) =>
        Store(name, code, bits / 8, (ref X87Case s) => (ulong)IntegerConversion.ToInteger(
            s.St0, bits, truncates ? RoundingMode.TowardZero : s.Context.Rounding, ref s.Context)) with
        {
            Operands = truncates || bits == 64 ? X87Operands.OnePopped : X87Operands.One,
        };

    private static X87Model Store(string name, byte[] code, int size, Conversion conversion) =>
        new(name, code, X87Operands.One, (ref X87Case s) =>
        {
            ulong value = conversion(ref s);
            ulong untouched = size == sizeof(ulong) ? 0 : ulong.MaxValue << (8 * size);
            s.MemoryLow = s.Stores ? (s.MemoryLow & untouched) | (value & ~untouched) : s.MemoryLow;
        });

    private static void StoreDecimal(ref X87Case s)
    {
        ulong low = IntegerConversion.ToPackedDecimal(s.St0, out ushort high, ref s.Context);
        if (s.Stores)
        {
            s.MemoryLow = low;
            s.MemoryHigh = high;
        }
    }

    private static void Extract(ref X87Case s)
    {
        Float80 significand = ExtendedFunctions.Extract(s.St0, out Float80 exponent, ref s.Context);
        if (s.Delivers)
        {
            s.St0 = significand;
            s.St1 = exponent;
        }
    }

    private static void Remainder(ref X87Case s, bool toNearest)
    {
        uint quotient;
        bool complete;
        Float80 rest = toNearest
            ? ExtendedFunctions.RemainderToNearest(s.St0, s.St1, out quotient, out complete, ref s.Context)
            : ExtendedFunctions.Remainder(s.St0, s.St1, out quotient, out complete, ref s.Context);
        Deliver(ref s, rest);
        if (s.Delivers)
        {
            s.Conditions = (ushort)(complete
                ? ((quotient & 4) != 0 ? C0 : 0) | ((quotient & 2) != 0 ? C3 : 0) | ((quotient & 1) != 0 ? C1 : 0)
                : C2);
        }
    }

    private static void Compare(ref X87Case s, bool quietIsInvalid)
    {
        Relation relation = FloatComparison.Compare(s.St0, s.St1, quietIsInvalid, ref s.Context);
        s.Conditions = relation switch
        {
            Relation.Less => C0,
            Relation.Equal => C3,
            Relation.Greater => 0,
            _ => C0 | C2 | C3,
        };
    }

    private static Float80 Single(ref X87Case s) =>
        FormatConversion.ToFloat80(new Float32((uint)s.MemoryLow), ref s.Context);

    private static Float80 Double(ref X87Case s) =>
        FormatConversion.ToFloat80(new Float64(s.MemoryLow), ref s.Context);

    private static Float80 Integer(long value) => IntegerConversion.ToFloat80(value);

    private static void Deliver(ref X87Case s, Float80 value) => s.St0 = s.Delivers ? value : s.St0;
}

/// <summary>What an instruction's operands are.</summary>
internal enum X87Operands
{
    /// <summary>ST(0).</summary>
    One,

    /// <summary>ST(0), which is popped, so that only memory tells the result.</summary>
    OnePopped,

    /// <summary>ST(0) and ST(1).</summary>
    Pair,

    /// <summary>ST(0) and a number of 32 bits.</summary>
    Memory32,

    /// <summary>ST(0) and a number of 64 bits, or an integer of so many or fewer.</summary>
    Memory64,

    /// <summary>ST(0) and a packed decimal.</summary>
    MemoryDecimal,
}
