using System.Globalization;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>A suite in a sentence.</summary>
public static class SuiteSummary
{
    private const double SecondsPerMinute = 60;

    /// <summary>How many boots ended how, the good ones first: <c>38 passed, 2 failed</c>.</summary>
    public static string Counts(SuiteResult result)
    {
        string counts = string.Join(", ", Enum.GetValues<BootStatus>()
            .Select(status => (Status: status, Count: result.Boots.Count(boot => boot.Status == status)))
            .Where(each => each.Count > 0)
            .Select(each => string.Create(CultureInfo.InvariantCulture, $"{each.Count} {each.Status.ToWord()}")));
        return counts.Length > 0 ? counts : "nothing to run";
    }

    /// <summary>The same with how long they took.</summary>
    public static string Line(SuiteResult result)
    {
        int attempts = result.Boots.Sum(boot => boot.Attempts.Count);
        string rate = result.WallSeconds > 0 && attempts > 0
            ? string.Create(CultureInfo.InvariantCulture, $" ({attempts * SecondsPerMinute / result.WallSeconds:f0} a minute)")
            : string.Empty;
        string shard = result.Shard is null ? string.Empty : $", shard {result.Shard}";
        return string.Create(
            CultureInfo.InvariantCulture, $"{result.Name}{shard}: {Counts(result)}; {attempts} boots in {result.WallSeconds:f1} s{rate}");
    }
}
