using System.Globalization;
using Xunit;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>Counts the comparisons of a sweep, and keeps the first few that failed for the message.</summary>
internal sealed class Mismatches(string name)
{
    private const int Kept = 10;
    private readonly List<string> _first = [];
    private int _failed;
    private int _compared;

    /// <summary>Notes one comparison.</summary>
    /// <param name="same">Whether it agreed.</param>
    /// <param name="describe">The inputs, what was expected and what came; asked for only when needed.</param>
    public void Note(bool same, Func<string> describe)
    {
        _compared++;
        if (!same && _failed++ < Kept)
        {
            _first.Add(describe());
        }
    }

    /// <summary>Fails the test if any comparison did.</summary>
    public void AssertNone()
    {
        TestContext.Current.TestOutputHelper?.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{name}: {_compared} comparisons, {_failed} failed"));
        Assert.True(
            _failed == 0,
            string.Create(CultureInfo.InvariantCulture, $"{name}: {_failed} of {_compared} differ:")
                + Environment.NewLine + string.Join(Environment.NewLine, _first));
    }
}
