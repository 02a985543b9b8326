using System.Globalization;

namespace Lguest.Results.Tap;

/// <content>How lists of results end: as they should, too early, or with the guest.</content>
public sealed partial class TapParser
{
    private const int MostMissing = 1000;

    /// <summary>Nothing more comes.</summary>
    /// <param name="end">Why. A crash or a limit belongs to the first unfinished test of the deepest open list.</param>
    /// <param name="reason">What happened, for the report: "kernel panic: ..."; empty if nothing did.</param>
    public void End(TapEnd end, string reason = "")
    {
        if (_yaml is not null && _last is not null)
        {
            Keep(_last, _yaml);
            _yaml = null;
        }

        _last = null;
        CloseDocument(end, reason);
    }

    private void CloseDocument(TapEnd end, string reason)
    {
        if (_levels.Count == 0)
        {
            return;
        }

        if (end != TapEnd.Finished && !_levels[0].BailedOut)
        {
            FinishUnfinished(0, end == TapEnd.Crashed ? TestStatus.Crashed : TestStatus.LimitReached, reason);
        }

        CloseDownTo(0);
        TapLevel root = _levels[0];
        CheckComplete(root);
        if (root.Plan == 0 && root.Cases.Count == 0)
        {
            TestNode skipped = Append(root, "all tests", 1);
            skipped.Status = TestStatus.Skipped;
            skipped.Reason = root.PlanReason;
        }

        _levels.Clear();
    }

    /// <summary>
    /// Something ended the tests of these levels: the first that has no result, as deep as can be, is where it happened;
    /// what was planned after it never ran.
    /// </summary>
    private void FinishUnfinished(int outermost, TestStatus status, string reason)
    {
        int deepest = _levels.Count - 1;
        bool found = false;
        for (int i = deepest; i >= outermost; i--)
        {
            TapLevel level = _levels[i];
            bool waits = i < deepest || level.HasOrphans;
            if (waits || !(level.IsComplete || level.IsImplicit || level.BailedOut))
            {
                string name = RunningName(i);
                long number = level.Next;
                level.Take(number);
                TestNode node = Append(level, name, number);
                node.Status = status;
                node.Reason = found ? $"{reason} (in one of its tests)" : reason;
                found = true;
                AddMissing(level, isError: false);
            }

            if (i > outermost)
            {
                Fold();
            }
        }
    }

    /// <summary>Takes the innermost level's results out of the way: they belong to the next result of the level around it.</summary>
    private void Fold()
    {
        TapLevel inner = _levels[^1];
        TapLevel outer = _levels[^2];
        if (inner.Plan == 0 && inner.Cases.Count == 0)
        {
            outer.OrphansSkipped = inner.PlanReason;
        }

        outer.Orphans.AddRange(inner.Cases);
        outer.RunningName = inner.Name ?? outer.RunningName;
        AppendOutput(outer, inner.Output);
        _levels.RemoveAt(_levels.Count - 1);
    }

    /// <summary>Closes all levels inside of one, because a line of that one's came.</summary>
    /// <param name="index">Which one stays.</param>
    private void CloseDownTo(int index)
    {
        while (_levels.Count - 1 > index)
        {
            CheckComplete(_levels[^1]);
            Fold();
        }
    }

    /// <summary>Gives a result to a suite whose own never came.</summary>
    private void FinishSuite(TapLevel level)
    {
        if (!level.HasOrphans)
        {
            return;
        }

        long number = level.Next;
        string name = level.RunningName ?? $"case {number.ToString(CultureInfo.InvariantCulture)}";
        level.Take(number);
        Error($"{Where(level)}{name} has no result");
        TestNode node = Append(level, name, number);
        node.Status = TestStatus.Error;
        node.Reason = "it has no result";
        level.OrphansSkipped = null;
    }

    private void CheckComplete(TapLevel level)
    {
        if (level.BailedOut)
        {
            return;
        }

        FinishSuite(level);
        if (level.IsFresh && level.IsImplicit)
        {
            return;
        }

        if (level.IsFresh)
        {
            Error($"{Where(level)}a list of results has neither a plan nor a result");
            TestNode empty = Append(level, "no tests", level.Next);
            empty.Status = TestStatus.Error;
            empty.Reason = "neither a plan nor a result";
            return;
        }

        AddMissing(level, isError: true);
    }

    /// <summary>What was planned and has no result never ran.</summary>
    /// <param name="level">Of which list.</param>
    /// <param name="isError">Whether nothing is known that ended the tests.</param>
    private void AddMissing(TapLevel level, bool isError)
    {
        long missing = level.MissingCount;
        if (missing <= 0)
        {
            return;
        }

        if (isError)
        {
            Error($"{Where(level)}{missing} of {level.Plan} planned results are missing");
        }

        long shown = 0;
        foreach (long number in level.Missing(MostMissing).ToArray())
        {
            TestNode node = Append(level, string.Create(CultureInfo.InvariantCulture, $"case {number}"), number);
            node.Status = TestStatus.NotRun;
            node.Reason = "it was planned, and has no result";
            level.Take(number);
            shown++;
        }

        if (shown < missing)
        {
            TestNode rest = Append(level, string.Create(CultureInfo.InvariantCulture, $"and {missing - shown} more"), level.Next);
            rest.Status = TestStatus.NotRun;
        }
    }

    /// <summary>Adds a result to a level, with all that waited for it.</summary>
    private TestNode Append(TapLevel level, string name, long number)
    {
        var node = new TestNode(level.Names.Take(name), number);
        node.AddRange(level.Orphans);
        level.Orphans.Clear();
        level.RunningName = null;
        Keep(node, level.Output);
        level.Output.Clear();
        if (++_count > MostTests)
        {
            if (_count == MostTests + 1)
            {
                Error($"there are more than {MostTests} tests: the rest is left out");
            }

            return node;
        }

        level.Cases.Add(node);
        if (level == _levels[0])
        {
            _tests.Add(node);
        }

        return node;
    }

    private TapLevel Restart(TapLevel level)
    {
        var fresh = new TapLevel(level.Prefix) { Names = level.Names, IsImplicit = true, IsKtap = level.IsKtap };
        fresh.Orphans.AddRange(level.Orphans);
        fresh.OrphansSkipped = level.OrphansSkipped;
        fresh.RunningName = level.RunningName;
        AppendOutput(fresh, level.Output);
        _levels[_levels.IndexOf(level)] = fresh;
        return fresh;
    }

    private static void AppendOutput(TapLevel level, BoundedText text)
    {
        foreach (string line in text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            level.Output.AppendLine(line);
        }
    }

    private void Keep(TestNode node, BoundedText text)
    {
        if (text.Length == 0)
        {
            return;
        }

        string output = text.ToString();
        _outputKept += output.Length;
        node.Output = _outputKept <= MostOutput ? node.Output + output : "[output left out: there is too much of it in all]\n";
    }
}
