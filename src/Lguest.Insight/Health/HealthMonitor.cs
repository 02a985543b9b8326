using System.Text.RegularExpressions;
using Lguest.Insight.Log;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Health;

/// <summary>
/// Reads a kernel's log, record by record, for complaints. A complaint needs its whole shape: the first line at the start of
/// a record of the kernel's own, at its level; registers or a trace; and an end.
/// </summary>
/// <param name="symbols">Gives names for addresses that the kernel has none for; asked only when there are such.</param>
public sealed class HealthMonitor(Func<SymbolTable?>? symbols = null)
{
    /// <summary>How many complaints are kept.</summary>
    public const int MostComplaints = 1000;

    private const int MostBefore = 40;

    private readonly List<Complaint> _complaints = [];
    private readonly List<string> _before = [];
    private OpenComplaint? _open;

    /// <summary>Called for each complaint as soon as it is whole.</summary>
    public event Action<Complaint>? Complained;

    /// <summary>What was found so far.</summary>
    public IReadOnlyList<Complaint> Complaints => _complaints;

    /// <summary>How many were found beyond those that are kept.</summary>
    public int MoreComplaints { get; private set; }

    /// <summary>Takes the next record.</summary>
    public void Add(KernelRecord record)
    {
        // What a program writes to /dev/kmsg is none of the kernel's, and stands between its lines.
        if (!record.IsOfKernel)
        {
            return;
        }

        string[] lines = record.Text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            AddLine(record, lines[i], mayBegin: i == 0 && !record.IsContinuation);
        }
    }

    /// <summary>Records are missing here: what was being read may have lost its end.</summary>
    public void AddGap() => Close(isEnd: true);

    /// <summary>Nothing more comes.</summary>
    public void Finish() => Close(isEnd: true);

    private void AddLine(KernelRecord record, string line, bool mayBegin)
    {
        if (mayBegin && TryFindHead(record, line) is var (head, match) && TryBegin(record, head, match))
        {
            return;
        }

        if (_open is { } open)
        {
            // The line between two complaints belongs to the second.
            bool isNew = mayBegin && BodyLines.IsCutHere(line) && !open.AwaitsDeath;
            bool taken = !isNew && open.Take(line);
            if (isNew || open.IsClosed)
            {
                Close(isEnd: false);
            }

            if (taken)
            {
                return;
            }
        }

        RememberBefore(line);
    }

    private static (HeadPattern Head, Match Match)? TryFindHead(KernelRecord record, string line)
    {
        if (!HeadPatterns.MayBe(record.Level, line))
        {
            return null;
        }

        foreach (HeadPattern head in HeadPatterns.All)
        {
            if (record.Level <= head.HighestLevel && head.Pattern.Match(line) is { Success: true } match)
            {
                return head.Class == ComplaintClass.Bug && FalseAlarms.Contains(line) ? null : (head, match);
            }
        }

        return null;
    }

    private bool TryBegin(KernelRecord record, HeadPattern head, Match match)
    {
        if (head.Shape == ComplaintShape.Line)
        {
            // It says all, and may stand in the middle of another.
            if (_open is { IsWhole: true })
            {
                Close(isEnd: false);
            }

            Emit(new OpenComplaint(head, match, record, [], symbols));
            return true;
        }

        if (_open is { AwaitsDeath: true } announced && OpenComplaint.IsDeath(head, match))
        {
            announced.TakeDeath(match);
            return true;
        }

        // What it tried comes before where, in a line of its own.
        if (_open is { IsOnlyAnnounced: true } begun && head.Class == ComplaintClass.Oops)
        {
            begun.TakeAnnouncement(match);
            return true;
        }

        // A death in the middle of another complaint ends that.
        if (_open is not null)
        {
            Close(isEnd: head.Shape == ComplaintShape.Panic);
        }

        _open = new OpenComplaint(head, match, record, _before, symbols);
        _before.Clear();
        return true;
    }

    private void Close(bool isEnd)
    {
        if (_open is { } open)
        {
            _open = null;
            if (open.IsWhole || (isEnd && open.IsWholeButItsEnd))
            {
                Emit(open);
            }
        }
    }

    private void Emit(OpenComplaint open)
    {
        if (_complaints.Count >= MostComplaints)
        {
            MoreComplaints++;
            return;
        }

        Complaint complaint = open.Finish();
        _complaints.Add(complaint);
        Complained?.Invoke(complaint);
    }

    /// <summary>What a warning says of itself comes before its first line, after the cut.</summary>
    private void RememberBefore(string line)
    {
        if (BodyLines.IsCutHere(line))
        {
            _before.Clear();
            _before.Add(line);
        }
        else if (_before.Count > 0)
        {
            _before.Add(line);
            if (_before.Count > MostBefore)
            {
                _before.Clear();
            }
        }
    }
}
