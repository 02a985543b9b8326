namespace Lguest.Cpu.Tests;

/// <summary>Documents that tests make: LGUEST_UPDATE_DOCS=1 writes them, and a run without it fails when one is stale.</summary>
internal static class Documentation
{
    private const string Variable = "LGUEST_UPDATE_DOCS";

    /// <summary>The folder of the repository's clone that the tests were built in.</summary>
    public static string Root => FindRoot();

    /// <summary>Compares a file in docs with what it should be, after writing it if that is asked for.</summary>
    public static void AssertUpToDate(string name, string expected)
    {
        string path = Path.Combine(FindRoot(), "docs", name);
        if (Environment.GetEnvironmentVariable(Variable) == "1")
        {
            File.WriteAllText(path, expected);
        }

        string[] actual = File.Exists(path) ? File.ReadAllLines(path) : [];
        string[] lines = expected.TrimEnd('\n').Split('\n');
        string[] differences =
        [
            .. lines.Except(actual).Take(10).Select(line => "missing: " + line),
            .. actual.Except(lines).Take(10).Select(line => "too much: " + line),
        ];
        Assert.True(
            lines.AsSpan().SequenceEqual(actual),
            $"docs/{name} is stale; run the tests with {Variable}=1 to write it anew.\n{string.Join('\n', differences)}");
    }

    private static string FindRoot()
    {
        string directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Lguest.sln")))
        {
            directory = Path.GetDirectoryName(directory)
                ?? throw new InvalidOperationException($"{AppContext.BaseDirectory} isn't in a clone of the repository.");
        }

        return directory;
    }
}
