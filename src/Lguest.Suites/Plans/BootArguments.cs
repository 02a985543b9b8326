using System.Globalization;
using Lguest.Suites.Results;

namespace Lguest.Suites.Plans;

/// <summary>The command line that is a boot.</summary>
public static class BootArguments
{
    /// <summary>How long a boot may take whose suite doesn't say: a hang is to cost one test, and not the night.</summary>
    public const string UsualTimeout = "10m";

    /// <summary>To keep a core of a guest that has died.</summary>
    public const string Dump = "dump";

    /// <summary>To keep what went over its networks.</summary>
    public const string Pcap = "pcap";

    /// <summary>To keep where it spent its instructions.</summary>
    public const string Profile = "profile";

    private const string UsualMemory = "64m";

    // Far from each other, so that a retry isn't another boot of a matrix with seeds 0, 1, 2.
    private const ulong SeedStep = 1_000_000_007;

    /// <summary>The seed of an attempt; null for one that is new each time.</summary>
    /// <param name="settings">The boot's.</param>
    /// <param name="attempt">From 1.</param>
    public static ulong? Seed(BootSettings settings, int attempt) =>
        settings.IsRepeatable ? unchecked((settings.Seed ?? 0) + ((ulong)(attempt - 1) * SeedStep)) : settings.Seed;

    /// <summary>
    /// The arguments of a guest that boots and is saved, without the file: the same for all boots that can go on from it. What they want of
    /// a run is theirs: they look at all that the kernel has logged.
    /// </summary>
    /// <param name="settings">What a boot that goes on is like: with a kernel.</param>
    /// <param name="today">The day, UTC.</param>
    public static IReadOnlyList<string> OfSaved(BootSettings settings, DateOnly today) => Of(
        new BootSettings
        {
            Kernel = settings.Kernel,
            Modules = settings.Modules,
            Initrd = settings.Initrd,
            Abi = settings.Abi,
            Memory = settings.Memory,
            CommandLine = settings.CommandLine,
            Shares = settings.Shares,
            Disks = settings.Disks,
            Clock = settings.Clock,
            Engine = settings.Engine,
            FailOn = "none",
        },
        settings.IsRepeatable ? 0 : null,
        today);

    /// <summary>What saves a guest to a file.</summary>
    public static string Save(string file) => $"--save-at-ready={file}";

    /// <summary>What has a boot go on from a saved guest.</summary>
    public static string Restore(string file) => $"--restore={file}";

    /// <summary>Those that say which files are written of it besides those that every boot has.</summary>
    /// <param name="settings">What it is like.</param>
    /// <param name="files">Where they go.</param>
    public static IEnumerable<string> Kept(BootSettings settings, BootFiles files) => settings.Keep.Distinct().Select(file => file switch
    {
        Dump => $"--{Dump}={files.Core}",
        Pcap => $"--{Pcap}={files.Frames}",
        Profile => $"--{Profile}={files.Profile}",
        _ => throw new ArgumentException($"There is no '{file}' to be kept.", nameof(settings)),
    });

    /// <summary>Its arguments, without those that say where results go, and as if it booted itself.</summary>
    /// <param name="settings">What it is like: with a kernel.</param>
    /// <param name="seed">For random numbers; null for none in particular.</param>
    /// <param name="today">The day, UTC, for failures that are known until another.</param>
    public static IReadOnlyList<string> Of(BootSettings settings, ulong? seed, DateOnly today)
    {
        var arguments = new List<string> { settings.Memory ?? UsualMemory, settings.Kernel ?? throw new ArgumentException("A boot has a kernel.", nameof(settings)) };

        // What is outside has a pace of its own.
        Add("clock", settings.Clock ?? (settings.Networks.Count > 0 ? "real" : "virtual"));
        Add("seed", seed?.ToString(CultureInfo.InvariantCulture));
        Add("date", settings.Date);
        Add("engine", settings.Engine);
        Add("abi", settings.Abi);
        Add("initrd", settings.Initrd);
        Add("modules", settings.Modules);
        AddAll("share", settings.Shares);
        AddAll("block", settings.Disks);
        arguments.AddRange(settings.Networks.Select(network => $"--{network}"));
        Add("run", settings.Run);
        AddAll("run-argv", settings.RunWords ?? []);
        Add("append", string.IsNullOrWhiteSpace(settings.CommandLine) ? null : settings.CommandLine);
        Add("ktap", settings.Ktap);
        Add("fail-on", settings.FailOn ?? "all");
        AddAll("allow", settings.Known.Where(known => !known.HasExpired(today) && FailureWords.IsComplaint(known.Fingerprint)).Select(known => known.Fingerprint).Distinct());
        AddAll("expect", settings.Expect);
        AddAll("forbid", settings.Forbid);
        AddAll("send", settings.Send);
        Add("status-token", settings.StatusToken);
        Add("profile-compare", settings.ProfileCompare);
        Add("timeout", settings.Timeout ?? UsualTimeout);
        Add("max-guest-time", settings.MaxGuestTime);
        Add("max-silence", settings.MaxSilence);
        Add("max-instructions", settings.MaxInstructions);
        return arguments;

        void Add(string option, string? value)
        {
            if (value is not null)
            {
                arguments.Add($"--{option}={value}");
            }
        }

        void AddAll(string option, IEnumerable<string> values)
        {
            foreach (string value in values)
            {
                Add(option, value);
            }
        }
    }
}
