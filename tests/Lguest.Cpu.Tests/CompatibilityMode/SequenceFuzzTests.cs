using System.Diagnostics;
using Iced.Intel;
using Lguest.Cpu.Tests.Fuzz;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// Random sequences of 32-bit and 16-bit code, against the host's processor. LGUEST_FUZZ_SECONDS says for how long (ten seconds
/// otherwise), LGUEST_FUZZ_SEED where to begin; a failure names the seed of its case.
/// </summary>
public sealed class SequenceFuzzTests
{
    private const int Seconds = 10;
    private const int LongestSequence = 12;

    // One of each instruction that ends a sequence: a failure shows what is wrong as far as it was seen.
    private const int MostDifferences = 20;

    [Fact]
    public void Random_sequences_do_what_the_hosts_processor_does()
    {
        Assert.SkipWhen(TestEngine.Current == Engine.Traced, "What random bytes happen to be covers nothing.");
        CompatibilityProcessor.SkipUnlessSupported();
        using var comparison = new CompatibilityComparison();
        var duration = TimeSpan.FromSeconds(FuzzSettings.Seconds(Seconds));
        long start = Stopwatch.GetTimestamp();
        int seed = FuzzSettings.FirstSeed;
        long instructions = 0;
        var differences = new Dictionary<Code, string>();
        do
        {
            var random = new Random(seed);
            comparison.Begin(random);
            var sequence = new RandomInstructions(comparison, random);
            for (int length = random.Next(1, LongestSequence); length > 0 && sequence.Step(); length--)
            {
                instructions++;
            }

            if (comparison.Finish() is { } difference)
            {
                differences.TryAdd(comparison.Last, $"LGUEST_FUZZ_SEED={seed}: {difference}");
            }

            seed++;
        }
        while (Stopwatch.GetElapsedTime(start) < duration && differences.Count < MostDifferences);
        Assert.True(differences.Count == 0, string.Join("\n\n", differences.Values));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{seed - FuzzSettings.FirstSeed} sequences from seed {FuzzSettings.FirstSeed}, {instructions} instructions");
    }
}
