using System.Diagnostics;
using System.Reflection;
using System.Text.RegularExpressions;
using Lguest.CommandLine;
using Lguest.Results.Outcomes;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>The table of options, and how a command line is read by it.</summary>
public sealed class OptionTableTests : IDisposable
{
    private static readonly Command Here = new(null, "lguest here FILE");
    private static readonly Command There = new("there", "lguest there FILE");

    private static readonly Option Flag = new("flag", OptionValue.None, null, "A flag.", Here);
    private static readonly Option Value = new("value", OptionValue.Required, "TEXT", "A value.", Here);
    private static readonly Option Empty = new("empty", OptionValue.MayBeEmpty, "TEXT", "A value that may be empty.", Here) { Repeat = OptionRepeat.Each };
    private static readonly Option Choice = new("choice", OptionValue.Optional, "TEXT", "A value or none.", Here) { Repeat = OptionRepeat.EachValue };
    private static readonly Option Elsewhere = new("elsewhere", OptionValue.None, null, "Another's.", There);
    private static readonly Option Shared = new("shared", OptionValue.Required, "TEXT", "One of two with a name.", There);
    private static readonly Option SharedHere = new("shared", OptionValue.None, null, "The other.", Here);
    private static readonly Option Everywhere = new("everywhere", OptionValue.None, null, "Everybody's.", null);

    private static readonly OptionTable Table = new([Flag, Value, Empty, Choice, Elsewhere, Shared, SharedHere, Everywhere]);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Every_option_is_in_the_table_once_and_in_the_reference()
    {
        Option[] fields = [.. typeof(Options).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => field.GetValue(null)).OfType<Option>()];
        string reference = File.ReadAllText(Path.Combine(ShippedImages.Project, "docs", "reference.md"));

        Assert.Equal(fields, Options.Table.Declared);
        Assert.Equal(fields.Length, fields.DistinctBy(option => (option.Name, option.Command)).Count());
        Assert.All(fields, option => Assert.Contains($"`--{option.Name}", reference, StringComparison.Ordinal));
    }

    [Fact]
    public void Of_every_option_for_a_guest_it_is_told_what_a_suite_has_in_its_place()
    {
        string document = File.ReadAllText(Path.Combine(ShippedImages.Project, "docs", "suites.md"));
        string keys = document[..document.IndexOf("What is in no key of its own:", StringComparison.Ordinal)];

        Assert.All(Options.Table.Declared.Where(option => option.Command == Options.Run), option =>
        {
            string[] key = option == Options.Tunnet || option == Options.Sharenet || option == Options.Usernet ? ["network"]
                : option == Options.Dump || option == Options.Pcap || option == Options.Profile ? ["keep", option.Name]
                : option == Options.RunArgument ? ["run", $"--{option.Name}"]
                : [option.Name];
            bool isKey = key.All(word => Regex.IsMatch(keys, $@"(?m)^\|[^\n]*`{word}`"));
            Assert.True(isKey != Regex.IsMatch(document[keys.Length..], $@"(?m)^\|[^|]*`--{option.Name}`"), option.Usage);
        });
    }

    [Fact]
    public void The_exit_codes_are_in_the_help_and_in_their_document_and_are_the_same()
    {
        string help = Usage.Help(Options.Run);
        string[] document = File.ReadAllLines(Path.Combine(ShippedImages.Project, "docs", "exit-codes.md"));

        Assert.All(ExitCodeTable.Rows, row => Assert.Matches($"(?m)^  {row.Codes} +{Regex.Escape(row.Meaning)}$", help));
        Assert.Equal(
            ExitCodeTable.Rows.Select(row => $"| {row.Codes} | {row.Meaning} |"),
            document.Where(line => line.StartsWith("| ", StringComparison.Ordinal) && char.IsAsciiDigit(line[2])));
    }

    [Theory]
    [InlineData("flag")]
    [InlineData("value=a=b")]
    [InlineData("value=-a")]
    [InlineData("empty=", "empty=", "empty=a", "empty=a")]
    [InlineData("choice", "choice=a", "choice=b")]
    [InlineData("everywhere", "flag", "value=a")]
    [InlineData("shared")]
    public void What_is_given_as_declared_is_kept_in_its_order(params string[] words) =>
        Assert.Equal(words.Select(word => "--" + word), Read(words).All.Select(given => given.ToString()));

    [Fact]
    public void What_is_said_twice_is_said_once_unless_each_counts() => Assert.Equal(
        ["--flag", "--value=a", "--choice", "--choice=b", "--empty=c", "--empty=c"],
        Read("flag", "value=a", "choice", "choice=b", "choice", "flag", "value=a", "choice=b", "empty=c", "empty=c").All.Select(given => given.ToString()));

    [Theory]
    [InlineData("--flag takes no value: write it without '=yes'", "flag=yes")]
    [InlineData("--flag takes no value: write it without '='", "flag=")]
    [InlineData("--value needs a value: --value=TEXT", "value")]
    [InlineData("--value needs a value: --value=TEXT", "value=")]
    [InlineData("--empty needs a value: --empty=TEXT", "empty")]
    [InlineData("--choice needs a value: --choice[=TEXT]", "choice=")]
    [InlineData("--value=a and --value=b contradict each other: give one of them", "value=a", "flag", "value=b")]
    [InlineData("--elsewhere is an option of `lguest there FILE`, not of `lguest here FILE`: leave it out", "elsewhere")]
    [InlineData("there is no option --: `lguest --help` lists them", "=x")]
    public void What_is_not_as_declared_is_refused(string sentence, params string[] words) => Assert.Equal(sentence, Refusal(words));

    [Theory]
    [InlineData("vlaue", "value")]
    [InlineData("valeu=x", "value")]
    [InlineData("velue", "value")]
    [InlineData("vvalue", "value")]
    [InlineData("valu", "value")]
    [InlineData("FLAG", "flag")]
    [InlineData("f", "flag")]
    [InlineData("everywhre", "everywhere")]
    [InlineData("evrywher", "everywhere")]
    [InlineData("e", null)]
    [InlineData("flat-file", null)]
    [InlineData("elsewher", null)]
    [InlineData("nonsense", null)]
    public void A_mistyped_option_gets_a_hint_where_one_of_this_commands_is_like_it(string written, string? meant) => Assert.EndsWith(
        meant is null ? ": `lguest --help` lists them" : $": did you mean --{meant}?", Refusal(written), StringComparison.Ordinal);

    [Fact]
    public void A_good_command_line_does_without_the_libraries_of_help_and_suites()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Spinner("up"));
        string disk = _folder.File("disk", new byte[65536]);
        using Process process = LguestProcess.Start("8m", kernel, $"--block={disk},ro", "--stats", "--clock=real", "--timeout=1m");
        Assert.Equal('u', process.StandardOutput.Read());

        string mapped = File.ReadAllText($"/proc/{process.Id}/maps");
        process.Kill();
        LguestProcess.WaitFor(process);

        Assert.Contains("/Lguest.Devices.dll", mapped, StringComparison.Ordinal);
        Assert.All(
            (string[])["/CommandLine.dll", "/Lguest.Suites.dll", "/YamlDotNet.dll", "/Spectre.Console.dll"],
            library => Assert.DoesNotContain(library, mapped, StringComparison.Ordinal));
    }

    private static GivenOptions Read(params string[] words) => Table.Read(Here, [.. words.Select(word => OptionWord.Parse("--" + word))]);

    private static string Refusal(params string[] words) => Assert.Throws<CommandLineException>(() => Read(words)).Message;
}
