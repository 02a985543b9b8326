using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Lguest.Cpu.Tests.Native;

[assembly: AssemblyFixture(typeof(ComparisonCounts))]

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// How many comparisons with the host's processor each form of an instruction has had. A long run prints them at its
/// end, and each test sees to it that its forms have had enough.
/// </summary>
public sealed partial class ComparisonCounts : IDisposable
{
    /// <summary>What a long run owes a form that rounds, shifts, multiplies or divides.</summary>
    public const int DelicateMinimum = 20_000;

    /// <summary>What it owes any other form.</summary>
    public const int Minimum = 2_000;

    private const int StandardOutput = 1;

    private static readonly ConcurrentDictionary<string, int> Counts = new();

    /// <summary>Notes comparisons of a form, and fails a long run's test that made too few.</summary>
    /// <param name="form">The instruction, and what kind of operand it had.</param>
    /// <param name="count">How many.</param>
    /// <param name="minimum">How many a long run makes at least.</param>
    internal static void Note(string form, int count, int minimum)
    {
        Counts.AddOrUpdate(form, count, (_, before) => before + count);
        TestContext.Current.TestOutputHelper?.WriteLine($"{form}: {count} comparisons");
        Assert.True(!TestSize.IsLong || count >= minimum, $"{form} has had {count} comparisons: {minimum} are promised.");
    }

    /// <summary>Prints what a long run has done.</summary>
    public void Dispose()
    {
        if (!TestSize.IsLong || OperatingSystem.IsWindows())
        {
            return;
        }

        var text = new StringBuilder("\nComparisons with the host's processor:\n");
        foreach ((string form, int count) in Counts.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{count,9} {form}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"{Counts.Values.Sum(count => (long)count),9} of {Counts.Count} forms\n");

        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(text.ToString());
        while (!rest.IsEmpty)
        {
            nint written = Write(StandardOutput, rest, (nuint)rest.Length);
            if (written <= 0)
            {
                return;
            }

            rest = rest[(int)written..];
        }
    }

    // A stream would write to a file at an offset of its own, and the runner's summary would land on top of it.
    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, ReadOnlySpan<byte> bytes, nuint length);
}
