using System.Globalization;

namespace Lguest.Results.Tap;

/// <summary>
/// Reads the test output of one source while it is written: KTAP 1 and 2 (Documentation/dev-tools/ktap.rst of Linux), TAP 13
/// and 14, nested by blanks, tabs or kselftest's <c># </c>.
/// </summary>
/// <remarks>
/// Only lines of the protocol that stand where they can stand have an effect; whatever else is printed between them
/// is output of the test that runs. What the guest prints can't make it fail here: what can't be right is an error in
/// <see cref="Errors"/>, and all that is kept is bounded.
/// </remarks>
/// <param name="source">Where the lines come from.</param>
public sealed partial class TapParser(TapSource source)
{
    /// <summary>How many tests are kept.</summary>
    public const int MostTests = 200_000;

    private const int MostErrors = 1000;
    private const int MostLevels = 32;
    private const int MostDocuments = 10_000;
    private const long MostOutput = 64L << 20;

    private readonly List<TapLevel> _levels = [];
    private readonly List<TestNode> _tests = [];
    private readonly List<string> _errors = [];
    private readonly UniqueNames _rootNames = new();
    private TestNode? _last;
    private string? _yamlIndent;
    private BoundedText? _yaml;
    private long _outputKept;
    private int _count;
    private int _documents;

    /// <summary>Where the lines come from.</summary>
    public TapSource Source => source;

    /// <summary>The tests whose results are known, and once <see cref="End"/> was called all: the outermost ones, in order.</summary>
    public IReadOnlyList<TestNode> Tests => _tests;

    /// <summary>What can't be right in what was read, a sentence each, without a full stop.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>Whether any test output was seen.</summary>
    public bool HasOutput => _documents > 0;

    /// <summary>Whether a test failed, or didn't run, or the output can't be right. It may get worse until <see cref="End"/>.</summary>
    public bool HasFailure => _errors.Count > 0 || _tests.Exists(test => test.Status.IsFailure());

    /// <summary>The test that runs now, outermost first; empty if none is known to.</summary>
    public IReadOnlyList<string> Running
    {
        get
        {
            int count = _levels.Count;
            while (count > 0 && (_levels[count - 1].BailedOut || (_levels[count - 1].IsComplete && count == _levels.Count)))
            {
                count--;
            }

            return [.. Enumerable.Range(0, count).Select(RunningName)];
        }
    }

    /// <summary>Takes the next line.</summary>
    /// <param name="text">Without its end; a record of the kernel's log that has several lines is given line by line.</param>
    public void Line(string text)
    {
        text = TapLineReader.WithoutPrintkPrefix(text);
        if (TakeYaml(text))
        {
            return;
        }

        TapLine line = TapLineReader.Read(text);
        bool known = line.Kind switch
        {
            TapLineKind.Version => TakeVersion(line),
            TapLineKind.Plan => TakePlan(line),
            TapLineKind.Case => TakeCase(line),
            TapLineKind.Subtest => TakeSubtest(line),
            TapLineKind.Running => TakeRunning(line),
            TapLineKind.BailOut => TakeBailOut(line),
            _ => false,
        };
        if (!known && _levels.Count > 0)
        {
            _levels[^1].Output.AppendLine(text);
        }

        if (line.Kind is not TapLineKind.Case)
        {
            _last = null;
        }
    }

    private static bool IsStep(string prefix, string of) =>
        prefix.Length > of.Length && prefix.StartsWith(of, StringComparison.Ordinal)
            && prefix[of.Length..] is "  " or "    " or "\t" or "# ";

    private bool TakeVersion(in TapLine line)
    {
        if (line.Prefix.Length == 0)
        {
            CloseDocument(TapEnd.Finished, string.Empty);
            OpenDocument(new TapLevel(string.Empty) { Names = _rootNames, IsKtap = line.IsKtap });
            CheckVersion(line);
            return true;
        }

        if (!HasRootFor(line.Prefix))
        {
            return false;
        }

        int same = IndexOf(line.Prefix);
        int parent = same > 0 ? same - 1 : ParentOf(line.Prefix);
        if (parent < 0)
        {
            return false;
        }

        CloseDownTo(parent);
        if (!Open(line.Prefix, line.IsKtap))
        {
            return false;
        }

        CheckVersion(line);
        return true;
    }

    /// <summary>
    /// A module's suites have no list around them in some kernels (KUnit before Linux 6.2): one is made up, also where
    /// the one before has all its results.
    /// </summary>
    private bool HasRootFor(string prefix)
    {
        if (_levels.Count == 1 && _levels[0].IsComplete && IsStep(prefix, string.Empty))
        {
            CloseDocument(TapEnd.Finished, string.Empty);
        }

        if (_levels.Count == 0 && IsStep(prefix, string.Empty))
        {
            OpenDocument(new TapLevel(string.Empty) { Names = _rootNames, IsImplicit = true });
        }

        return _levels.Count > 0;
    }

    private void CheckVersion(in TapLine line)
    {
        if (line.IsKtap ? line.Number is not (1 or 2) : line.Number is not (13 or 14))
        {
            Error($"{(line.IsKtap ? "KTAP" : "TAP")} version {Shown(line.Number)} isn't known");
        }
    }

    private bool TakePlan(in TapLine line)
    {
        TapLevel? level = LevelOf(line);
        if (level is null)
        {
            return false;
        }

        CloseDownTo(_levels.IndexOf(level));
        if (line.Number is < 0)
        {
            Error("a plan is larger than any number of tests");
        }
        else if (level.Plan is not null)
        {
            Error($"{Where(level)}a second plan comes, 1..{line.Number} after 1..{level.Plan}");
        }
        else
        {
            level.Plan = line.Number;
            level.PlanReason = line.Reason;
            if (line.Number < level.Next - 1)
            {
                Error($"{Where(level)}there are {level.Next - 1} results, but the plan is 1..{line.Number}");
            }
        }

        return true;
    }

    private bool TakeSubtest(in TapLine line)
    {
        if (line.Prefix.Length == 0 && _levels.Count == 0 && source == TapSource.Command)
        {
            // TAP 14 has it first of all, if the plan comes last.
            OpenDocument(new TapLevel(string.Empty) { Names = _rootNames, IsImplicit = true });
        }

        if (IndexOf(line.Prefix) < 0)
        {
            if (!HasRootFor(line.Prefix))
            {
                return false;
            }

            int parent = ParentOf(line.Prefix);
            if (parent != _levels.Count - 1 || !Open(line.Prefix, _levels[parent].IsKtap))
            {
                return false;
            }

            _levels[^1].Name = line.Text;
            return true;
        }

        // TAP 14 puts it before the list at its parent's level; KUnit into the list, after the version line.
        TapLevel level = _levels[IndexOf(line.Prefix)];
        if (level.IsFresh && level.Name is null && level == _levels[^1] && _levels.Count > 1)
        {
            level.Name = line.Text;
        }
        else
        {
            level.RunningName = line.Text;
        }

        return true;
    }

    /// <summary>It names the test, and stays a part of what the test prints.</summary>
    private bool TakeRunning(in TapLine line)
    {
        if (IndexOf(line.Prefix) is >= 0 and int index)
        {
            _levels[index].RunningName = line.Text;
        }

        return false;
    }

    private bool TakeBailOut(in TapLine line)
    {
        int index = IndexOf(line.Prefix);
        if (index < 0 || _levels[index].BailedOut)
        {
            return false;
        }

        // The program that bails out is the one whose output this is: with kselftest that is a part of another's.
        int first = _levels.FindLastIndex(index, level => level.Prefix.EndsWith("# ", StringComparison.Ordinal));
        first = Math.Max(first, 0);
        string reason = line.Reason.Length > 0 ? $"bailed out: {line.Reason}" : "bailed out";
        FinishUnfinished(first, TestStatus.Crashed, reason);
        _levels[first].BailedOut = true;
        return true;
    }

    private bool TakeCase(in TapLine line)
    {
        TapLevel? level = LevelOf(line);
        if (level is null || level.BailedOut || (line.Number is null && (level.IsKtap || source != TapSource.Command)))
        {
            return false;
        }

        if (level.IsImplicit && level.Plan is null && line.Number == 1 && level.Cases.Count > 0)
        {
            level = Restart(level);
        }

        CloseDownTo(_levels.IndexOf(level));
        long number = line.Number ?? level.Next;
        if (level.Take(number) is { } error)
        {
            Error($"{Where(level)}{error}");
        }

        string name = line.Text.Length > 0 ? line.Text : level.RunningName ?? $"case {Shown(number)}";
        TestNode node = Append(level, name, number);
        node.Status = StatusOf(line);
        node.Reason = line.Reason;
        if (level.OrphansSkipped is { } why && node.Status == TestStatus.Passed && node.Children.Count == 0)
        {
            node.Status = TestStatus.Skipped;
            node.Reason = node.Reason.Length > 0 ? node.Reason : why;
        }

        level.OrphansSkipped = null;
        node.BubbleUp();
        _last = node;
        return true;
    }

    private static TestStatus StatusOf(in TapLine line) => line.Directive switch
    {
        TapDirective.Skip => TestStatus.Skipped,
        TapDirective.Todo => line.Ok ? TestStatus.Passed : TestStatus.Todo,
        TapDirective.ExpectedFailure => TestStatus.ExpectedFailure,

        // Both come with "not ok" (ktap.rst). With "ok" they contradict themselves, and don't count as a pass.
        TapDirective.Timeout => TestStatus.TimedOut,
        TapDirective.Error => TestStatus.Error,
        _ => line.Ok ? TestStatus.Passed : TestStatus.Failed,
    };

    /// <summary>TAP's block of YAML belongs to the result before it, and nothing in it is a result.</summary>
    private bool TakeYaml(string text)
    {
        if (_yaml is not null)
        {
            string indent = _yamlIndent!;
            bool inside = text.StartsWith(indent, StringComparison.Ordinal) || string.IsNullOrWhiteSpace(text);
            if (inside && text.AsSpan().Trim() is not "...")
            {
                _yaml.AppendLine(text.Length > indent.Length ? text[indent.Length..] : string.Empty);
                return true;
            }

            Keep(_last!, _yaml);
            _yaml = null;
            _last = null;
            return inside;
        }

        if (_last is not null && text.EndsWith("---", StringComparison.Ordinal))
        {
            string indent = text[..^3];
            string outer = _levels.Count > 0 ? _levels[^1].Prefix : string.Empty;
            if (indent.Length > outer.Length && indent.StartsWith(outer, StringComparison.Ordinal) && string.IsNullOrWhiteSpace(indent[outer.Length..]))
            {
                _yamlIndent = indent;
                _yaml = new BoundedText();
                return true;
            }
        }

        return false;
    }

    /// <summary>The level that a plan or a result belongs to, which it may begin.</summary>
    private TapLevel? LevelOf(in TapLine line)
    {
        if (IndexOf(line.Prefix) is >= 0 and int index)
        {
            return _levels[index];
        }

        bool begins = line.Kind == TapLineKind.Plan || line.Number == 1;
        if (_levels.Count == 0)
        {
            // Without a version line only a command's own words are taken for results.
            if (source != TapSource.Command || line.Prefix.Length > 0 || !begins)
            {
                return null;
            }

            OpenDocument(new TapLevel(string.Empty) { Names = _rootNames });
            return _levels[0];
        }

        TapLevel top = _levels[^1];
        return begins && !top.BailedOut && IsStep(line.Prefix, top.Prefix) && Open(line.Prefix, top.IsKtap) ? _levels[^1] : null;
    }

    private int IndexOf(string prefix) => _levels.FindIndex(level => level.Prefix == prefix);

    private int ParentOf(string prefix) =>
        _levels.FindLastIndex(level => prefix.Length > level.Prefix.Length
            && prefix.StartsWith(level.Prefix, StringComparison.Ordinal) && !level.BailedOut);

    private bool Open(string prefix, bool isKtap)
    {
        if (_levels.Count >= MostLevels)
        {
            Error($"tests are nested more than {MostLevels} deep");
            return false;
        }

        FinishSuite(_levels[^1]);
        _levels.Add(new TapLevel(prefix) { IsKtap = isKtap });
        return true;
    }

    private void OpenDocument(TapLevel level)
    {
        if (++_documents == MostDocuments)
        {
            Error($"there are more than {MostDocuments} lists of results");
        }

        _levels.Add(level);
    }

    private string Where(TapLevel level)
    {
        int index = _levels.IndexOf(level);
        return index <= 0 ? string.Empty : $"{string.Join('.', Enumerable.Range(0, index).Select(RunningName))}: ";
    }

    private string RunningName(int index)
    {
        TapLevel level = _levels[index];
        string? ofChild = index + 1 < _levels.Count ? _levels[index + 1].Name : null;
        return ofChild ?? level.RunningName ?? string.Create(CultureInfo.InvariantCulture, $"case {level.Next}");
    }

    private static string Shown(long? number) => number is null or < 0 ? "(too large)" : number.Value.ToString(CultureInfo.InvariantCulture);

    private void Error(string sentence)
    {
        if (_errors.Count < MostErrors)
        {
            _errors.Add(sentence);
        }
    }
}
