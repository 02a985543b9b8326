using System.Globalization;
using System.Text;
using Lguest.Cpu;
using Lguest.Cpu.Debugging;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Insight.Memory;

namespace Lguest.Insight.Gdb;

/// <summary>What a debugger's packet asks for.</summary>
public enum GdbReaction
{
    /// <summary>It has been answered; the guest stays stopped.</summary>
    Stay,

    /// <summary>The guest is to run.</summary>
    Continue,

    /// <summary>It is to execute one instruction, or more while it stays in <see cref="GdbSession.StepRange"/>.</summary>
    Step,

    /// <summary>It is to run, and the debugger goes.</summary>
    Detach,

    /// <summary>It is to end.</summary>
    Kill,
}

/// <summary>
/// Answers a debugger that speaks gdb's remote serial protocol (gdb's manual, appendix E), about one processor: the packets, and nothing of
/// how they travel. It is stopped while this is used; only the processor's thread may.
/// </summary>
/// <remarks>
/// Whatever the packets are, they only ever change the guest. What isn't known is answered by an empty reply, and what can't be, by an
/// error.
/// </remarks>
/// <param name="processor">The processor.</param>
/// <param name="physical">Its memory.</param>
/// <param name="pageOffset">Where the kernel maps physical address 0: so the kernel can be read before it has page tables.</param>
public sealed class GdbSession(Processor processor, PhysicalMemory physical, uint pageOffset)
{
    /// <summary>The reply to a packet that is not as it should be.</summary>
    public const string Malformed = "E01";

    private const string Ok = "OK";
    private const string BadAddress = "E14";
    private const string TooMany = "E1c";
    private const int TrapSignal = 5;

    private readonly GdbRegisters _registers = new(processor);
    private readonly GdbBreakpoints _breakpoints = new();
    private bool _knowsBreakpoints;
    private uint _stoppedAt = processor.State.Cs.Base + processor.State.Eip;
    private string _lastStop = string.Create(CultureInfo.InvariantCulture, $"S{TrapSignal:x2}");

    /// <summary>The addresses within which stepping goes on: the first, and the first after it; null for one step.</summary>
    public (uint Start, uint End)? StepRange { get; private set; }

    /// <summary>Whether packets are acknowledged no more, the reply to this one neither.</summary>
    public bool EndsAcknowledging { get; private set; }

    /// <summary>Answers <c>monitor COMMAND</c>: a text of whole lines. Null for none.</summary>
    public Func<string, string>? Monitor { get; init; }

    /// <summary>Whether the processor is at an address at which stepping goes on.</summary>
    public bool IsInStepRange => StepRange is { } range && processor.State.Eip - range.Start < range.End - range.Start;

    private uint Here => processor.State.Cs.Base + processor.State.Eip;

    /// <summary>
    /// Has the processor stop where the debugger wants it, and go on: before it runs. A breakpoint where it was stopped is stepped over, and one
    /// to which the debugger has moved it is met.
    /// </summary>
    public void Arm()
    {
        processor.Stops.Set(_breakpoints.Instructions, _breakpoints.Data);
        if (Here == _stoppedAt)
        {
            processor.Stops.Pass();
        }
        else
        {
            processor.Stops.PassNothing();
        }
    }

    /// <summary>The reply for a stop.</summary>
    /// <param name="signal">gdb's number of a signal: 2 for ^C, 5 for all that debugging does.</param>
    /// <param name="stop">What the processor stopped for, if it was one of its own reasons.</param>
    public string Stop(int signal, DebugStop? stop)
    {
        _stoppedAt = Here;
        var reply = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"T{signal:x2}thread:1;"));
        reply.Append(stop is { } reason ? _breakpoints.Reason(reason, _knowsBreakpoints) : string.Empty);
        foreach (int number in (int[])[GdbRegisters.Esp, GdbRegisters.Ebp, GdbRegisters.Eip])
        {
            reply.Append(CultureInfo.InvariantCulture, $"{number:x2}:{Convert.ToHexStringLower(_registers.Read(number))};");
        }

        return _lastStop = reply.ToString();
    }

    /// <summary>Answers a packet.</summary>
    /// <param name="packet">Its data.</param>
    /// <param name="reply">What is to be sent at once; null for nothing.</param>
    public GdbReaction Handle(string packet, out string? reply)
    {
        reply = string.Empty;
        EndsAcknowledging = false;
        string rest = packet.Length == 0 ? string.Empty : packet[1..];
        switch (packet.Length == 0 ? '\0' : packet[0])
        {
            case 'c' or 's' or 'C' or 'S':
                return Resume(packet, out reply);
            case 'D':
                reply = Ok;
                return GdbReaction.Detach;
            case 'k':
                reply = null;
                return GdbReaction.Kill;
            case 'v':
                return HandleLong(packet, out reply);
            default:
                reply = Answer(packet, rest);
                return GdbReaction.Stay;
        }
    }

    private string Answer(string packet, string rest) => packet.Length == 0 ? string.Empty : packet[0] switch
    {
        '?' => _lastStop,
        'g' => string.Concat(Enumerable.Range(0, GdbRegisters.All.Count).Select(number => Convert.ToHexStringLower(_registers.Read(number)))),
        'G' => WriteRegisters(rest),
        'p' => GdbHex.TryParse(rest, out uint number) && number < GdbRegisters.All.Count ? Convert.ToHexStringLower(_registers.Read((int)number)) : Malformed,
        'P' => WriteRegister(rest),
        'm' => ReadMemory(rest),
        'M' => WriteMemory(rest, GdbHex.Bytes),
        'X' => WriteMemory(rest, static data => [.. data.ToArray().Select(each => (byte)each)]),
        'Z' or 'z' => SetBreakpoint(packet[0] == 'Z', rest),
        'H' or 'T' => Ok,
        'q' => Query(packet),
        'Q' when packet == "QStartNoAckMode" => StopAcknowledging(),
        _ => string.Empty,
    };

    private string StopAcknowledging()
    {
        EndsAcknowledging = true;
        return Ok;
    }

    private string Query(string packet)
    {
        const string Features = "qXfer:features:read:target.xml:";
        const string MonitorCommand = "qRcmd,";
        switch (packet.Split(':', ',', ';')[0])
        {
            case "qSupported":
                _knowsBreakpoints = packet.Contains("swbreak+", StringComparison.Ordinal);
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"PacketSize={GdbPacketReader.MostBytes:x};QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+");
            case "qXfer" when packet.StartsWith(Features, StringComparison.Ordinal):
                return Part(TargetDescription.Text, packet[Features.Length..]);
            case "qXfer" when packet.StartsWith("qXfer:features:", StringComparison.Ordinal):
                return "E00";
            case "qRcmd" when Monitor is { } monitor && packet.StartsWith(MonitorCommand, StringComparison.Ordinal):
                return GdbHex.Bytes(packet.AsSpan(MonitorCommand.Length)) is { } command ? RunMonitor(monitor, Encoding.UTF8.GetString(command)) : Malformed;
            case "qAttached":
                return "1";
            case "qC":
                return "QC1";
            case "qfThreadInfo":
                return "m1";
            case "qsThreadInfo":
                return "l";
            case "qThreadExtraInfo":
                return Convert.ToHexStringLower("the guest's processor"u8);
            case "qSymbol":
                return Ok;
            default:
                return string.Empty;
        }
    }

    /// <summary>A monitor's answer is one packet here: what doesn't fit is left out.</summary>
    private static string RunMonitor(Func<string, string> monitor, string command)
    {
        byte[] text = Encoding.UTF8.GetBytes(monitor(command));
        return text.Length == 0 ? Ok : Convert.ToHexStringLower(text.AsSpan(0, Math.Min(text.Length, GdbPacketReader.MostBytes / 2)));
    }

    private static string Part(string text, string range)
    {
        if (!GdbHex.TryParsePair(range, ',', out uint offset, out uint length) || offset > text.Length)
        {
            return Malformed;
        }

        string part = text.Substring((int)offset, (int)Math.Min(length, Math.Min((uint)text.Length - offset, GdbPacketReader.MostBytes / 2)));
        return (offset + part.Length == text.Length ? "l" : "m") + part;
    }

    private string WriteRegisters(string values)
    {
        if (GdbHex.Bytes(values) is not { } bytes || bytes.Length != GdbRegisters.All.Sum(register => register.Bytes))
        {
            return Malformed;
        }

        // What can't be changed stays: gdb writes all to change one.
        int place = 0;
        for (int number = 0; number < GdbRegisters.All.Count; number++)
        {
            int length = GdbRegisters.All[number].Bytes;
            _registers.TryWrite(number, bytes.AsSpan(place, length));
            place += length;
        }

        return Ok;
    }

    private string WriteRegister(string assignment)
    {
        int equals = assignment.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 && GdbHex.TryParse(assignment.AsSpan(0, equals), out uint number) && number < GdbRegisters.All.Count
            && GdbHex.Bytes(assignment.AsSpan(equals + 1)) is { } bytes && bytes.Length == GdbRegisters.All[(int)number].Bytes
            && _registers.TryWrite((int)number, bytes)
            ? Ok
            : Malformed;
    }

    private string ReadMemory(string range)
    {
        if (!GdbHex.TryParsePair(range, ',', out uint address, out uint length))
        {
            return Malformed;
        }

        // As much as there is: gdb asks for more than it needs.
        var bytes = new byte[Math.Min(length, GdbPacketReader.MostBytes / 2)];
        int done = 0;
        while (done < bytes.Length)
        {
            uint at = address + (uint)done;
            int piece = (int)Math.Min((uint)(bytes.Length - done), PhysicalMemory.PageSize - (at & PhysicalMemory.PageOffsetMask));
            if (!TryFind(at, (uint)piece, out ulong place))
            {
                break;
            }

            physical.Span(place, (uint)piece).CopyTo(bytes.AsSpan(done));

            done += piece;
        }

        return done == 0 && bytes.Length > 0 ? BadAddress : Convert.ToHexStringLower(bytes.AsSpan(0, done));
    }

    private string WriteMemory(string packet, Func<ReadOnlySpan<char>, byte[]?> decode)
    {
        int colon = packet.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0 || !GdbHex.TryParsePair(packet.AsSpan(0, colon), ',', out uint address, out uint length)
            || decode(packet.AsSpan(colon + 1)) is not { } bytes || bytes.Length != length)
        {
            return Malformed;
        }

        // All of it or nothing.
        var pieces = new List<(ulong Physical, int Start, int Length)>();
        for (int done = 0, piece; done < bytes.Length; done += piece)
        {
            uint at = address + (uint)done;
            piece = (int)Math.Min((uint)(bytes.Length - done), PhysicalMemory.PageSize - (at & PhysicalMemory.PageOffsetMask));
            if (!TryFind(at, (uint)piece, out ulong place))
            {
                return BadAddress;
            }

            pieces.Add((place, done, piece));
        }

        foreach ((ulong place, int start, int count) in pieces)
        {
            physical.Write(place, bytes.AsSpan(start, count));
        }

        return Ok;
    }

    /// <summary>Where a piece of a page is. Before the kernel has page tables, it is where they will have it.</summary>
    private bool TryFind(uint address, uint length, out ulong place)
    {
        bool isMapped = processor.TryTranslate(address, out place);
        if (isMapped && physical.Contains(place, length))
        {
            return true;
        }

        bool isPaging = (processor.ReadControlRegister(0) & Cr0.Pg) != 0;
        place = address - pageOffset;
        return !isPaging && DirectMapReader.Covers(address, pageOffset) && physical.Contains(place, length);
    }

    private string SetBreakpoint(bool isSet, string packet)
    {
        string[] parts = packet.Split(';')[0].Split(',');
        if (parts.Length != 3 || !GdbHex.TryParse(parts[0], out uint kind) || kind > (uint)GdbBreakpointKind.Access
            || !GdbHex.TryParse(parts[1], out uint address) || !GdbHex.TryParse(parts[2], out uint length))
        {
            return Malformed;
        }

        if (!isSet)
        {
            _breakpoints.Remove((GdbBreakpointKind)kind, address, length);
            return Ok;
        }

        return _breakpoints.TryAdd((GdbBreakpointKind)kind, address, length) ? Ok : TooMany;
    }

    private GdbReaction HandleLong(string packet, out string? reply)
    {
        const string Continuing = "vCont;";
        reply = string.Empty;
        if (packet == "vCont?")
        {
            reply = "vCont;c;C;s;S;r";
            return GdbReaction.Stay;
        }

        if (packet.Split(';')[0] == "vKill")
        {
            reply = Ok;
            return GdbReaction.Kill;
        }

        // There is one thread: the first action is its.
        return packet.StartsWith(Continuing, StringComparison.Ordinal) ? Resume(packet[Continuing.Length..].Split(';', ':')[0], out reply) : GdbReaction.Stay;
    }

    /// <summary>c, s and r, with an address to go on from or a range; C and S with a signal, which a processor can't be given.</summary>
    private GdbReaction Resume(string action, out string? reply)
    {
        reply = Malformed;
        string argument = action.Length > 1 ? action[1..] : string.Empty;
        StepRange = null;
        if (action.Length == 0)
        {
            return GdbReaction.Stay;
        }

        if (action[0] == 'r')
        {
            if (!GdbHex.TryParsePair(argument, ',', out uint start, out uint end))
            {
                return GdbReaction.Stay;
            }

            StepRange = (start, end);
        }
        else if (action[0] is 'c' or 's' && argument.Length > 0)
        {
            if (!GdbHex.TryParse(argument, out uint eip))
            {
                return GdbReaction.Stay;
            }

            processor.State.Eip = eip;
        }
        else if (action[0] is not ('c' or 's' or 'C' or 'S'))
        {
            return GdbReaction.Stay;
        }

        reply = null;
        return action[0] is 'c' or 'C' ? GdbReaction.Continue : GdbReaction.Step;
    }
}
