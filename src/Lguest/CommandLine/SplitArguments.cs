namespace Lguest.CommandLine;

/// <summary>An option as it was written.</summary>
/// <param name="Name">Without the dashes.</param>
/// <param name="Value">What follows the first <c>=</c>; null when there is none.</param>
/// <remarks>A class, because collections of structs of ours must be compiled at run time, and that is start-up time.</remarks>
internal sealed record OptionWord(string Name, string? Value)
{
    private const string Dashes = "--";

    /// <summary>Reads an argument that begins with two dashes.</summary>
    public static OptionWord Parse(string argument)
    {
        int equals = argument.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? new OptionWord(argument[Dashes.Length..], null) : new OptionWord(argument[Dashes.Length..equals], argument[(equals + 1)..]);
    }

    /// <summary>As it was written.</summary>
    public override string ToString() => Value is null ? Dashes + Name : $"{Dashes}{Name}={Value}";
}

/// <summary>
/// The arguments by what they are: <c>lguest 64m vmlinux --block=rootfile root=/dev/lgba</c> is memory, kernel, an
/// option, and a word for the kernel. First words may name a command.
/// </summary>
/// <remarks>
/// Options may stand anywhere before the first <c>--</c>, which ends them and isn't passed on; a second one is a word like any
/// other. An option is <c>--name</c> or <c>--name=value</c>: the word after it is never its value. To run a guest, the first of
/// the others is memory, the second the kernel, and the rest are the kernel's, verbatim.
/// </remarks>
/// <param name="Command">What is to be done.</param>
/// <param name="Options">In order.</param>
/// <param name="Words">All others, but for the command's name.</param>
internal sealed record SplitArguments(Command Command, IReadOnlyList<OptionWord> Options, IReadOnlyList<string> Words)
{
    private const string EndOfOptions = "--";
    private const int WordsBeforeTheKernels = 2;

    /// <summary>The first word, if there is one.</summary>
    public string? Memory => Words.Count > 0 ? Words[0] : null;

    /// <summary>The second.</summary>
    public string? Kernel => Words.Count > 1 ? Words[1] : null;

    /// <summary>The rest.</summary>
    public IReadOnlyList<string> KernelWords => [.. Words.Skip(WordsBeforeTheKernels)];

    /// <summary>Splits what the user wrote.</summary>
    public static SplitArguments Split(IReadOnlyList<string> arguments)
    {
        var options = new List<OptionWord>();
        var words = new List<string>();
        bool optionsEnded = false;
        Command? command = null;
        foreach (string argument in arguments)
        {
            if (words.Count == 0 && !optionsEnded && CommandOf(command, argument) is { } named)
            {
                command = named;
            }
            else if (optionsEnded || !argument.StartsWith(EndOfOptions, StringComparison.Ordinal))
            {
                words.Add(argument);
            }
            else if (argument == EndOfOptions)
            {
                optionsEnded = true;
            }
            else
            {
                options.Add(OptionWord.Parse(argument));
            }
        }

        return new SplitArguments(command ?? CommandLine.Options.Run, options, words);
    }

    // A command's second word follows its first.
    private static Command? CommandOf(Command? before, string word)
    {
        string name = before is null ? word : $"{before.Name} {word}";
        foreach (Command command in CommandLine.Options.Named)
        {
            if (command.Name == name)
            {
                return command;
            }
        }

        return null;
    }
}
