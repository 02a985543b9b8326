using System.IO.Hashing;
using Lguest.Cpu.State;
using Lguest.Host;

namespace Lguest.Tests;

/// <summary>Whole boots in virtual time are the same with each engine, all the way: not only where they end.</summary>
public sealed class EngineLockstepTests
{
    private const ulong Step = 1_000_000;
    private const int FewestSteps = 20;

    [Fact]
    public void The_guest_that_ships_is_the_same_at_every_million_of_instructions() => AssertSame(
        ShippedImages.Image("vmlinux"),
        ShippedImages.Image("initrd.cpio"),
        "quiet run=\"ls -lR /bin | md5sum; for i in 1 2 3 4 5 6 7 8; do sh -c 'echo $$; exit 3' | cat; done\"");

    [Fact]
    public void A_guest_of_2_6_23_is_the_same_at_every_million_of_instructions() =>
        AssertSame(RealGuest.Variable("KERNEL"), RealGuest.Variable("INITRD"), "run=ls${IFS}-lR${IFS}/bin|md5sum;date|cat");

    private static void AssertSame(string kernel, string initrd, string words)
    {
        List<string> interpreted = Steps(kernel, initrd, words, EngineKind.Interpreter);
        Assert.True(interpreted.Count > FewestSteps, $"The guest is over after {interpreted.Count} steps.");
        foreach (EngineKind engine in (EngineKind[])[EngineKind.Auto, EngineKind.Translator])
        {
            List<string> translated = Steps(kernel, initrd, words, engine);
            int different = interpreted.Zip(translated).TakeWhile(pair => pair.First == pair.Second).Count();
            Assert.True(
                different == interpreted.Count && different == translated.Count,
                $"{engine} differs in million {different + 1} of {interpreted.Count}: {translated.ElementAtOrDefault(different)} "
                + $"instead of {interpreted.ElementAtOrDefault(different)}");
        }
    }

    /// <summary>What there is to see of a guest after each million of instructions, and at its end with what it printed.</summary>
    private static List<string> Steps(string kernel, string initrd, string words, EngineKind engine)
    {
        var steps = new List<string>();
        (GuestOutcome outcome, string text) = InProcessGuest.Run(kernel, initrd, words, engine, guest =>
        {
            while (true)
            {
                GuestOutcome so = guest.Run(new RunLimits(Step), TestContext.Current.CancellationToken);
                steps.Add(Describe(guest));
                if (so is not GuestOutcome.InstructionLimit || guest.Processor.Retired > InProcessGuest.MostInstructions)
                {
                    return so;
                }
            }
        });
        Assert.IsType<GuestOutcome.PowerOff>(outcome);
        steps.Add(text);
        return steps;
    }

    private static string Describe(Guest guest)
    {
        const int GeneralRegisters = 8;
        ref ProcessorState state = ref guest.Processor.State;
        var registers = new uint[GeneralRegisters];
        for (int i = 0; i < GeneralRegisters; i++)
        {
            registers[i] = state.GetGeneral(i);
        }

        ReadOnlySpan<byte> memory = guest.PhysicalMemory.Span(0, (uint)guest.PhysicalMemory.Top);
        return $"{guest.Processor.Retired} instructions, EIP {state.Eip:x}, EFLAGS {guest.Processor.Eflags:x}, CR2 {state.Cr2:x}, "
            + $"CR3 {guest.Processor.ReadControlRegister(3):x}, registers {string.Join(' ', registers.Select(r => r.ToString("x", null)))}, "
            + $"CS {state.Cs.Selector:x}, memory {XxHash128.HashToUInt128(memory):x}";
    }
}
