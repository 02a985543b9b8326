using Iced.Intel;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Tests.FloatingPoint;
using Lguest.Cpu.Tests.Native;
using Xunit;

namespace Lguest.Cpu.Tests.X87;

/// <summary>Every x87 instruction against the real processor, from random states of the whole unit.</summary>
public sealed class X87InstructionTests
{
    public static TheoryData<Code> Codes => new(X87Form.Codes);

    [Theory]
    [MemberData(nameof(Codes))]
    public void An_instruction_does_what_the_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        X87Form[] forms = [.. X87Form.All.Where(form => form.Code == code)];
        Random random = TestSize.SeededRandom(code.ToString());
        var mismatches = new Mismatches(code.ToString());
        using var comparison = new X87Comparison();
        const int atATime = 32;
        int turns = TestSize.Choose(64, 960);
        for (int turn = 0; turn < turns; turn++)
        {
            comparison.Load(forms[turn % forms.Length]);
            for (int count = 0; count < atATime; count++)
            {
                comparison.Compare(random, mismatches);
            }
        }

        mismatches.AssertNone();
        ComparisonCounts.Note(code.ToString(), turns * atATime, ComparisonCounts.DelicateMinimum);
    }
}
