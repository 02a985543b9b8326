using System.Globalization;
using System.Text;
using Iced.Intel;
using Lguest.Cpu.Instructions;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>The table of what the manual leaves undefined: complete, and the same in the documentation.</summary>
public sealed class UndefinedResultsTests
{
    /// <summary>The file in docs.</summary>
    public const string Document = "undefined-behaviour.md";

    /// <summary>The numbers of the document's rows that concern an instruction.</summary>
    internal static IEnumerable<int> RowsOf(Mnemonic mnemonic) =>
        UndefinedResults.All.Select(row => row.Instructions).Concat(ImplementationChoices.All.Select(row => row.Instructions))
            .Index().Where(row => row.Item.Contains(mnemonic)).Select(row => row.Index + 1);

    [Fact]
    public void Every_flag_that_an_instruction_leaves_undefined_has_a_row()
    {
        Random random = TestSize.SeededRandom(Document);
        foreach (Code code in IntegerForm.Codes)
        {
            for (int i = 0; i < 20; i++)
            {
                if (IntegerForm.TryMake(code, memory: false, random) is { } form)
                {
                    // Iced doesn't know a count in CL: whatever that may make undefined has to be in the table for 31.
                    uint known = UndefinedFlags.Of(form.Decoded, 31);
                    uint undefined = UndefinedFlags.FromIced(form.Decoded.RflagsUndefined);
                    Assert.True((undefined & ~known) == 0, $"{form}: {undefined & ~known:X3} isn't in the table");
                }
            }
        }
    }

    [Fact]
    public void The_documentation_is_made_from_the_table() => Documentation.AssertUpToDate(Document, Render());

    private static string Render()
    {
        var text = new StringBuilder();
        text.Append("# What the manual leaves undefined\n\n");
        text.Append("Intel's manual calls some results undefined, and processors differ there. Here each of them has one value, the\n");
        text.Append("same on every host, so that a run can be repeated. This table is made from `UndefinedResults.cs` and\n");
        text.Append("`ImplementationChoices.cs`: run the tests with `LGUEST_UPDATE_DOCS=1` to write it anew.\n\n");
        text.Append("| no. | instructions | when | undefined | here |\n| --- | --- | --- | --- | --- |\n");
        int number = 0;
        foreach (UndefinedResult row in UndefinedResults.All)
        {
            AppendRow(text, ++number, row.Instructions, Describe(row.When), DescribeResult(row), row.Value);
        }

        foreach (ImplementationChoice row in ImplementationChoices.All)
        {
            AppendRow(text, ++number, row.Instructions, row.When, row.What, row.Value);
        }

        AppendVendors(text);
        return text.ToString();
    }

    private static void AppendVendors(StringBuilder text)
    {
        text.Append("\n# What processors of different vendors do differently\n\n");
        text.Append("CPUID says GenuineIntel, so what is done here is Intel's way wherever that is sane. This table is made from\n");
        text.Append("`VendorDifferences.cs`. What was seen on which processor is in `tests/Lguest.Cpu.Tests/Vendors/Recorded`, a file for each\n");
        text.Append("family and model. On the host's processor this records it, or whatever of it can be tried there:\n\n");
        text.Append("    LGUEST_RECORD_VENDOR=1 dotnet run --project tests/Lguest.Cpu.Tests -c Release -- -class '*.VendorTests'\n\n");
        text.Append("| instructions | when | what | AMD | Intel | here |\n| --- | --- | --- | --- | --- | --- |\n");
        foreach (VendorDifference row in VendorDifferences.All)
        {
            string here = row.Choice switch { VendorChoice.Intel => "Intel's", VendorChoice.Amd => "AMD's", _ => row.Own! };
            text.Append(
                CultureInfo.InvariantCulture, $"| {NamesOf(row.Instructions)} | {row.When} | {row.What} | {row.Amd} | {row.Intel} | {here} |\n");
        }
    }

    private static string NamesOf(IReadOnlyList<Mnemonic> instructions) => instructions.Count == 0
        ? "all"
        : string.Join(", ", instructions.Select(m => m.ToString().ToUpperInvariant()));

    private static void AppendRow(
        StringBuilder text, int number, IReadOnlyList<Mnemonic> instructions, string when, string what, string value)
    {
        text.Append(CultureInfo.InvariantCulture, $"| {number} | {NamesOf(instructions)} | {when} | {what} | {value} |\n");
    }

    private static string Describe(UndefinedWhen when) => when switch
    {
        UndefinedWhen.Always => "always",
        UndefinedWhen.CountIsNotZero => "the count isn't 0",
        UndefinedWhen.CountIsAboveOne => "the count is 2 or more",
        UndefinedWhen.CountReachesSize => "the count is the operand's size or more",
        UndefinedWhen.CountExceedsSize => "the count is more than the operand's size",
        UndefinedWhen.SourceIsZero => "the source is 0",
        UndefinedWhen.OperandIs16Bits => "the operand has 16 bits",
        _ => throw new InvalidOperationException($"{when} has no description."),
    };

    private static string DescribeResult(UndefinedResult row)
    {
        (string Name, uint Flag)[] flags =
        [
            ("CF", Eflags.Cf), ("OF", Eflags.Of), ("SF", Eflags.Sf), ("ZF", Eflags.Zf), ("AF", Eflags.Af), ("PF", Eflags.Pf),
        ];
        IEnumerable<string> names = flags.Where(f => (row.Flags & f.Flag) != 0).Select(f => f.Name);
        return string.Join(", ", row.Other is null ? names : names.Prepend(row.Other));
    }
}
