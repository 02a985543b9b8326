namespace Lguest.CommandLine;

/// <summary>Reads options by their declarations.</summary>
/// <param name="declared">The declarations, in the order of the help. No two of a command have the same name.</param>
internal sealed class OptionTable(IReadOnlyList<Option> declared)
{
    /// <summary>The declarations.</summary>
    public IReadOnlyList<Option> Declared => declared;

    /// <summary>Reads what the user wrote.</summary>
    /// <param name="command">Whose options may be given.</param>
    /// <param name="words">Options, in their order.</param>
    /// <exception cref="CommandLineException">One isn't declared, or not given as it is declared, or contradicts another.</exception>
    public GivenOptions Read(Command command, IReadOnlyList<OptionWord> words)
    {
        var given = new List<GivenOption>(words.Count);
        foreach (OptionWord word in words)
        {
            Option option = Find(command, word.Name);
            CheckValue(option, word.Value);
            GivenOption? before = option.Repeat == OptionRepeat.Each
                ? null
                : given.Find(each => each.Option == option && (option.Repeat == OptionRepeat.Once || each.Value == word.Value));
            if (before is null)
            {
                given.Add(new GivenOption(option, word.Value));
            }
            else if (before.Value != word.Value)
            {
                throw new CommandLineException(
                    $"{before} and {word} contradict each other: give one of them");
            }
        }

        return new GivenOptions(given);
    }

    private Option Find(Command command, string name)
    {
        Option? others = null;
        foreach (Option option in declared)
        {
            if (option.Name == name && option.IsFor(command))
            {
                return option;
            }

            others = option.Name == name ? option : others;
        }

        if (others is not null)
        {
            throw new CommandLineException($"--{name} is an option of `{others.Command!.Usage}`, not of `{command.Usage}`: leave it out");
        }

        string? meant = Spelling.Nearest(name, [.. declared.Where(option => option.IsFor(command)).Select(option => option.Name)]);
        throw new CommandLineException(meant is null
            ? $"there is no option --{name}: `lguest {(command.Name is null ? string.Empty : command.Name + " ")}--help` lists them"
            : $"there is no option --{name}: did you mean --{meant}?");
    }

    private static void CheckValue(Option option, string? value)
    {
        if (option.Value == OptionValue.None && value is not null)
        {
            throw new CommandLineException($"--{option.Name} takes no value: write it without '={value}'");
        }

        bool isEnough = option.Value switch
        {
            OptionValue.Required => value is { Length: > 0 },
            OptionValue.MayBeEmpty => value is not null,
            OptionValue.Optional => value is not { Length: 0 },
            _ => true,
        };
        if (!isEnough)
        {
            throw new CommandLineException($"--{option.Name} needs a value: {option.Usage}");
        }
    }
}

/// <summary>An option that the user has given.</summary>
/// <param name="Option">Which.</param>
/// <param name="Value">What follows the first <c>=</c>; null when there is none.</param>
/// <remarks>A class, because collections of structs of ours must be compiled at run time, and that is start-up time.</remarks>
internal sealed record GivenOption(Option Option, string? Value)
{
    /// <summary>As it was written.</summary>
    public override string ToString() => new OptionWord(Option.Name, Value).ToString();
}

/// <summary>The options that the user has given, each as it is declared.</summary>
/// <param name="all">In their order.</param>
internal sealed class GivenOptions(IReadOnlyList<GivenOption> all)
{
    /// <summary>All of them, in their order.</summary>
    public IReadOnlyList<GivenOption> All => all;

    /// <summary>Whether one was given.</summary>
    public bool Has(Option option) => Find(option) is not null;

    /// <summary>The value of one that counts once; null when it wasn't given.</summary>
    public string? Value(Option option) => Find(option)?.Value;

    /// <summary>The values of one that may be repeated, in their order.</summary>
    public IEnumerable<string> Values(Option option) =>
        all.Where(each => each.Option == option).Select(each => each.Value ?? string.Empty);

    private GivenOption? Find(Option option)
    {
        foreach (GivenOption each in all)
        {
            if (each.Option == option)
            {
                return each;
            }
        }

        return null;
    }
}
