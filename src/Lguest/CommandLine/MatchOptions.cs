using System.Globalization;
using System.Text;
using Lguest.Boot;
using Lguest.Results.Matching;

namespace Lguest.CommandLine;

/// <summary>What the user expects of the console, and has typed there.</summary>
internal sealed record MatchOptions
{
    private const string Arrow = "=>";
    private const char Backslash = '\\';

    /// <summary>Each is to be in some line.</summary>
    public IReadOnlyList<ConsolePattern> Expected { get; init; } = [];

    /// <summary>None may be in any line.</summary>
    public IReadOnlyList<ConsolePattern> Forbidden { get; init; } = [];

    /// <summary>Are typed, one after the other.</summary>
    public IReadOnlyList<ConsoleAnswer> Answers { get; init; } = [];

    /// <summary>Whether anything is expected or forbidden.</summary>
    public bool HasExpectations => Expected.Count > 0 || Forbidden.Count > 0;

    /// <summary>Reads them.</summary>
    /// <exception cref="CommandLineException">One can't be understood.</exception>
    public static MatchOptions Parse(GivenOptions options) => new()
    {
        Expected = [.. options.Values(Options.Expect).Select(value => Pattern(Options.Expect, value, value))],
        Forbidden = [.. options.Values(Options.Forbid).Select(value => Pattern(Options.Forbid, value, value))],
        Answers = [.. options.Values(Options.Send).Select(Answer)],
    };

    private static ConsoleAnswer Answer(string value)
    {
        int arrow = value.IndexOf(Arrow, StringComparison.Ordinal);
        return arrow > 0 && arrow + Arrow.Length < value.Length
            ? new ConsoleAnswer(
                Pattern(Options.Send, value, value[..arrow]),
                ByteText.Encode(Unescape(value[(arrow + Arrow.Length)..])
                    ?? throw new CommandLineException(
                        $"--{Options.Send.Name}={value}: after a backslash there may be n, r, t, e, a backslash, or x and two digits of a byte: \\x04")))
            : throw new CommandLineException($"--{Options.Send.Name}={value} is not what to wait for and what to type then: write --{Options.Send.Name}='login:=>root\\n'");
    }

    private static ConsolePattern Pattern(Option option, string value, string pattern)
    {
        try
        {
            return ConsolePattern.Parse(pattern);
        }
        catch (NotSupportedException)
        {
            throw new CommandLineException(
                $"--{option.Name}={value}: lookarounds, back references and the like are not for expressions here: write it without them, or as two");
        }
        catch (ArgumentException e)
        {
            throw new CommandLineException($"--{option.Name}={value} is no regular expression: {e.Message.TrimEnd('.')}");
        }
    }

    /// <summary>Text with backslashes in it; null if there is something unknown behind one.</summary>
    private static string? Unescape(string text)
    {
        var plain = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != Backslash)
            {
                plain.Append(text[i]);
                continue;
            }

            char? character = (i + 1 < text.Length ? text[i + 1] : default) switch
            {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'e' => '\u001b',
                Backslash => Backslash,
                'x' when i + 3 < text.Length && byte.TryParse(text.AsSpan(i + 2, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
                    => ByteText.Decode([value])[0],
                _ => null,
            };
            if (character is null)
            {
                return null;
            }

            plain.Append(character);
            i += text[i + 1] == 'x' ? 3 : 1;
        }

        return plain.ToString();
    }
}
