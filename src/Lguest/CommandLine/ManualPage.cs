using System.Text;
using Lguest.Results.Outcomes;

namespace Lguest.CommandLine;

/// <summary>The manual page, lguest(1), made from the table of options and that of exit codes, in the language of man(7).</summary>
internal static class ManualPage
{
    /// <summary>The page.</summary>
    public static string Text()
    {
        var page = new StringBuilder();
        Line(page, ".\\\" Made from lguest's tables of options and exit codes, by its tests.");
        Line(page, ".TH LGUEST 1 \"\" lguest \"User Commands\"");
        Line(page, ".SH NAME");
        Line(page, "lguest \\- run a 32-bit Linux as a guest, without root or KVM");
        Line(page, ".SH SYNOPSIS");
        Synopsis(page, "lguest", "\\fIMEMORY\\fR \\fIKERNEL\\fR [\\fB\\-\\-\\fIOPTION\\fR[=\\fIVALUE\\fR]...] [\\fIWORD\\fR...] [\\fB\\-\\-\\fR \\fIWORD\\fR...]");
        Synopsis(page, "lguest", "[\\fB\\-\\-\\fIOPTION\\fR[=\\fIVALUE\\fR]...]");
        foreach (Command command in Options.Named.Where(HasOptions))
        {
            string start = $"lguest {command.Name}";
            Synopsis(page, start, $"{Escape(command.Usage[start.Length..].Trim())} [\\fB\\-\\-\\fIOPTION\\fR...]".TrimStart());
        }

        Line(page, ".SH DESCRIPTION");
        Line(page, "Runs a 32-bit Linux as a guest, its console on this terminal, and tells by its exit code how the guest ended.");
        Line(page, "Without memory and kernel, it is the guest that ships.");
        Term(page, "\\fIMEMORY\\fR", "How much the guest has: 64m, 1g, or 64 (MiB).");
        Term(page, "\\fIKERNEL\\fR", "A vmlinux or bzImage, built for i386 with CONFIG_LGUEST_GUEST=y.");
        Term(page, "\\fIWORD\\fR", "For the kernel's command line, such as root=/dev/lgba. Words that begin with two dashes go after a \\-\\- of their own, which is not passed on.");
        foreach (Command command in (Command[])[Options.Run, .. Options.Named.Where(HasOptions)])
        {
            Line(page, command.Name is null ? ".SH OPTIONS" : $".SH OPTIONS OF LGUEST {command.Name.ToUpperInvariant()}");
            foreach (Option option in Options.Table.Declared.Where(option => option.IsFor(command)))
            {
                string form = option.Form is null ? string.Empty : $"\\fI{Escape(option.Form)}\\fR";
                string value = option.Value switch
                {
                    OptionValue.None => string.Empty,
                    OptionValue.Optional => $"[={form}]",
                    _ => $"={form}",
                };
                Term(page, $"\\fB\\-\\-{Escape(option.Name)}\\fR{value}", Escape(option.Help));
            }
        }

        Line(page, ".SH KEYS");
        Line(page, "On a terminal, ^C goes to the guest; three within a second end the run. ^] opens a menu.");
        Line(page, ".SH EXIT STATUS");
        Line(page, "The first that applies:");
        foreach (ExitCodeRow row in ExitCodeTable.Rows)
        {
            Term(page, $"\\fB{Escape(row.Codes)}\\fR", Escape(row.Meaning));
        }

        Line(page, ".SH EXAMPLES");
        Example(page, "The guest that ships:", "lguest");
        Example(page, "A kernel and a disk:", "lguest 64m vmlinux --block=rootfile root=/dev/lgba");
        Example(page, "A command in the guest:", "lguest --run='uname -a; exit 7'");
        Example(page, "For CI:", "lguest 64m vmlinux --share=tests --run='sh /share/all.sh' --timeout=5m --junit=junit.xml");
        Line(page, ".SH SEE ALSO");
        Line(page, ".BR gdb (1)");
        return page.ToString();
    }

    // `lguest suite` alone is only the beginning of commands.
    private static bool HasOptions(Command command) => Options.Table.Declared.Any(option => option.Command == command);

    private static void Synopsis(StringBuilder page, string command, string rest)
    {
        Line(page, $".B {Escape(command)}");
        Line(page, rest);
        Line(page, ".br");
    }

    private static void Term(StringBuilder page, string term, string text)
    {
        Line(page, ".TP");
        Line(page, term);
        Line(page, text);
    }

    private static void Example(StringBuilder page, string what, string line)
    {
        Line(page, ".PP");
        Line(page, what);
        Line(page, ".PP");
        Line(page, ".nf");
        Line(page, ".RS");
        Line(page, Escape(line));
        Line(page, ".RE");
        Line(page, ".fi");
    }

    /// <summary>Backslashes, and hyphens that are to be typed. A line that begins with a dot or a quote would be a request.</summary>
    private static string Escape(string text)
    {
        string escaped = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal);
        return escaped.StartsWith('.') || escaped.StartsWith('\'') ? "\\&" + escaped : escaped;
    }

    private static void Line(StringBuilder page, string line) => page.Append(line).Append('\n');
}
