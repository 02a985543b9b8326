namespace Lguest.Suites.Plans;

/// <summary>What a boot is to be like: what a suite's defaults, its tests and the values of its matrix may say. What isn't said is null.</summary>
public sealed record BootSettings
{
    /// <summary>A vmlinux or bzImage, an absolute path.</summary>
    public string? Kernel { get; init; }

    /// <summary>Where the kernel's modules were installed, an absolute path.</summary>
    public string? Modules { get; init; }

    /// <summary>An initial RAM disk, a file or a folder, an absolute path.</summary>
    public string? Initrd { get; init; }

    /// <summary>What kind of guest the kernel is: the value of <c>--abi</c>.</summary>
    public string? Abi { get; init; }

    /// <summary>How much memory, as <c>lguest</c> takes it: <c>64m</c>.</summary>
    public string? Memory { get; init; }

    /// <summary>Words for the kernel.</summary>
    public string? CommandLine { get; init; }

    /// <summary>What random numbers begin with.</summary>
    public ulong? Seed { get; init; }

    /// <summary>The command that the guest is to run, in its shell.</summary>
    public string? Run { get; init; }

    /// <summary>The same without a shell: a program and its arguments. A boot has one of the two.</summary>
    public IReadOnlyList<string>? RunWords { get; init; }

    /// <summary>Folders that the guest gets: <c>DIR:MOUNT</c>, with an absolute path.</summary>
    public IReadOnlyList<string> Shares { get; init; } = [];

    /// <summary>Disks: the values of <c>--block</c>, with absolute paths.</summary>
    public IReadOnlyList<string> Disks { get; init; } = [];

    /// <summary>Networks in the guest's order, as options without dashes, with absolute paths: <c>usernet=restrict</c>.</summary>
    public IReadOnlyList<string> Networks { get; init; } = [];

    /// <summary>Where it begins: with <see cref="FromBoot"/>, it goes on from a guest that has booted; else it boots itself.</summary>
    public string? From { get; init; }

    /// <summary>What is wanted of test output: the value of <c>--ktap</c>.</summary>
    public string? Ktap { get; init; }

    /// <summary>Which complaints of the kernel's count: the value of <c>--fail-on</c>.</summary>
    public string? FailOn { get; init; }

    /// <summary>Failures that are known.</summary>
    public IReadOnlyList<KnownFailure> Known { get; init; } = [];

    /// <summary>What the console is to show.</summary>
    public IReadOnlyList<string> Expect { get; init; } = [];

    /// <summary>What it may not show.</summary>
    public IReadOnlyList<string> Forbid { get; init; } = [];

    /// <summary>What is typed there, and when: the values of <c>--send</c>.</summary>
    public IReadOnlyList<string> Send { get; init; } = [];

    /// <summary>The word with which the guest tells its status on its console: the value of <c>--status-token</c>.</summary>
    public string? StatusToken { get; init; }

    /// <summary>Which files are written of it besides those that every boot has.</summary>
    public IReadOnlyList<string> Keep { get; init; } = [];

    /// <summary>The profile that its own is compared with: the value of <c>--profile-compare</c>, with an absolute path.</summary>
    public string? ProfileCompare { get; init; }

    /// <summary>How often a boot that has failed is tried again.</summary>
    public int? Retries { get; init; }

    /// <summary>Which time the guest has: the value of <c>--clock</c>.</summary>
    public string? Clock { get; init; }

    /// <summary>The date at its start: the value of <c>--date</c>.</summary>
    public string? Date { get; init; }

    /// <summary>What executes the guest: the value of <c>--engine</c>.</summary>
    public string? Engine { get; init; }

    /// <summary>The most wall time.</summary>
    public string? Timeout { get; init; }

    /// <summary>The most of the guest's time.</summary>
    public string? MaxGuestTime { get; init; }

    /// <summary>The most of the guest's time in which nothing comes from it.</summary>
    public string? MaxSilence { get; init; }

    /// <summary>The most instructions.</summary>
    public string? MaxInstructions { get; init; }

    /// <summary>Says that a boot goes on from a guest that has booted, and was saved when it was ready for a command.</summary>
    public const string FromBoot = "boot";

    /// <summary>Says that a boot begins at its start.</summary>
    public const string FromStart = "start";

    /// <summary>Whether it goes on from a saved guest.</summary>
    public bool IsWarm => From == FromBoot;

    /// <summary>Whether time is made of instructions and nothing comes from outside, so that the boot is the same each time.</summary>
    public bool IsRepeatable => Networks.Count == 0 && Clock is (null or "virtual");

    /// <summary>These settings, and where they say nothing, others. Lists and the kernel's words are put together, the others' first.</summary>
    public BootSettings Over(BootSettings others) => new()
    {
        Kernel = Kernel ?? others.Kernel,
        Modules = Modules ?? others.Modules,
        Initrd = Initrd ?? others.Initrd,
        Abi = Abi ?? others.Abi,
        Memory = Memory ?? others.Memory,
        CommandLine = string.IsNullOrEmpty(others.CommandLine) ? CommandLine
            : string.IsNullOrEmpty(CommandLine) ? others.CommandLine : $"{others.CommandLine} {CommandLine}",
        Seed = Seed ?? others.Seed,
        Run = Run ?? (RunWords is null ? others.Run : null),
        RunWords = RunWords ?? (Run is null ? others.RunWords : null),
        From = From ?? others.From,
        Shares = [.. others.Shares, .. Shares],
        Disks = [.. others.Disks, .. Disks],
        Networks = [.. others.Networks, .. Networks],
        Ktap = Ktap ?? others.Ktap,
        FailOn = FailOn ?? others.FailOn,
        Known = [.. others.Known, .. Known],
        Expect = [.. others.Expect, .. Expect],
        Forbid = [.. others.Forbid, .. Forbid],
        Send = [.. others.Send, .. Send],
        StatusToken = StatusToken ?? others.StatusToken,
        Keep = [.. others.Keep, .. Keep],
        ProfileCompare = ProfileCompare ?? others.ProfileCompare,
        Retries = Retries ?? others.Retries,
        Clock = Clock ?? others.Clock,
        Date = Date ?? others.Date,
        Engine = Engine ?? others.Engine,
        Timeout = Timeout ?? others.Timeout,
        MaxGuestTime = MaxGuestTime ?? others.MaxGuestTime,
        MaxSilence = MaxSilence ?? others.MaxSilence,
        MaxInstructions = MaxInstructions ?? others.MaxInstructions,
    };
}
