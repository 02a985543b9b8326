using Lguest.Cpu.Debugging;

namespace Lguest.Insight.Gdb;

/// <summary>The breakpoints and watchpoints that a debugger has set (Z packets).</summary>
internal sealed class GdbBreakpoints
{
    /// <summary>More than anybody sets by hand, and little to look through.</summary>
    private const int MostInstructions = 1024;
    private const int MostData = 64;
    private const uint LongestData = 0x10_0000;

    private readonly HashSet<(GdbBreakpointKind Kind, uint Address)> _instructions = [];
    private readonly List<(GdbBreakpointKind Kind, Watchpoint Range)> _data = [];

    /// <summary>Where instructions are stopped at.</summary>
    public IEnumerable<uint> Instructions => _instructions.Select(each => each.Address);

    /// <summary>What is watched.</summary>
    public IEnumerable<Watchpoint> Data => _data.Select(each => each.Range);

    /// <summary>Sets one; to set one twice is to set it once.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="address">Linear.</param>
    /// <param name="length">Of a watchpoint: bytes.</param>
    /// <returns>False when there are too many, or it is too long or has no bytes.</returns>
    public bool TryAdd(GdbBreakpointKind kind, uint address, uint length)
    {
        if (kind <= GdbBreakpointKind.Hardware)
        {
            return _instructions.Contains((kind, address)) || (_instructions.Count < MostInstructions && _instructions.Add((kind, address)));
        }

        var range = new Watchpoint(address, length, OnRead: kind != GdbBreakpointKind.Write, OnWrite: kind != GdbBreakpointKind.Read);
        if (_data.Contains((kind, range)))
        {
            return true;
        }

        bool fits = length is > 0 and <= LongestData && _data.Count < MostData;
        if (fits)
        {
            _data.Add((kind, range));
        }

        return fits;
    }

    /// <summary>Takes one away; that there is none is no mistake.</summary>
    public void Remove(GdbBreakpointKind kind, uint address, uint length)
    {
        if (!_instructions.Remove((kind, address)))
        {
            _data.RemoveAll(each => each.Kind == kind && each.Range.Address == address && each.Range.Length == length);
        }
    }

    /// <summary>What a stop reply says of a stop.</summary>
    /// <param name="stop">The stop.</param>
    /// <param name="knowsBreakpoints">Whether this debugger wants to be told of breakpoints as well.</param>
    public string Reason(DebugStop stop, bool knowsBreakpoints)
    {
        switch (stop.Kind)
        {
            case DebugStopKind.Instruction when knowsBreakpoints:
                return _instructions.Contains((GdbBreakpointKind.Software, stop.Address)) ? "swbreak:;" : "hwbreak:;";
            case DebugStopKind.Read or DebugStopKind.Write:
                (GdbBreakpointKind kind, Watchpoint range) = _data.Find(each =>
                    stop.Address - each.Range.Address < each.Range.Length && (stop.Kind == DebugStopKind.Read ? each.Range.OnRead : each.Range.OnWrite || each.Range.OnRead));
                string word = kind switch
                {
                    GdbBreakpointKind.Read => "rwatch",
                    GdbBreakpointKind.Access => "awatch",
                    _ => "watch",
                };
                return $"{word}:{Math.Max(stop.Address, range.Address):x};";
            default:
                return string.Empty;
        }
    }
}

/// <summary>The kinds of Z packets.</summary>
internal enum GdbBreakpointKind
{
    /// <summary>Z0. It is no different from a hardware one here, as no memory is changed.</summary>
    Software,

    /// <summary>Z1.</summary>
    Hardware,

    /// <summary>Z2: a watchpoint on writing.</summary>
    Write,

    /// <summary>Z3: on reading.</summary>
    Read,

    /// <summary>Z4: on both.</summary>
    Access,
}
