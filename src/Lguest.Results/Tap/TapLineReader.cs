using System.Globalization;
using System.Text.RegularExpressions;

namespace Lguest.Results.Tap;

/// <summary>
/// Takes lines of test output apart (Documentation/dev-tools/ktap.rst of Linux; TAP specifications 13 and 14).
/// </summary>
internal static partial class TapLineReader
{
    private const long TooLarge = -1;
    private const char Escape = '\\';
    private const char Hash = '#';

    /// <summary>A line without what printk puts before it: <c>&lt;6&gt;</c>, <c>[    0.123456]</c>, <c>[    T1]</c>.</summary>
    public static string WithoutPrintkPrefix(string line)
    {
        Match match = PrintkPrefix().Match(line);
        return match.Length > 0 ? line[match.Length..] : line;
    }

    /// <summary>Reads a line.</summary>
    public static TapLine Read(string line)
    {
        int start = 0;
        while (true)
        {
            int position = SkipBlanks(line, start);
            string prefix = line[..position];
            ReadOnlySpan<char> rest = line.AsSpan(position).TrimEnd();
            if (TryRead(rest, prefix, out TapLine read))
            {
                return read;
            }

            // What a nested kselftest wrote is a comment to its runner (tools/testing/selftests/kselftest/prefix.pl).
            if (!rest.StartsWith("# ", StringComparison.Ordinal))
            {
                TapLineKind kind = rest.StartsWith('#') || start > 0 ? TapLineKind.Diagnostic : TapLineKind.Unknown;
                return new TapLine { Kind = kind, Prefix = prefix, Text = rest.ToString(), Reason = string.Empty };
            }

            start = position + 2;
        }
    }

    private static bool TryRead(ReadOnlySpan<char> rest, string prefix, out TapLine line)
    {
        line = default;
        if (rest.IsEmpty)
        {
            return false;
        }

        switch (rest[0])
        {
            case 'o' or 'n':
                return TryReadCase(rest.ToString(), prefix, out line);
            case 'K' or 'T' when Version().Match(rest.ToString()) is { Success: true } version:
                line = Make(TapLineKind.Version, prefix) with
                {
                    IsKtap = rest[0] == 'K',
                    Number = ParseNumber(version.Groups[1].ValueSpan),
                };
                return true;
            case '1' when Plan().Match(rest.ToString()) is { Success: true } plan:
                (_, TapDirective directive, string reason) = SplitDescription(plan.Groups[2].Value);
                line = Make(TapLineKind.Plan, prefix) with
                {
                    Number = ParseNumber(plan.Groups[1].ValueSpan),
                    Directive = directive,
                    Reason = reason,
                };
                return true;
            case 'B' when rest.StartsWith("Bail out!", StringComparison.Ordinal):
                line = Make(TapLineKind.BailOut, prefix) with { Reason = rest["Bail out!".Length..].Trim().ToString() };
                return true;
            case Hash when Named().Match(rest.ToString()) is { Success: true } named:
                TapLineKind kind = named.Groups[1].Success ? TapLineKind.Subtest : TapLineKind.Running;
                line = Make(kind, prefix) with { Text = named.Groups[2].Value };
                return true;
            default:
                return false;
        }
    }

    private static bool TryReadCase(string rest, string prefix, out TapLine line)
    {
        line = default;
        Match match = Case().Match(rest);
        if (!match.Success)
        {
            return false;
        }

        (string text, TapDirective directive, string reason) = SplitDescription(match.Groups[3].Value);
        line = Make(TapLineKind.Case, prefix) with
        {
            Ok = match.Groups[1].Value == "ok",
            Number = match.Groups[2].Success ? ParseNumber(match.Groups[2].ValueSpan) : null,
            Text = text,
            Directive = directive,
            Reason = reason,
        };
        return true;
    }

    /// <summary>
    /// The description ends at the first <c>#</c> that a directive follows, or else at the first that stands alone. A
    /// <c>#</c> after a backslash is one of the description's.
    /// </summary>
    private static (string Text, TapDirective Directive, string Reason) SplitDescription(string description)
    {
        int alone = -1;
        for (int i = 0; i < description.Length; i++)
        {
            bool starts = description[i] == Hash && (i == 0 || char.IsWhiteSpace(description[i - 1]));
            if (!starts)
            {
                continue;
            }

            Match match = Directive().Match(description, i);
            if (match.Success && match.Index == i)
            {
                return (Unescape(description[..i]), DirectiveOf(match.Groups[1].Value), description[(i + match.Length)..].Trim());
            }

            if (alone < 0 && i + 1 < description.Length && char.IsWhiteSpace(description[i + 1]))
            {
                alone = i;
            }
        }

        return alone < 0
            ? (Unescape(description), TapDirective.None, string.Empty)
            : (Unescape(description[..alone]), TapDirective.None, description[(alone + 1)..].Trim());
    }

    private static string Unescape(string text)
    {
        text = text.Trim();
        return text.Contains(Escape) ? Escaped().Replace(text, "$1") : text;
    }

    private static TapDirective DirectiveOf(string word) => word.ToUpperInvariant() switch
    {
        "TODO" => TapDirective.Todo,
        "XFAIL" => TapDirective.ExpectedFailure,
        "TIMEOUT" => TapDirective.Timeout,
        "ERROR" => TapDirective.Error,
        _ => TapDirective.Skip,
    };

    private static long ParseNumber(ReadOnlySpan<char> digits) =>
        long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : TooLarge;

    private static TapLine Make(TapLineKind kind, string prefix) =>
        new() { Kind = kind, Prefix = prefix, Text = string.Empty, Reason = string.Empty };

    private static int SkipBlanks(string line, int start)
    {
        while (start < line.Length && line[start] is ' ' or '\t')
        {
            start++;
        }

        return start;
    }

    [GeneratedRegex(@"^(?:<[0-9]{1,3}>)?(?:\[ *[0-9]+\.[0-9]{6}\](?:\[ *[TC][0-9]+\])? ?)?")]
    private static partial Regex PrintkPrefix();

    [GeneratedRegex("^K?TAP version ([0-9]+)$")]
    private static partial Regex Version();

    [GeneratedRegex(@"^1\.\.([0-9]+)(?:\s+(#.*))?$")]
    private static partial Regex Plan();

    [GeneratedRegex(@"^(ok|not ok)(?:\s+([0-9]+))?(?:\s+-)?(?:\s+(.*))?$", RegexOptions.Singleline)]
    private static partial Regex Case();

    // TAP spells its two in any case, and "Skipped:" too; the kernel's are capitals, so "# error=0" isn't one.
    [GeneratedRegex(@"#\s*((?i:skip(?:ped)?|todo)|XFAIL|TIMEOUT|ERROR)(?=\s|:|$):?")]
    private static partial Regex Directive();

    [GeneratedRegex(@"\\([\\#])")]
    private static partial Regex Escaped();

    // "#  RUN           global.name ..." is of tools/testing/selftests/kselftest_harness.h.
    [GeneratedRegex(@"^# (?:(Subtest: +)|(?=selftests: )|  ?RUN +)(\S.*?)(?: \.\.\.)?$")]
    private static partial Regex Named();
}
