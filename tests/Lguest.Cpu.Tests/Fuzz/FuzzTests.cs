using System.Diagnostics;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>
/// Random bytes on random states. LGUEST_FUZZ_SECONDS says for how long (a minute otherwise), LGUEST_FUZZ_SEED where to
/// begin; a failure names the seed of its case.
/// </summary>
public sealed class FuzzTests
{
    private const int Minute = 60;

    // No case takes a millisecond: one that takes so long never ends.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Random_bytes_execute_or_raise_an_exception_that_the_manual_allows()
    {
        Assert.SkipWhen(TestEngine.Current == Engine.Traced, "What random bytes happen to be covers nothing.");
        int seconds = FuzzSettings.Seconds(otherwise: Minute);
        int first = FuzzSettings.FirstSeed;
        var progress = new Progress { Seed = first };
        Task work = Task.Run(() => Work(first, TimeSpan.FromSeconds(seconds), progress), TestContext.Current.CancellationToken);
        int seen = -1;
        while (await Task.WhenAny(work, Task.Delay(Patience, TestContext.Current.CancellationToken)) != work)
        {
            Assert.True(progress.Seed != seen, $"The case of LGUEST_FUZZ_SEED={seen} doesn't end.");
            seen = progress.Seed;
        }

        await work;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{progress.Seed - first} cases from seed {first}, {progress.Executed} of them executed");
    }

    private static void Work(int first, TimeSpan duration, Progress progress)
    {
        using var machine = new FuzzMachine();
        long start = Stopwatch.GetTimestamp();
        do
        {
            try
            {
                machine.Check(progress.Seed);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"LGUEST_FUZZ_SEED={progress.Seed}: {e.Message}", e);
            }

            progress.Seed++;
        }
        while (Stopwatch.GetElapsedTime(start) < duration);
        progress.Executed = machine.Executed;
    }

    private sealed class Progress
    {
        private volatile int _seed;

        public int Seed { get => _seed; set => _seed = value; }

        public int Executed { get; set; }
    }
}
