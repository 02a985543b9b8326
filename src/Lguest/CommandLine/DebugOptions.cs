namespace Lguest.CommandLine;

/// <summary>With what the user looks at a guest from outside.</summary>
internal sealed record DebugOptions
{
    /// <summary>Where a debugger is waited for; null for nowhere.</summary>
    public GdbOption? Gdb { get; init; }

    /// <summary>Where the guest's memory and registers are written when it comes to an end that isn't its own; null for nowhere.</summary>
    public string? Dump { get; init; }

    /// <summary>Where its profile is written, and with <c>.svg</c> after that name a picture of it; null for nowhere.</summary>
    public string? Profile { get; init; }

    /// <summary>The profile that this run's is compared with; null for none.</summary>
    public ProfileComparisonOption? Comparison { get; init; }

    /// <summary>Whether a profile is made.</summary>
    public bool IsProfiled => Profile is not null || Comparison is not null;

    /// <summary>Reads them.</summary>
    /// <exception cref="CommandLineException">One can't be understood, or two contradict each other.</exception>
    public static DebugOptions Parse(GivenOptions options)
    {
        var debug = new DebugOptions
        {
            Gdb = GdbOption.Parse(options),
            Dump = options.Value(Options.Dump),
            Profile = options.Value(Options.Profile),
            Comparison = ProfileComparisonOption.Parse(options),
        };
        return debug.Dump is null || debug.Dump != debug.Profile
            ? debug
            : throw new CommandLineException($"'{debug.Dump}' can't take both a dump and a profile: give each a file of its own");
    }
}
