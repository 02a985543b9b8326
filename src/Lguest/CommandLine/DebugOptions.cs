namespace Lguest.CommandLine;

/// <summary>With what the user looks at a guest from outside.</summary>
internal sealed record DebugOptions
{
    /// <summary>Where a debugger is waited for; null for nowhere.</summary>
    public GdbOption? Gdb { get; init; }

    /// <summary>Reads them.</summary>
    /// <exception cref="CommandLineException">One can't be understood, or two contradict each other.</exception>
    public static DebugOptions Parse(GivenOptions options) => new() { Gdb = GdbOption.Parse(options) };
}
