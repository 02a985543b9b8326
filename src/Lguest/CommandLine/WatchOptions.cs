using System.Collections.Immutable;
using Lguest.Insight.Health;

namespace Lguest.CommandLine;

/// <summary>What the user wants to be told of a guest's kernel, and where.</summary>
internal sealed record WatchOptions
{
    private const string All = "all";
    private const string None = "none";
    private const string Corrupted = "/corrupted/";

    /// <summary>Which complaints count; null where the user has no wish.</summary>
    public ImmutableHashSet<ComplaintClass>? FailOn { get; init; }

    /// <summary>The fingerprints of complaints that don't count.</summary>
    public ImmutableHashSet<string> Allowed { get; init; } = [];

    /// <summary>Where the kernel's log goes while the guest runs; null for nowhere.</summary>
    public string? Kmsg { get; init; }

    /// <summary>Where the report for programs goes.</summary>
    public string? Json { get; init; }

    /// <summary>Where the report for CI servers goes.</summary>
    public string? JUnit { get; init; }

    /// <summary>Where the report for people goes.</summary>
    public string? Report { get; init; }

    /// <summary>Whether any report is wanted.</summary>
    public bool HasReport => Json is not null || JUnit is not null || Report is not null;

    /// <summary>Reads them.</summary>
    /// <exception cref="CommandLineException">One can't be understood, or two contradict each other.</exception>
    public static WatchOptions Parse(GivenOptions options)
    {
        var watch = new WatchOptions
        {
            FailOn = options.Value(Options.FailOn) is { } list ? Classes(list) : null,
            Allowed = [.. options.Values(Options.Allow).Select(Fingerprint)],
            Kmsg = options.Value(Options.Kmsg),
            Json = options.Value(Options.Json),
            JUnit = options.Value(Options.JUnit),
            Report = options.Value(Options.Report),
        };
        string[] files = [.. new[] { watch.Kmsg, watch.Json, watch.JUnit, watch.Report }.OfType<string>()];
        string? twice = files.FirstOrDefault(file => files.Count(other => IsSame(other, file)) > 1 && !file.StartsWith("/dev/", StringComparison.Ordinal));
        return twice is null ? watch : throw new CommandLineException($"'{twice}' can't take two reports: give each a file of its own");
    }

    // The current folder isn't asked for: its name needn't be text.
    private static bool IsSame(string one, string other) =>
        Path.IsPathRooted(one) == Path.IsPathRooted(other) && Path.GetFullPath(one, "/") == Path.GetFullPath(other, "/");

    private static ImmutableHashSet<ComplaintClass> Classes(string list)
    {
        if (list is All or None)
        {
            return list == All ? [.. Enum.GetValues<ComplaintClass>()] : [];
        }

        var classes = ImmutableHashSet.CreateBuilder<ComplaintClass>();
        foreach (string word in CommaParts.Split(list))
        {
            if (!ComplaintClasses.TryParse(word, out ComplaintClass value))
            {
                string known = string.Join(", ", Enum.GetValues<ComplaintClass>().Select(each => each.ToWord()));
                throw new CommandLineException(
                    $"--{Options.FailOn.Name}={list}: '{word}' is no kind of complaint: write {All}, {None}, or some of {known} with commas between them");
            }

            classes.Add(value);
        }

        return classes.ToImmutable();
    }

    private static string Fingerprint(string given)
    {
        string kind = given.Split('/')[0];
        if (!given.Contains('/', StringComparison.Ordinal) || !ComplaintClasses.TryParse(kind, out _))
        {
            throw new CommandLineException($"--{Options.Allow.Name}={given} is no fingerprint: copy one from a report, such as warning/do_something/do_more");
        }

        return given.Contains(Corrupted, StringComparison.Ordinal)
            ? throw new CommandLineException($"--{Options.Allow.Name}={given}: a complaint without functions is never the same as another, and can't be allowed")
            : given;
    }
}
