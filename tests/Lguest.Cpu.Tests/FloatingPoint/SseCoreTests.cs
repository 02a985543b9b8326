using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;
using Xunit;
using static System.FormattableString;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>The core's 32-bit and 64-bit operations against the real processor's scalar SSE instructions.</summary>
public sealed unsafe class SseCoreTests
{
    private delegate ulong Model(ulong first, ulong second, ref FloatingPointContext context);

    private delegate Float32 Operation32(Float32 first, Float32 second, ref FloatingPointContext context);

    private delegate Float64 Operation64(Float64 first, Float64 second, ref FloatingPointContext context);

    private enum Kind
    {
        Binary32,
        Binary64,
        Unary32,
        Unary64,
        FromInteger,
    }

    private static readonly Row[] Rows =
    [
        Binary32("ADDSS", [0xF3, 0x0F, 0x58, 0xC1], FloatArithmetic.Add),
        Binary64("ADDSD", [0xF2, 0x0F, 0x58, 0xC1], FloatArithmetic.Add),
        Binary32("SUBSS", [0xF3, 0x0F, 0x5C, 0xC1], FloatArithmetic.Subtract),
        Binary64("SUBSD", [0xF2, 0x0F, 0x5C, 0xC1], FloatArithmetic.Subtract),
        Binary32("MULSS", [0xF3, 0x0F, 0x59, 0xC1], FloatArithmetic.Multiply),
        Binary64("MULSD", [0xF2, 0x0F, 0x59, 0xC1], FloatArithmetic.Multiply),
        Binary32("DIVSS", [0xF3, 0x0F, 0x5E, 0xC1], FloatArithmetic.Divide),
        Binary64("DIVSD", [0xF2, 0x0F, 0x5E, 0xC1], FloatArithmetic.Divide),
        Binary32("MINSS", [0xF3, 0x0F, 0x5D, 0xC1], FloatComparison.Minimum),
        Binary64("MINSD", [0xF2, 0x0F, 0x5D, 0xC1], FloatComparison.Minimum),
        Binary32("MAXSS", [0xF3, 0x0F, 0x5F, 0xC1], FloatComparison.Maximum),
        Binary64("MAXSD", [0xF2, 0x0F, 0x5F, 0xC1], FloatComparison.Maximum),
        new("SQRTSS", [0xF3, 0x0F, 0x51, 0xC1], Kind.Unary32, (ulong a, ulong b, ref FloatingPointContext c) =>
            FloatArithmetic.SquareRoot(Single(b), ref c).Bits),
        new("SQRTSD", [0xF2, 0x0F, 0x51, 0xC1], Kind.Unary64, (ulong a, ulong b, ref FloatingPointContext c) =>
            FloatArithmetic.SquareRoot(Double(b), ref c).Bits),
        new("CVTSS2SD", [0xF3, 0x0F, 0x5A, 0xC1], Kind.Unary32, (ulong a, ulong b, ref FloatingPointContext c) =>
            FormatConversion.ToFloat64(Single(b), ref c).Bits),
        new("CVTSD2SS", [0xF2, 0x0F, 0x5A, 0xC1], Kind.Unary64, (ulong a, ulong b, ref FloatingPointContext c) =>
            FormatConversion.ToFloat32(Double(b), ref c).Bits),
        new("CVTPS2DQ", [0x66, 0x0F, 0x5B, 0xC1], Kind.Unary32, (ulong a, ulong b, ref FloatingPointContext c) =>
            (uint)IntegerConversion.ToInteger(Single(b), 32, c.Rounding, ref c)),
        new("CVTTPS2DQ", [0xF3, 0x0F, 0x5B, 0xC1], Kind.Unary32, (ulong a, ulong b, ref FloatingPointContext c) =>
            (uint)IntegerConversion.ToInteger(Single(b), 32, RoundingMode.TowardZero, ref c)),
        new("CVTPD2DQ", [0xF2, 0x0F, 0xE6, 0xC1], Kind.Unary64, (ulong a, ulong b, ref FloatingPointContext c) =>
            (uint)IntegerConversion.ToInteger(Double(b), 32, c.Rounding, ref c)),
        new("CVTTPD2DQ", [0x66, 0x0F, 0xE6, 0xC1], Kind.Unary64, (ulong a, ulong b, ref FloatingPointContext c) =>
            (uint)IntegerConversion.ToInteger(Double(b), 32, RoundingMode.TowardZero, ref c)),
        new("CVTSI2SS", [0xF3, 0x0F, 0x2A, 0xC1], Kind.FromInteger, (ulong a, ulong b, ref FloatingPointContext c) =>
            IntegerConversion.FromInteger<Float32>((int)b, ref c).Bits),
        new("CVTSI2SD", [0xF2, 0x0F, 0x2A, 0xC1], Kind.FromInteger, (ulong a, ulong b, ref FloatingPointContext c) =>
            IntegerConversion.FromInteger<Float64>((int)b, ref c).Bits),
        Comparison32("COMISS", [0x0F, 0x2F, 0xC1], quietIsInvalid: true),
        Comparison32("UCOMISS", [0x0F, 0x2E, 0xC1], quietIsInvalid: false),
        Comparison64("COMISD", [0x66, 0x0F, 0x2F, 0xC1], quietIsInvalid: true),
        Comparison64("UCOMISD", [0x66, 0x0F, 0x2E, 0xC1], quietIsInvalid: false),
    ];

    public static TheoryData<string> Names => new(Rows.Select(row => row.Name));

    [Theory]
    [MemberData(nameof(Names))]
    public void An_operation_does_what_the_processor_does(string name)
    {
        NativeProcessor.SkipUnlessSupported();
        Row row = Rows.Single(candidate => candidate.Name == name);
        Random random = TestSize.SeededRandom(name);
        var mismatches = new Mismatches(name);
        using var native = new NativeProcessor();
        for (int round = 0; round < TestSize.Choose(1, 10); round++)
        {
            foreach ((ulong first, ulong second) in Edges(row.Kind))
            {
                Compare(native, row, first, second, NextMxcsr(random), mismatches);
            }
        }

        for (int count = TestSize.Choose(10_000, 500_000); count > 0; count--)
        {
            bool single = row.Kind is Kind.Binary32 or Kind.Unary32;
            ulong first = single ? FloatSamples.Next32(random) : FloatSamples.Next64(random);
            ulong second = single ? FloatSamples.Next32(random) : FloatSamples.Next64(random);
            Compare(native, row, first, second, NextMxcsr(random), mismatches);
        }

        mismatches.AssertNone();
    }

    // An unmasked exception is a fault, at once.
    private static uint NextMxcsr(Random random) =>
        FloatSamples.NextMxcsr(random, unmasked: NativeProcessor.CatchesFaults);

    private static IEnumerable<(ulong First, ulong Second)> Edges(Kind kind) => kind switch
    {
        Kind.Binary32 => from a in FloatSamples.Edges32 from b in FloatSamples.Edges32 select ((ulong)a, (ulong)b),
        Kind.Binary64 => from a in FloatSamples.Edges64 from b in FloatSamples.Edges64 select (a, b),
        Kind.Unary32 => from turn in Enumerable.Range(0, 32) from b in FloatSamples.Edges32 select (0ul, (ulong)b),
        _ => from turn in Enumerable.Range(0, 32) from b in FloatSamples.Edges64 select (0ul, b),
    };

    private static void Compare(
        NativeProcessor native, Row row, ulong first, ulong second, uint mxcsr, Mismatches mismatches)
    {
        NativeState* state = native.State;
        state->Fx.Mxcsr = mxcsr;
        state->Fx.Xmm(0) = new XmmRegister { Low = first };
        state->Fx.Xmm(1) = new XmmRegister { Low = second };
        state->General[1] = second;
        state->Flags = 0x202;
        native.Execute(row.Code);

        FloatingPointContext context = FloatingPointContext.FromMxcsr(mxcsr);
        ulong expected = row.Model(first, second, ref context);
        bool faults = context.Unmasked != 0;
        ulong actual = row.ReadsFlags ? state->Flags & 0x45 : state->Fx.Xmm(0).Low;
        expected = row.ReadsFlags || row.Wide ? expected : expected | (first & 0xFFFF_FFFF_0000_0000);
        expected = !faults ? expected : row.ReadsFlags ? 0 : first;
        uint flags = state->Fx.Mxcsr & (uint)FloatingPointExceptions.All;
        ulong signal = state->Signal;
        bool same = actual == expected && flags == (uint)context.Reported && faults == (signal != 0);
        mismatches.Note(same, () =>
            Invariant($"{row.Name} {first:x} {second:x} MXCSR={mxcsr:x}: processor {actual:x} flags {flags:x} ")
            + Invariant($"signal {signal}, core {expected:x} flags {(uint)context.Reported:x}"));
    }

    private static Row Binary32(string name, byte[] code, Operation32 operation) =>
        new(name, code, Kind.Binary32, (ulong a, ulong b, ref FloatingPointContext c) =>
            operation(Single(a), Single(b), ref c).Bits);

    private static Row Binary64(string name, byte[] code, Operation64 operation) =>
        new(name, code, Kind.Binary64, (ulong a, ulong b, ref FloatingPointContext c) =>
            operation(Double(a), Double(b), ref c).Bits);

    private static Row Comparison32(string name, byte[] code, bool quietIsInvalid) =>
        new(name, code, Kind.Binary32, (ulong a, ulong b, ref FloatingPointContext c) =>
            ToFlags(FloatComparison.Compare(Single(a), Single(b), quietIsInvalid, ref c)));

    private static Row Comparison64(string name, byte[] code, bool quietIsInvalid) =>
        new(name, code, Kind.Binary64, (ulong a, ulong b, ref FloatingPointContext c) =>
            ToFlags(FloatComparison.Compare(Double(a), Double(b), quietIsInvalid, ref c)));

    private static ulong ToFlags(Relation relation) => relation switch
    {
        Relation.Less => Eflags.Cf,
        Relation.Equal => Eflags.Zf,
        Relation.Greater => 0,
        _ => Eflags.Cf | Eflags.Pf | Eflags.Zf,
    };

    private static Float32 Single(ulong bits) => new((uint)bits);

    private static Float64 Double(ulong bits) => new(bits);

    private sealed record Row(string Name, byte[] Code, Kind Kind, Model Model)
    {
        public bool ReadsFlags => Name.Contains("COMI", StringComparison.Ordinal);

        // Whether the result fills 64 bits; else 32 bits of the destination stay. Packed conversions to integers
        // are tried with zeros in the elements that aren't looked at, and these stay zero.
        public bool Wide => Name.EndsWith('D') || Name.EndsWith('Q');
    }
}
