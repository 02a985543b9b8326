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
/// option, and a word for the kernel.
/// </summary>
/// <remarks>
/// Options may stand anywhere before the first <c>--</c>, which ends them and isn't passed on; a second one is a word like any
/// other. An option is <c>--name</c> or <c>--name=value</c>: the word after it is never its value. Of the others, the first
/// is memory, the second the kernel, and the rest are the kernel's, verbatim.
/// </remarks>
/// <param name="Options">In order.</param>
/// <param name="Memory">The first word, if there is one.</param>
/// <param name="Kernel">The second.</param>
/// <param name="KernelWords">The rest.</param>
internal sealed record SplitArguments(
    IReadOnlyList<OptionWord> Options,
    string? Memory,
    string? Kernel,
    IReadOnlyList<string> KernelWords)
{
    private const string EndOfOptions = "--";

    /// <summary>Splits what the user wrote.</summary>
    public static SplitArguments Split(IReadOnlyList<string> arguments)
    {
        var options = new List<OptionWord>();
        var words = new List<string>();
        bool optionsEnded = false;
        foreach (string argument in arguments)
        {
            if (optionsEnded || !argument.StartsWith(EndOfOptions, StringComparison.Ordinal))
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

        return new SplitArguments(
            options, words.Count > 0 ? words[0] : null, words.Count > 1 ? words[1] : null, words.Count > 2 ? words[2..] : []);
    }
}
