namespace Lguest.Cpu.Tests;

/// <summary>How much the sweeps do: little in an ordinary run, much with LGUEST_LONG_TESTS=1.</summary>
internal static class TestSize
{
    /// <summary>Whether this is a long run.</summary>
    public static bool IsLong { get; } = Environment.GetEnvironmentVariable("LGUEST_LONG_TESTS") == "1";

    /// <summary>Chooses between two numbers of repetitions.</summary>
    public static int Choose(int ordinary, int @long) => IsLong ? @long : ordinary;

    /// <summary>A generator that gives the same numbers for the same name in every process.</summary>
    public static Random SeededRandom(string name)
    {
        uint seed = 2166136261;
        foreach (char letter in name)
        {
            seed = (seed ^ letter) * 16777619;
        }

        return new Random((int)(seed & int.MaxValue));
    }
}
