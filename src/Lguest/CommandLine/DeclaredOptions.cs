using CommandLine;

namespace Lguest.CommandLine;

/// <summary>The options, as CommandLineParser wants them declared: one property each, with its line of help.</summary>
internal sealed class DeclaredOptions
{
    [Option("block", MetaValue = "FILE[,ro|,snapshot]", HelpText = "A disk: a file or a block device. Repeatable: /dev/lgba, /dev/lgbb, ... With ,ro it can't be written; with ,snapshot what is written is gone at the end.")]
    public IEnumerable<string> Block { get; set; } = [];

    [Option("tunnet", MetaValue = "IP[/BITS]|bridge:NAME", HelpText = "A network with this host: an interface of the host's, with an address or in a bridge. Needs CAP_NET_ADMIN. Networks are eth0, eth1, ... in their order.")]
    public IEnumerable<string> Tunnet { get; set; } = [];

    [Option("sharenet", MetaValue = "FILE", HelpText = "A network with other guests: those that are given the same file. It is made if it is missing; whoever may write it may join.")]
    public IEnumerable<string> Sharenet { get; set; } = [];

    [Option("usernet", MetaValue = "[OPTIONS]", HelpText = "A network that needs no privileges, through libslirp: DHCP, DNS, connections to the outside. OPTIONS, with commas: hostfwd=tcp:127.0.0.1:2222-:22 leads a port of the host's to the guest; net=10.0.2.0/24; restrict allows nothing else.")]
    public IEnumerable<string> Usernet { get; set; } = [];

    [Option("pcap", MetaValue = "FILE", HelpText = "Record the networks' frames for Wireshark.")]
    public string? Pcap { get; set; }

    [Option("initrd", MetaValue = "FILE", HelpText = "An initial RAM disk.")]
    public string? Initrd { get; set; }

    [Option("clock", MetaValue = "real|virtual", HelpText = "Time: the host's (real, the default), or made of executed instructions, so that a run can be repeated exactly (virtual).")]
    public string? Clock { get; set; }

    [Option("date", MetaValue = "DATE", HelpText = "The date at the start, UTC, such as 2007-10-09T20:31:38. The default is the host's date, or 2007-10-09T20:31:38 with --clock=virtual.")]
    public string? Date { get; set; }

    [Option("seed", MetaValue = "NUMBER", HelpText = "What the guest's random numbers begin with. The default differs each time, but is the same each time with --clock=virtual.")]
    public string? Seed { get; set; }

    [Option("timeout", MetaValue = "TIME", HelpText = "End the run after so much wall time: 30s, 500ms, 5m, 1h.")]
    public string? Timeout { get; set; }

    [Option("max-instructions", MetaValue = "COUNT", HelpText = "End the run after so many guest instructions: 5G, 200M.")]
    public string? MaxInstructions { get; set; }

    [Option("stats", HelpText = "At the end, tell what was executed, to standard error.")]
    public bool Stats { get; set; }

    [Option("trace", MetaValue = "FROM", HelpText = "Log every instruction to standard error, from an address (0xc0100000) or from a count of instructions (1000000) on.")]
    public string? Trace { get; set; }

    [Option("verbose", HelpText = "Say more about what lguest does, to standard error.")]
    public bool Verbose { get; set; }

    [Option("help", HelpText = "Show this text.")]
    public bool Help { get; set; }

    [Option("version", HelpText = "Show the version.")]
    public bool Version { get; set; }
}
