using System.Text.RegularExpressions;
using Lguest.Insight.Log;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Health;

/// <summary>A complaint whose lines are coming in.</summary>
internal sealed class OpenComplaint
{
    private const int MostLines = 4000;
    private const int MostAfterHead = 400;

    private readonly HeadPattern _head;
    private readonly Match _match;
    private readonly KernelRecord _first;
    private readonly Func<SymbolTable?>? _symbols;
    private readonly List<string> _lines;
    private string? _message;
    private readonly List<string> _registers = [];
    private readonly List<StackFrame> _trace = [];
    private readonly List<StackFrame> _takers = [];
    private readonly List<StackFrame> _threadOfRcu = [];
    private ComplaintClass _class;
    private string? _code;
    private string? _task;
    private string? _taint;
    private StackFrame? _location;
    private int _traces;
    private int _sinceHead;
    private bool _hasDied;
    private bool _hasRegisters;
    private bool _hasBacktrace;
    private bool _hasLocks;
    private bool _hasEnded;
    private bool _isOfAnother;
    private bool _wasNone;

    /// <summary>Opens one.</summary>
    /// <param name="head">Which pattern its first line is of.</param>
    /// <param name="match">The match.</param>
    /// <param name="first">The record with that line.</param>
    /// <param name="before">Lines that already belong to it.</param>
    /// <param name="symbols">Gives names for addresses that the kernel has none for; or null.</param>
    public OpenComplaint(HeadPattern head, Match match, KernelRecord first, IReadOnlyList<string> before, Func<SymbolTable?>? symbols)
    {
        _head = head;
        _match = match;
        _first = first;
        _symbols = symbols;
        _class = head.Class;
        _lines = [.. before, match.Value];
        _message = before.FirstOrDefault(line => !BodyLines.IsCutHere(line) && line.Trim('=', ' ').Length > 0);
        if (IsDeath(head, match))
        {
            ReadDeath(match);
        }
    }

    /// <summary>What must follow its first line.</summary>
    public ComplaintShape Shape => _head.Shape;

    /// <summary>Whether nothing more belongs to it.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Whether it is only announced: the line that says how the kernel died comes next.</summary>
    public bool AwaitsDeath => Shape == ComplaintShape.Trap && !_hasDied;

    /// <summary>Whether there is no more of it than a line that announces it.</summary>
    public bool IsOnlyAnnounced => AwaitsDeath && _sinceHead == 0 && _class != ComplaintClass.KernelBug;

    /// <summary>Whether all that a complaint needs is there.</summary>
    public bool IsWhole => Shape switch
    {
        ComplaintShape.Line or ComplaintShape.Panic => true,
        ComplaintShape.Trap => _hasDied && _hasRegisters && _hasEnded,
        ComplaintShape.Warning => (_trace.Count > 0 || _hasRegisters) && _hasEnded,
        ComplaintShape.Locks => HasTrace,
        _ => HasTrace && !_wasNone && (_class != ComplaintClass.Bug || _task is not null),
    };

    /// <summary>Whether all is there but the end.</summary>
    public bool IsWholeButItsEnd => Shape switch
    {
        ComplaintShape.Trap => _hasDied && _hasRegisters,
        ComplaintShape.Warning => _trace.Count > 0 || _hasRegisters,
        _ => IsWhole,
    };

    /// <summary>Whether a first line says how the kernel died, and doesn't only announce it.</summary>
    public static bool IsDeath(HeadPattern head, Match match) =>
        head.Shape == ComplaintShape.Trap && match.Value.Contains(" [#", StringComparison.Ordinal);

    /// <summary>Takes another line that announces it.</summary>
    public void TakeAnnouncement(Match line) => _lines.Add(line.Value);

    /// <summary>Takes the line that says how the kernel died, of a trap that was announced.</summary>
    public void TakeDeath(Match die)
    {
        _lines.Add(die.Value);
        ReadDeath(die);
    }

    private void ReadDeath(Match die)
    {
        _hasDied = true;
        string what = die.Groups["what"].Value;
        _class = _class == ComplaintClass.KernelBug ? _class : what switch
        {
            "invalid opcode" => ComplaintClass.InvalidOpcode,
            "divide error" => ComplaintClass.DivideError,
            "stack segment" => ComplaintClass.StackSegment,
            _ when what.Contains("general protection", StringComparison.Ordinal) => ComplaintClass.GeneralProtection,
            _ => ComplaintClass.Oops,
        };
    }

    /// <summary>Takes the next line.</summary>
    /// <returns>Whether it belongs to the complaint. If not, the complaint is closed.</returns>
    public bool Take(string line)
    {
        bool isOfTrace = BodyLines.IsOfTrace(line);
        bool mayGoOn = Shape switch
        {
            ComplaintShape.Line => false,
            ComplaintShape.Trap or ComplaintShape.Warning => _sinceHead < MostAfterHead,
            ComplaintShape.Panic => _sinceHead < MostAfterHead && (isOfTrace || BodyLines.IsEndOfTrace(line) || line.StartsWith("Kernel Offset:", StringComparison.Ordinal)),
            _ => isOfTrace || BodyLines.IsEndOfTrace(line) || (!HasTrace && _sinceHead < _head.Reach) || (IsStall && BodyLines.IsOfStall(line)),
        };
        if (IsStall && FalseAlarms.IsEndOfStall(line))
        {
            _wasNone = true;
            mayGoOn = false;
        }

        if (!mayGoOn || _lines.Count == MostLines)
        {
            IsClosed = true;
            return false;
        }

        // WARN() said what it is about after its first line until Linux 4.
        if (_sinceHead++ == 0 && Shape == ComplaintShape.Warning && !isOfTrace && !BodyLines.IsEndOfTrace(line))
        {
            _message ??= line;
        }

        _lines.Add(line);
        Read(line);
        return true;
    }

    /// <summary>What it has become.</summary>
    public Complaint Finish()
    {
        if (_class == ComplaintClass.Warning && _message is not null && _message.StartsWith("refcount_t: ", StringComparison.Ordinal))
        {
            _class = ComplaintClass.Refcount;
        }

        // Where RCU's own thread got no time and nobody else was in its way, its stack is the only one.
        if (_trace.Count == 0)
        {
            _trace.AddRange(_threadOfRcu);
        }

        string fingerprint;
        bool isCorrupted = false;
        if (Shape == ComplaintShape.Line)
        {
            fingerprint = Fingerprint.OfLine(_class, $"{_match.Groups["what"].Value} {_match.Groups["detail"].Value}");
        }
        else
        {
            fingerprint = Fingerprint.Of(_class, Functions(), _first.Sequence, out isCorrupted);
            if (isCorrupted && Shape == ComplaintShape.Panic)
            {
                // Some panics have no trace, and say in words what they are.
                fingerprint = Fingerprint.OfLine(_class, _match.Groups["what"].Value);
                isCorrupted = false;
            }
        }

        return new Complaint
        {
            Class = _class,
            Title = Title(),
            Fingerprint = fingerprint,
            IsCorrupted = isCorrupted,
            Sequence = _first.Sequence,
            Nanoseconds = _first.Nanoseconds,
            Task = _task,
            Taint = _taint,
            Registers = _registers,
            Code = _code,
            Location = _location,
            Trace = _trace,
            Lines = _lines,
            CanBeForged = _first.Facility is null,
            IsCutShort = !IsWhole,
        };
    }

    /// <summary>
    /// Locks that are held on the way to user space have no trace: their list is what counts. Linux 2.6.23 has traces without
    /// a line before them, but with addresses.
    /// </summary>
    private bool HasTrace => Shape == ComplaintShape.Locks
        ? (_hasBacktrace && _trace.Count > 0) || (_hasLocks && _match.Value.Contains("user space", StringComparison.Ordinal))
        : _threadOfRcu.Count > 0 || (_trace.Count > 0 && (_traces > 0 || _head.HasBareTrace || _trace[^1].Address is not null));

    private bool IsStall => _class == ComplaintClass.RcuStall;

    private void Read(string line)
    {
        if (BodyLines.IsEndOfTrace(line) || BodyLines.IsOldEndOfTrap(line) || (Shape == ComplaintShape.Warning && BodyLines.IsOldEndOfTrace(line)))
        {
            _hasEnded = true;
            IsClosed = true;
            return;
        }

        _isOfAnother = (_isOfAnother || BodyLines.IsStackOfRcu(line)) && !BodyLines.IsProcessor(line);
        if (_isOfAnother)
        {
            if (BodyLines.TryReadFrame(line, out StackFrame own))
            {
                _threadOfRcu.Add(Named(own));
            }

            return;
        }

        if (BodyLines.IsBacktrace(line))
        {
            _hasBacktrace = true;
            _trace.Clear();
            _traces = 0;
        }
        else if (BodyLines.IsTrace(line))
        {
            // What looked like a trace before it was where preemption was disabled, and the like.
            if (_traces++ == 0)
            {
                _trace.Clear();
            }
        }
        else if (BodyLines.IsHeldLocks(line))
        {
            _hasLocks = true;
        }
        else if (BodyLines.TryReadLock(line, out StackFrame taker))
        {
            _takers.Add(Named(taker));
        }
        else if (BodyLines.TryReadTask(line, out string task, out string? taint))
        {
            _task ??= task;
            _taint ??= taint;
        }
        else if (BodyLines.TryReadFrame(line, out StackFrame frame))
        {
            if (_traces <= 1)
            {
                _trace.Add(Named(frame));
            }
        }
        else
        {
            ReadState(line);
        }
    }

    /// <summary>The registers and the code of the kernel: those of the program that called it come after its trace.</summary>
    private void ReadState(string line)
    {
        _taint ??= BodyLines.Taint(line);
        if (_traces == 0 || Shape == ComplaintShape.Trap)
        {
            _code ??= BodyLines.Code(line);
        }

        if (_traces > 0)
        {
            return;
        }

        if (BodyLines.IsRegisters(line))
        {
            _hasRegisters = true;
            _registers.Add(line);
            if (BodyLines.TryReadLocation(line, out StackFrame frame))
            {
                _location ??= Named(frame);
            }
        }
    }

    private StackFrame Named(StackFrame frame)
    {
        return frame.Function.Length == 0 && frame.Address is { } address && _symbols?.Invoke() is { } table && table.TryFindFunction(address, out Symbol symbol, out _)
            ? frame with { Text = table.Describe(address), Function = symbol.Name }
            : frame;
    }

    private IEnumerable<string> Functions()
    {
        if (_location is { } location)
        {
            yield return location.Function;
        }
        else if (_match.Groups["function"].Success)
        {
            yield return _match.Groups["function"].Value;
        }

        // Without a trace, who took the locks that are held.
        foreach (StackFrame frame in _trace.Count > 0 ? _trace : _takers)
        {
            if (frame.IsReliable)
            {
                yield return frame.Function;
            }
        }
    }

    private string Title()
    {
        if (Shape != ComplaintShape.Warning)
        {
            return _match.Value.Trim();
        }

        string function = _match.Groups["function"].Value;
        string where = _match.Groups["where"].Success ? $" {_match.Groups["where"].Value}" : string.Empty;
        return _message is null ? $"WARNING at{where} {function}" : $"WARNING: {_message} at{where} {function}";
    }
}
