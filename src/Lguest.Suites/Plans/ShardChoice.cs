using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Lguest.Suites.Results;

namespace Lguest.Suites.Plans;

/// <summary>Which part of a suite is to be run: <c>--shard=I/N</c>.</summary>
/// <param name="Index">Which, from 1.</param>
/// <param name="Of">Of how many.</param>
public sealed record ShardChoice(int Index, int Of)
{
    private const int MostShards = 10_000;

    /// <summary>Reads one.</summary>
    /// <returns>Null if it is none.</returns>
    public static ShardChoice? Parse(string text)
    {
        string[] parts = text.Split('/');
        return parts.Length == 2
            && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int index)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int of)
            && index >= 1 && index <= of && of <= MostShards
            ? new ShardChoice(index, of)
            : null;
    }

    /// <summary>The boots of this shard. Every boot is in one shard, and who runs another finds the same ones in it.</summary>
    /// <param name="boots">All boots.</param>
    /// <param name="earlier">What they took when they were run before; null to go by their names alone.</param>
    public IReadOnlyList<PlannedBoot> Take(IReadOnlyList<PlannedBoot> boots, SuiteResult? earlier)
    {
        if (earlier is null)
        {
            return [.. boots.Where(boot => Hash(boot.Name) % (ulong)Of == (ulong)(Index - 1))];
        }

        // The longest first, each to the shard that has the least to do.
        Dictionary<string, double> seconds = Seconds(earlier);
        double usual = seconds.Count > 0 ? seconds.Values.Average() : 1;
        double[] load = new double[Of];
        var mine = new List<PlannedBoot>();
        foreach (PlannedBoot boot in boots.OrderByDescending(boot => seconds.GetValueOrDefault(boot.Name, usual)).ThenBy(boot => boot.Name, StringComparer.Ordinal))
        {
            int shard = Array.IndexOf(load, load.Min());
            load[shard] += seconds.GetValueOrDefault(boot.Name, usual);
            if (shard == Index - 1)
            {
                mine.Add(boot);
            }
        }

        return mine;
    }

    /// <summary>Whether a boot is in a share of all, which follows from its name, and is the same each time.</summary>
    /// <param name="name">The boot's.</param>
    /// <param name="share">0 for none, to 1 for all.</param>
    public static bool IsIn(string name, double share) => Hash(name) / (double)ulong.MaxValue < share || share >= 1;

    private static Dictionary<string, double> Seconds(SuiteResult earlier)
    {
        var seconds = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (BootResult boot in earlier.Boots.Where(boot => boot.Attempts.Count > 0))
        {
            seconds[boot.Name] = boot.Attempts.Sum(attempt => attempt.WallSeconds);
        }

        return seconds;
    }

    private static ulong Hash(string name) => BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(name)));
}
