using System.Globalization;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>What the environment says about random tests.</summary>
internal static class FuzzSettings
{
    /// <summary>LGUEST_FUZZ_SEED, the first case's.</summary>
    public static int FirstSeed { get; } = ReadNumber("LGUEST_FUZZ_SEED", otherwise: 19911005);

    /// <summary>LGUEST_FUZZ_SECONDS, for how long.</summary>
    public static int Seconds(int otherwise) => ReadNumber("LGUEST_FUZZ_SECONDS", otherwise);

    private static int ReadNumber(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int value) ? value : otherwise;
}
