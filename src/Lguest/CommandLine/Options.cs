namespace Lguest.CommandLine;

/// <summary>
/// The one table of options: the command line is read by it, and the help is made from it.
/// </summary>
internal static class Options
{
    /// <summary>To run a guest.</summary>
    public static readonly Command Run = new(null, "lguest MEMORY KERNEL");

    /// <summary>To look at a kernel.</summary>
    public static readonly Command Inspect = new("inspect", "lguest inspect KERNEL");

    /// <summary>To run many guests: what is done with a suite is a word of its own.</summary>
    public static readonly Command Suite = new("suite", "lguest suite");

    /// <summary>To run a suite.</summary>
    public static readonly Command SuiteRun = new("suite run", "lguest suite run FILE.yaml");

    /// <summary>To make one result of a suite's shards.</summary>
    public static readonly Command SuiteMerge = new("suite merge", "lguest suite merge DIR...");

    /// <summary>Those that are named by a command line's first words.</summary>
    public static readonly IReadOnlyList<Command> Named = [Inspect, Suite, SuiteRun, SuiteMerge];

    public static readonly Option RunLine = new(
        "run", OptionValue.Required, "COMMAND",
        "Have the guest's shell run this, and end with its status. Standard input, output and error are the command's alone: what the guest prints on its console is shown if the run fails.",
        Run);

    public static readonly Option RunArgument = new(
        "run-argv", OptionValue.MayBeEmpty, "WORD",
        "The same without a shell: the first is a program, all others are arguments of its.",
        Run)
    {
        Repeat = OptionRepeat.Each,
    };

    public static readonly Option SaveAtReady = new(
        "save-at-ready", OptionValue.Required, "FILE",
        "Boot the guest up to where it would run a command, save it, and end: each --restore goes on from there. No network, and disks with ,ro or ,snapshot.",
        Run);

    public static readonly Option Restore = new(
        "restore", OptionValue.Required, "FILE",
        "Don't boot: go on with the guest that --save-at-ready has saved. All else is to be as it was then, but for the command, the seed and the date.",
        Run);

    public static readonly Option Append = new(
        "append", OptionValue.Required, "WORDS",
        "Words for the end of the kernel's command line: for when it is the guest that ships, which isn't named.",
        Run)
    {
        Repeat = OptionRepeat.Each,
    };

    public static readonly Option Log = new("log", OptionValue.Required, "FILE", "Write what the guest prints on its console to a file, too.", Run);

    public static readonly Option Block = new(
        "block", OptionValue.Required, "FILE[,ro|,snapshot]",
        "A disk: a file or a block device. Repeatable: /dev/lgba, /dev/lgbb, ..., or /dev/vda, ... in kernels from 2.6.24 to 4.13. With ,ro it can't be written; with ,snapshot what is written is gone at the end.",
        Run)
    {
        Repeat = OptionRepeat.Each,
    };

    public static readonly Option Tunnet = new(
        "tunnet", OptionValue.Required, "IP[/BITS]|bridge:NAME",
        "A network with this host: an interface of the host's, with an address or in a bridge. Needs CAP_NET_ADMIN. Networks are eth0, eth1, ... in their order.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Sharenet = new(
        "sharenet", OptionValue.Required, "FILE",
        "A network with other guests: those that are given the same file. It is made if it is missing; whoever may write it may join.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Usernet = new(
        "usernet", OptionValue.Optional, "OPTIONS",
        "A network that needs no privileges, through libslirp: DHCP, DNS, connections to the outside. OPTIONS, with commas: hostfwd=tcp:127.0.0.1:2222-:22 leads a port of the host's to the guest; net=10.0.2.0/24; restrict allows nothing else.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Pcap = new("pcap", OptionValue.Required, "FILE", "Record the networks' frames for Wireshark.", Run);

    public static readonly Option Initrd = new("initrd", OptionValue.Required, "FILE|DIR", "An initial RAM disk: a file, or a folder, which is packed.", Run);

    public static readonly Option Share = new(
        "share", OptionValue.Required, "DIR[:MOUNT][,rw[=SIZE]]",
        "The guest gets what is in a folder, at /share or where MOUNT says, as a copy in its initrd. With ,rw it is copied back at the end, 64m of it at most, or SIZE. Repeatable.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Modules = new(
        "modules", OptionValue.Required, "DIR",
        "The guest gets a kernel's modules, from where `make modules_install INSTALL_MOD_PATH=DIR` has put them.",
        Run);

    public static readonly Option Abi = new(
        "abi", OptionValue.Required, "NAME",
        "What kind of lguest guest the kernel is, where its image doesn't say it or misleads: 2.6.23, 2.6.24, 2.6.25, 2.6.26, 2.6.29, 2.6.30, 2.6.31, 2.6.34, 3.1, 4.0, 4.1, 4.10, ring0.",
        Run);

    public static readonly Option FailOn = new(
        "fail-on", OptionValue.Required, "LIST|all|none",
        "What the kernel may complain of: if it does all the same, the exit code is 104. The default is all; it is none for a console on a terminal, without a report, --expect, --forbid or --send.",
        Run);

    public static readonly Option Allow = new(
        "allow", OptionValue.Required, "FINGERPRINT",
        "A complaint of the kernel's that is known, and doesn't count. Reports have the fingerprints.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Kmsg = new("kmsg", OptionValue.Required, "FILE", "Write the kernel's log to a file, also what no console shows.", Run);

    public static readonly Option Json = new("json", OptionValue.Required, "FILE", "Write a report for programs at the end.", Run);

    public static readonly Option JUnit = new("junit", OptionValue.Required, "FILE", "Write a report for CI servers at the end: JUnit's XML.", Run);

    public static readonly Option Report = new("report", OptionValue.Required, "FILE", "Write a report for people at the end.", Run);

    public static readonly Option Ktap = new(
        "ktap", OptionValue.Required, "auto|required|none",
        "Test output (KTAP, TAP) of the kernel and of a command: a failure in it makes exit code 1 (auto, the default); and if there is none, it is 102 (required); or it isn't looked at (none).",
        Run);

    public static readonly Option Expect = new(
        "expect", OptionValue.Required, "REGEX",
        "A line of the console is to match this; if none does, the exit code is 102.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Forbid = new(
        "forbid", OptionValue.Required, "REGEX",
        "No line of the console may match this; if one does, the exit code is 102.",
        Run)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option Send = new(
        "send", OptionValue.Required, "REGEX=>TEXT",
        "When a line of the console matches, also one that hasn't ended, type a text: --send='login: =>root\\n'. Repeatable: one after the other. The console has no other input then.",
        Run)
    {
        Repeat = OptionRepeat.Each,
    };

    public static readonly Option StatusToken = new(
        "status-token", OptionValue.Optional, "TOKEN",
        "For an initrd of your own: its first program finds a random word in /lguest-status-token, and tells the guest's status by a line on the console, `lguest-status WORD N`.",
        Run);

    public static readonly Option StandardInputEnd = new(
        "stdin-end", OptionValue.Required, "nothing|eof",
        "What the console gets when standard input, which is no terminal, has ended: nothing (the default), or a ^D, which ends a shell.",
        Run);

    public static readonly Option Skip = new(
        "skip", OptionValue.Required, "CODES", "Exit codes that are to be 125, with commas between them: `git bisect run` skips what ends with that.", Run);

    public static readonly Option Clock = new(
        "clock", OptionValue.Required, "real|virtual",
        "Time: the host's (real), or made of executed instructions, so that a run can be repeated exactly (virtual). Virtual is the default with --run, and where standard input is a file or /dev/null, unless there is a network, or standard input is a pipe.",
        Run);

    public static readonly Option Engine = new(
        "engine", OptionValue.Required, "auto|interpreter|translator",
        "What executes the guest: hot code is translated where the host can do that (auto, the default), nothing is, or everything at once.",
        Run);

    public static readonly Option Date = new(
        "date", OptionValue.Required, "DATE",
        "The date at the start, UTC, such as 2007-10-09T20:31:38. The default is the host's date, or 2007-10-09T20:31:38 in virtual time.",
        Run);

    public static readonly Option Seed = new(
        "seed", OptionValue.Required, "NUMBER",
        "What the guest's random numbers begin with. The default differs each time, but is the same each time in virtual time.",
        Run);

    public static readonly Option Timeout = new(
        "timeout", OptionValue.Required, "TIME", "End the run after so much wall time: 30s, 500ms, 5m, 1h.", Run);

    public static readonly Option MaxGuestTime = new(
        "max-guest-time", OptionValue.Required, "TIME", "End the run after so much of the guest's own time, in which it may have slept.", Run);

    public static readonly Option MaxSilence = new(
        "max-silence", OptionValue.Required, "TIME",
        "End the run when, for so much of its own time, nothing comes from the guest: on its console, of its command, or in its kernel's log.",
        Run);

    public static readonly Option MaxInstructions = new(
        "max-instructions", OptionValue.Required, "COUNT", "End the run after so many guest instructions: 5G, 200M.", Run);

    public static readonly Option Stats = new("stats", OptionValue.None, null, "At the end, tell what was executed, to standard error.", Run);

    public static readonly Option Trace = new(
        "trace", OptionValue.Required, "FROM",
        "Log every instruction to standard error, from an address (0xc0100000) or from a count of instructions (1000000) on.",
        Run);

    public static readonly Option Gdb = new(
        "gdb", OptionValue.Optional, "PORT|SOCKET",
        "Wait for gdb before the guest's first instruction, at a port of 127.0.0.1 (1234 if none is given, 0 for any) or at a Unix socket.",
        Run);

    public static readonly Option Dump = new(
        "dump", OptionValue.Required, "FILE",
        "Write the guest's memory and registers to an ELF core for gdb, when the guest dies or a limit or a signal ends the run.",
        Run);

    public static readonly Option Profile = new(
        "profile", OptionValue.Required, "FILE",
        "Write where the guest spent its instructions, as folded stacks of the kernel, and a flame graph of them to FILE.svg.",
        Run);

    public static readonly Option ProfileCompare = new(
        "profile-compare", OptionValue.Required, "FILE[,PERCENT%]",
        "Compare with an older profile: if the guest executes more than so many per cent more instructions (5% if none are given), the exit code is 102.",
        Run);

    public static readonly Option Verbose = new("verbose", OptionValue.None, null, "Say more about what lguest does, to standard error.", Run);

    public static readonly Option InspectJson = new("json", OptionValue.None, null, "Tell it as JSON, for programs.", Inspect);

    public static readonly Option SuiteOutput = new(
        "out", OptionValue.Required, "DIR", "The folder that results go to; `out` without this. What an earlier suite has left there is removed.", SuiteRun);

    public static readonly Option Jobs = new(
        "jobs", OptionValue.Required, "N", "How many boots run at once. The default is the number of processors.", SuiteRun);

    public static readonly Option Filter = new(
        "filter", OptionValue.Required, "TEXT",
        "Run the boots whose names have this in them, where * is any text. Repeatable: one of them is to be in it.",
        SuiteRun)
    {
        Repeat = OptionRepeat.EachValue,
    };

    public static readonly Option FailFast = new("fail-fast", OptionValue.None, null, "Begin no other boot once one has failed.", SuiteRun);

    public static readonly Option ColdCheck = new(
        "cold-check", OptionValue.Required, "SHARE%",
        "Of the tests that go on from a saved guest (from: boot), run so many from the start as well: both have to end alike.",
        SuiteRun);

    public static readonly Option GitHub = new(
        "github", OptionValue.None, null, "Tell GitHub's runner: annotations on standard output, ten of a kind, and the job's summary.", SuiteRun);

    public static readonly Option Shard = new(
        "shard", OptionValue.Required, "I/N", "Run a part of the suite, the I-th of N. `lguest suite merge` makes one result of all parts.", SuiteRun);

    public static readonly Option Durations = new(
        "durations", OptionValue.Required, "FILE", "Make shards that take about as long as each other, by an earlier results.json. All shards need the same.", SuiteRun);

    public static readonly Option MergeOutput = new(
        "out", OptionValue.Required, "DIR", "The folder that all of it goes to; `out` without this.", SuiteMerge);

    public static readonly Option MergeGitHub = new("github", OptionValue.None, null, "Tell GitHub's runner, as `lguest suite run` does.", SuiteMerge);

    public static readonly Option CompletionScript = new(
        "completion", OptionValue.Required, "bash|zsh|fish", "Print a script with which a shell completes lguest's command lines.", Run);

    public static readonly Option Help = new("help", OptionValue.None, null, "Show this text.", null);

    public static readonly Option Version = new("version", OptionValue.None, null, "Show the version.", null);

    /// <summary>All of them, in the order of the help.</summary>
    public static readonly OptionTable Table = new(
    [
        RunLine, RunArgument, SaveAtReady, Restore, Append, Log,
        Block, Tunnet, Sharenet, Usernet, Pcap, Initrd, Share, Modules, Abi,
        FailOn, Allow, Kmsg, Json, JUnit, Report,
        Ktap, Expect, Forbid, Send, StatusToken, StandardInputEnd, Skip,
        Clock, Engine, Date, Seed, Timeout, MaxGuestTime, MaxSilence, MaxInstructions, Stats, Trace,
        Gdb, Dump, Profile, ProfileCompare,
        Verbose, InspectJson,
        SuiteOutput, Jobs, Filter, FailFast, ColdCheck, GitHub, Shard, Durations, MergeOutput, MergeGitHub,
        CompletionScript, Help, Version,
    ]);
}
