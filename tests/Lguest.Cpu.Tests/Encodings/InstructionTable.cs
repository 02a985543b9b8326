using System.Reflection;
using System.Text;
using Iced.Intel;
using Lguest.Cpu.Tests.Integers;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>Makes docs/instructions.md of Iced's encodings, CPUID's claims and a record of the tests.</summary>
internal sealed class InstructionTable
{
    /// <summary>The most classes that a row names: those that execute it most often.</summary>
    private const int NamesPerRow = 3;

    private static readonly HashSet<string> Unchecked = [.. typeof(InstructionTable).Assembly.GetTypes()
        .Where(type => type.GetCustomAttribute<ResultsUncheckedAttribute>() is not null)
        .Select(type => type.Name)];

    private readonly CpuidModel _model = CpuidModel.RingZero;
    private readonly ILookup<(Code Code, bool Retired), (string TestClass, long Count)> _record;

    /// <summary>Makes a table from what a run has recorded.</summary>
    public InstructionTable(Dictionary<ExecutionRecord.Key, long> record) =>
        _record = record.ToLookup(pair => (pair.Key.Code, pair.Key.Retired), pair => (pair.Key.TestClass, pair.Value));

    /// <summary>The encodings that no test covers.</summary>
    public IEnumerable<string> Uncovered => EncodingSample.All
        .Where(sample => !IsAnother(sample) && !Covering(sample).Any())
        .Select(sample => sample.ToString());

    /// <summary>The document.</summary>
    public string Render()
    {
        var text = new StringBuilder();
        text.Append("""
            # Every instruction

            All encodings that a decoder of 32-bit code knows of, by the feature of CPUID they belong to, and what becomes of each on the
            processor that CPUID describes here. The tests named are those that were seen to execute it (three, if there are more); where an
            encoding executes, only tests that check what it does. What the translator has on its list is "translated": the tests are seen
            to execute each of these so. All else the interpreter executes, also in the middle of translated code. A number in the last
            column is a row of [undefined-behaviour.md](undefined-behaviour.md): what the manual leaves to the implementation, and the
            value it has here.

            This table is made by a run of the processor's tests that records what they execute: run them with `LGUEST_UPDATE_DOCS=1` to
            write it anew.

            """.ReplaceLineEndings("\n"));
        var groups = EncodingSample.All.Where(sample => !IsAnother(sample)).GroupBy(GroupOf).ToLookup(
            group => group.All(sample => VerdictOf(sample) == Verdict.InvalidOpcode));
        foreach (IGrouping<string, EncodingSample> group in groups[false].OrderBy(group => group.First().Code))
        {
            AppendExecuting(text, group);
        }

        text.Append("\n# Undefined here\n\nFeatures that CPUID doesn't claim: every one of their encodings raises #UD, in every ring");
        text.Append(" (EncodingTests).\n");
        foreach (IGrouping<string, EncodingSample> group in groups[true].OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            AppendUndefined(text, group);
        }

        text.Append("\n# Encodings that mean something else here\n\n");
        text.Append("Other processors' instructions, in the place of which this one has those that are in the tables above.\n\n");
        text.Append("| opcode | there | here |\n| --- | --- | --- |\n");
        foreach (EncodingSample sample in EncodingSample.All.Where(IsAnother))
        {
            OpCodeInfo opCode = sample.Code.ToOpCode();
            text.Append($"| {opCode.ToOpCodeString()} | {opCode.ToInstructionString()} | {MeaningOf(sample)} |\n");
        }

        return text.ToString();
    }

    private static string MeaningOf(EncodingSample sample) => sample.Meaning.ToOpCode().ToInstructionString();

    /// <summary>Whether the bytes mean an instruction of another row.</summary>
    private static bool IsAnother(EncodingSample sample) => sample.Meaning != sample.Code && sample.Meaning != Code.INVALID;

    private static string GroupOf(EncodingSample sample)
    {
        CpuidFeature[] features = sample.Code.CpuidFeatures();
        EncodingKind encoding = sample.Code.ToOpCode().Encoding;
        return features[0] switch
        {
            CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386
                or CpuidFeature.INTEL486 => "Integer and system instructions of every processor",
            CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 when features.Length == 1 => "x87",
            _ => $"{string.Join(" and ", features)}{(encoding == EncodingKind.Legacy ? "" : $" ({encoding})")}",
        };
    }

    private void AppendExecuting(StringBuilder text, IGrouping<string, EncodingSample> group)
    {
        text.Append($"\n## {group.Key}\n\n");
        text.Append("| opcode | instruction | here | when hot | tests | left to us |\n| --- | --- | --- | --- | --- | --- |\n");
        foreach (EncodingSample sample in group.OrderBy(sample => sample.Code))
        {
            OpCodeInfo opCode = sample.Code.ToOpCode();
            Verdict verdict = VerdictOf(sample);
            string here = verdict switch
            {
                Verdict.Executes when ClaimedEncodings.Of(sample.Meaning, CpuidModel.Default) == Verdict.GeneralProtection =>
                    "executes; #GP(0) in kernels of 2.6.23",
                Verdict.Executes => "executes",
                Verdict.ExecutesAsOlder => $"executes as {ClaimedEncodings.OlderMeaning(sample.Code)}",
                Verdict.GeneralProtection => "#GP(0)",
                _ => "#UD",
            };
            string left = verdict == Verdict.Executes
                ? string.Join(", ", UndefinedResultsTests.RowsOf(sample.Code.Mnemonic()))
                : "";
            string hot = TranslatedEncodings.Contains(sample.Code) ? "translated" : "";
            string tests = string.Join(", ", Covering(sample));
            text.Append($"| {opCode.ToOpCodeString()} | {opCode.ToInstructionString()} | {here} | {hot} | {tests} | {left} |\n");
        }
    }

    private static void AppendUndefined(StringBuilder text, IGrouping<string, EncodingSample> group)
    {
        text.Append($"\n## {group.Key}\n\n| opcode | instruction |\n| --- | --- |\n");
        foreach (EncodingSample sample in group.OrderBy(sample => sample.Code))
        {
            OpCodeInfo opCode = sample.Code.ToOpCode();
            text.Append($"| {opCode.ToOpCodeString()} | {opCode.ToInstructionString()} |\n");
        }
    }

    private Verdict VerdictOf(EncodingSample sample) => ClaimedEncodings.Of(sample.Meaning, _model);

    /// <summary>
    /// The tests that cover an encoding: those in which it retired, if it can execute, and else those in which it faulted.
    /// </summary>
    private IEnumerable<string> Covering(EncodingSample sample)
    {
        bool executes = VerdictOf(sample) is Verdict.Executes or Verdict.ExecutesAsOlder;
        return _record[(sample.Code, executes)]
            .Where(entry => !executes || !Unchecked.Contains(entry.TestClass))
            .OrderByDescending(entry => entry.Count)
            .ThenBy(entry => entry.TestClass, StringComparer.Ordinal)
            .Take(NamesPerRow)
            .Select(entry => entry.TestClass);
    }
}
