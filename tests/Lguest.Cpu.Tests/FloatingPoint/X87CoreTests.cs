using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Tests.Native;
using Lguest.Cpu.Tests.Vendors;
using Xunit;
using static System.FormattableString;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>The core's 80-bit operations against the real processor: results, exceptions and condition codes.</summary>
public sealed unsafe class X87CoreTests
{
    private const ushort ErrorSummaryAndBusy = 0x8080;
    private const ushort TopMask = 0x3800;
    private const ushort RoundedUp = 0x0200;
    private const int ExceptionMasks = (int)FloatingPointExceptions.All;

    // RC and PC: four roundings, and 24, 53 and 64 bits.
    private static readonly ushort[] Modes =
        [.. from rounding in (int[])[0, 1, 2, 3] from precision in (int[])[0, 2, 3] select (ushort)(rounding << 10 | precision << 8)];

    public static TheoryData<string> Names => new(X87Model.All.Select(model => model.Name));

    [Theory]
    [MemberData(nameof(Names))]
    public void An_operation_does_what_the_processor_does(string name)
    {
        NativeProcessor.SkipUnlessSupported();
        X87Model model = X87Model.All.Single(candidate => candidate.Name == name);
        Random random = TestSize.SeededRandom(name);
        var mismatches = new Mismatches(name);
        using var native = new NativeProcessor();
        for (int count = TestSize.Choose(10_000, 500_000); count > 0; count--)
        {
            Compare(native, model, Next(random), FloatSamples.NextControl(random), mismatches);
        }

        mismatches.AssertNone();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Numbers_of_every_class_meet_in_every_mode(string name)
    {
        NativeProcessor.SkipUnlessSupported();
        X87Model model = X87Model.All.Single(candidate => candidate.Name == name);
        Random random = TestSize.SeededRandom(nameof(Numbers_of_every_class_meet_in_every_mode) + name);
        var mismatches = new Mismatches(name);
        using var native = new NativeProcessor();
        X87Case[] edges = [.. Edges(model.Operands)];
        for (int round = 0; round < TestSize.Choose(1, 4); round++)
        {
            // Each rounding with each precision; which exceptions are masked is left to chance.
            foreach (ushort mode in Modes)
            {
                foreach (X87Case sample in edges)
                {
                    Compare(native, model, sample, (ushort)((FloatSamples.NextControl(random) & ExceptionMasks) | mode), mismatches);
                }
            }
        }

        mismatches.AssertNone();
    }

    private static IEnumerable<X87Case> Edges(X87Operands operands) => operands switch
    {
        X87Operands.One or X87Operands.OnePopped =>
            from value in FloatSamples.Edges80
            from repetition in Enumerable.Range(0, 8)
            select new X87Case { St0 = value },
        X87Operands.Pair =>
            from first in FloatSamples.Edges80
            from second in FloatSamples.Edges80
            select new X87Case { St0 = first, St1 = second },
        X87Operands.Memory32 =>
            from first in FloatSamples.Edges80
            from second in FloatSamples.Edges32
            select new X87Case { St0 = first, MemoryLow = second },
        X87Operands.Memory64 =>
            from first in FloatSamples.Edges80
            from second in FloatSamples.Edges64
            select new X87Case { St0 = first, MemoryLow = second },
        _ => [],
    };

    private static X87Case Next(Random random)
    {
        (Float80 first, Float80 second) = FloatSamples.NextPair80(random);
        ulong memory = random.Next(2) == 0 ? FloatSamples.Next64(random) : FloatSamples.Next32(random);
        return new X87Case { St0 = first, St1 = second, MemoryLow = memory };
    }

    private static void Compare(
        NativeProcessor native, X87Model model, X87Case sample, ushort control, Mismatches mismatches)
    {
        if (X87Differences.Contain(model.Name, sample.St0, sample.St1, control))
        {
            return;
        }

        if (model.Operands == X87Operands.MemoryDecimal)
        {
            // The manual allows only decimal digits.
            (sample.MemoryLow, sample.MemoryHigh) = ToDecimal(sample.MemoryLow);
        }

        if (model.Name.StartsWith("FLD", StringComparison.Ordinal))
        {
            // AMD's processors push a denormal even when its exception isn't masked; the manual says that TOP
            // remains unchanged (SDM 1, 8.5.2).
            control |= (ushort)FloatingPointExceptions.Denormal;
        }

        NativeState* state = native.State;
        state->General[3] = native.ScratchAddress;
        state->Fx.Control = control;
        state->Fx.Status = 0;
        state->Fx.Valid = 0b11;
        state->Fx.St(0) = sample.St0;
        state->Fx.St(1) = sample.St1;
        ulong* memory = (ulong*)state->Scratch;
        memory[0] = sample.MemoryLow;
        memory[1] = sample.MemoryHigh;
        native.Execute(model.Code);

        X87Case result = sample;
        result.Context = FloatingPointContext.FromX87(control);
        model.Model(ref result);
        int status = (int)result.Context.Reported | result.Conditions
            | (result.Context.ReportedRoundedUp ? RoundedUp : 0)
            | (result.Context.Unmasked != 0 ? ErrorSummaryAndBusy : 0);

        int actual = state->Fx.Status & ~TopMask;
        Float80 st0 = state->Fx.St(0);
        Float80 st1 = state->Fx.St(1);
        bool registers = model.Operands == X87Operands.OnePopped || (st0.Equals(result.St0) && st1.Equals(result.St1));
        bool same = registers && status == actual
            && memory[0] == result.MemoryLow && (ushort)memory[1] == result.MemoryHigh;
        (ulong low, ulong high) = (memory[0], memory[1]);
        mismatches.Note(same, () =>
            Invariant($"{model.Name} ST0={sample.St0} ST1={sample.St1} FCW={control:x4} ")
            + Invariant($"memory={sample.MemoryHigh:x4}:{sample.MemoryLow:x16}: ")
            + Invariant($"processor {st0} {st1} {high:x4}:{low:x16} FSW={actual:x4}, core {result.St0} {result.St1} ")
            + Invariant($"{result.MemoryHigh:x4}:{result.MemoryLow:x16} FSW={status:x4}"));
    }

    private static (ulong Low, ushort High) ToDecimal(ulong value)
    {
        ulong low = 0;
        ulong digits = value;
        for (int digit = 0; digit < 16; digit++)
        {
            low |= digits % 10 << (4 * digit);
            digits /= 10;
        }

        ushort high = (ushort)(digits % 10 | digits / 10 % 10 << 4 | (value & 2) << 14);
        return (low, high);
    }
}
