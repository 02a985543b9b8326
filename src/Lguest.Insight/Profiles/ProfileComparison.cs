using System.Globalization;

namespace Lguest.Insight.Profiles;

/// <summary>Whether a guest executes more instructions than it did.</summary>
public static class ProfileComparison
{
    private const int Named = 3;

    /// <summary>Compares.</summary>
    /// <param name="before">What it did.</param>
    /// <param name="now">What it does.</param>
    /// <param name="allowed">How many per cent more are no harm.</param>
    /// <param name="name">What <paramref name="before"/> is called.</param>
    /// <returns>A sentence, without a full stop, where it is more; null where it isn't.</returns>
    public static string? Complaint(Profile before, Profile now, decimal allowed, string name)
    {
        const decimal Hundred = 100;
        decimal more = (((decimal)now.Total / before.Total) - 1) * Hundred;
        if (more <= allowed)
        {
            return null;
        }

        IReadOnlyDictionary<string, ulong> old = before.ByFunction;
        IEnumerable<string> grown = now.ByFunction
            .Select(each => (each.Key, Growth: (decimal)each.Value - old.GetValueOrDefault(each.Key)))
            .Where(each => each.Growth > 0)
            .OrderByDescending(each => each.Growth).ThenBy(each => each.Key, StringComparer.Ordinal)
            .Take(Named)
            .Select(each => string.Create(CultureInfo.InvariantCulture, $"{each.Key} (+{each.Growth:n0})"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"the guest executed {now.Total:n0} instructions, {Rounded(more, allowed)} % more than the {before.Total:n0} in '{name}', and {allowed} % are allowed; most of it in {string.Join(", ", grown)}");
    }

    /// <summary>A share with as many digits as it takes to see that it is more than what is allowed.</summary>
    private static string Rounded(decimal share, decimal allowed)
    {
        int digits = 1;
        while (decimal.Round(share, digits, MidpointRounding.AwayFromZero) <= allowed)
        {
            digits++;
        }

        return share.ToString($"F{digits}", CultureInfo.InvariantCulture);
    }
}
