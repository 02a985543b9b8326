using System.Globalization;

namespace Lguest.CommandLine;

/// <summary>An older profile, and how much more a guest may do than that: <c>--profile-compare=FILE,5%</c>.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="AllowedPercent">How many per cent more are allowed, 0 or more.</param>
internal sealed record ProfileComparisonOption(string Path, decimal AllowedPercent)
{
    private const decimal UsualPercent = 5;
    private const decimal MostPercent = 1_000_000;

    /// <summary>Reads it; null where there is none.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static ProfileComparisonOption? Parse(GivenOptions options)
    {
        if (options.Value(Options.ProfileCompare) is not { } value)
        {
            return null;
        }

        string[] parts = [.. CommaParts.Split(value)];
        bool hasShare = parts.Length == 2;
        decimal percent = UsualPercent;
        bool isRight = parts[0].Length > 0 && (parts.Length == 1 || (hasShare && parts[1].EndsWith('%')
            && decimal.TryParse(parts[1].AsSpan(0, parts[1].Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out percent)
            && percent <= MostPercent));
        return isRight
            ? new ProfileComparisonOption(parts[0], percent)
            : throw new CommandLineException(
                $"--{Options.ProfileCompare.Name}={value} is not a profile and how many per cent more are allowed: write --{Options.ProfileCompare.Name}=FILE or --{Options.ProfileCompare.Name}=FILE,5%");
    }
}
