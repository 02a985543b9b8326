namespace Lguest.CommandLine;

/// <summary>What may follow an option's name.</summary>
internal enum OptionValue
{
    /// <summary>Nothing: <c>--stats</c>.</summary>
    None,

    /// <summary>A value: <c>--initrd=FILE</c>.</summary>
    Required,

    /// <summary>A value that may be empty: <c>--NAME=</c>.</summary>
    MayBeEmpty,

    /// <summary>A value, or nothing: <c>--usernet</c>, <c>--usernet=restrict</c>.</summary>
    Optional,
}

/// <summary>What it means that an option is given more than once.</summary>
internal enum OptionRepeat
{
    /// <summary>To say it twice is to say it once; with two values, it is a mistake.</summary>
    Once,

    /// <summary>Each value counts, and counts once.</summary>
    EachValue,

    /// <summary>Each counts, though two be alike.</summary>
    Each,
}

/// <summary>Something that lguest does. A command line's first words may name one; without, a guest is run.</summary>
/// <param name="Name">The word, or two; null for what is done without one. It begins with a letter, as no amount of memory does.</param>
/// <param name="Usage">How it is written, without options: <c>lguest MEMORY KERNEL</c>.</param>
internal sealed record Command(string? Name, string Usage);

/// <summary>An option as it is declared: all that there is to know for reading it and for helping with it.</summary>
/// <param name="Name">Without the dashes.</param>
/// <param name="Value">What may follow.</param>
/// <param name="Form">How the value is written, for help and mistakes; null for an option without one.</param>
/// <param name="Help">What it does, in a sentence or two.</param>
/// <param name="Command">Whose option it is; null for one that every command has.</param>
internal sealed record Option(string Name, OptionValue Value, string? Form, string Help, Command? Command)
{
    /// <summary>What a second one means.</summary>
    public OptionRepeat Repeat { get; init; }

    /// <summary>How it is written, as help shows it: <c>--initrd=FILE</c>.</summary>
    public string Usage => Value switch
    {
        OptionValue.None => $"--{Name}",
        OptionValue.Optional => $"--{Name}[={Form}]",
        _ => $"--{Name}={Form}",
    };

    /// <summary>Whether a command may have it.</summary>
    public bool IsFor(Command command) => Command is null || Command == command;
}
