using System.Globalization;
using Lguest.CommandLine;
using Lguest.Cpu.Debugging;
using Lguest.Host;
using Lguest.Host.Observation;
using Lguest.Insight.Gdb;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running.Debugging;

/// <summary>
/// Stops a guest where its debugger wants it, and serves the debugger meanwhile, on the processor's thread. The guest's clock stands
/// still while it is stopped. A debugger that goes without a word leaves a guest that runs on.
/// </summary>
/// <param name="server">Where debuggers come.</param>
/// <param name="pageOffset">Where the kernel maps physical address 0.</param>
/// <param name="hold">Who holds the guest.</param>
/// <param name="end">Ends the run.</param>
/// <param name="logger">For messages.</param>
/// <param name="monitor">Answers <c>monitor COMMAND</c>.</param>
internal sealed class GdbObserver(GdbServer server, uint pageOffset, GuestHold hold, RunEnd end, ILogger logger, Func<Guest, string, string> monitor) : IGuestObserver
{
    private const string DebuggerHolds = "the guest waits for its debugger: what was asked for here is done when that lets it go on";
    private const int InterruptSignal = 2;
    private const int TrapSignal = 5;
    private const int AbortSignal = 6;
    private const int TerminateSignal = 15;

    /// <summary>What exit codes for signals are above those.</summary>
    private const int SignalBase = 128;

    private GdbConnection? _connection;
    private GdbSession? _session;
    private ulong? _stepFrom;
    private bool _hasBegun;
    private bool _isOver;

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        if (!_hasBegun)
        {
            _hasBegun = true;
            Begin(guest);
        }

        if (end.Token.IsCancellationRequested)
        {
            return NextLook.Never;
        }

        GdbConnection? connection = server.Connection;
        if (connection != _connection)
        {
            if (_session is not null)
            {
                SayGone();
            }

            Release(guest);
            _connection = connection;
            if (connection is not null)
            {
                _session = new GdbSession(guest.Processor, guest.PhysicalMemory, pageOffset) { Monitor = command => monitor(guest, command) };
                return Serve(guest);
            }
        }

        return _session is not null && StopReply(guest, _session) is { } reply ? Halt(guest, reply) : Next();
    }

    /// <summary>After the run: lets the debugger look at a guest that has died, and tells it how it ended.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="outcome">How its run ended.</param>
    public void Finish(Guest guest, GuestOutcome outcome)
    {
        _isOver = true;
        bool isDead = outcome is GuestOutcome.Panic or GuestOutcome.Died or GuestOutcome.Killed;
        if (isDead && _session is { } session && !end.Token.IsCancellationRequested)
        {
            Halt(guest, session.Stop(AbortSignal, null));
        }

        // A debugger that has gone hears nothing.
        if (_session is not null)
        {
            int signal = isDead ? AbortSignal : SignalOf(end.Reason);
            _connection!.Send(outcome is GuestOutcome.PowerOff off
                ? string.Create(CultureInfo.InvariantCulture, $"W{off.Status & byte.MaxValue:x2}")
                : string.Create(CultureInfo.InvariantCulture, $"X{signal:x2}"));
        }
    }

    /// <summary>The signal that has ended a run, by gdb's number, which is Linux's for these; SIGTERM for a limit.</summary>
    private static int SignalOf(EndReason? reason) => reason is { ExitCode: > SignalBase } signal ? signal.ExitCode - SignalBase : TerminateSignal;

    private void Begin(Guest guest)
    {
        ClockState clock = guest.Clock.State;
        using IDisposable held = hold.Take(DebuggerHolds);
        string sentence = $"the guest waits for a debugger: `target remote {server.Address}` in gdb";
        LaunchLog.Information(logger, sentence);
        server.Start(() => Attend(guest));
        try
        {
            server.Await(end.Token);
        }
        catch (OperationCanceledException)
        {
            // The run ends before it has begun.
        }

        guest.Clock.State = clock;
    }

    /// <summary>A debugger has come or gone, or has sent a ^C. On the server's thread.</summary>
    private void Attend(Guest guest)
    {
        if (server.Connection is not null && hold.Sentence is { } sentence && sentence != DebuggerHolds)
        {
            LaunchLog.Information(logger, sentence);
        }

        guest.RequestLook();
    }

    /// <summary>What the debugger is to be told, if the guest has come to where it wanted it.</summary>
    private string? StopReply(Guest guest, GdbSession session)
    {
        if (_connection!.TakeInterrupt())
        {
            return session.Stop(InterruptSignal, null);
        }

        if (guest.Processor.Stops.Last is { } stop)
        {
            return session.Stop(TrapSignal, stop);
        }

        bool hasStepped = _stepFrom is { } from && guest.Processor.Retired > from;
        if (hasStepped && session.IsInStepRange)
        {
            _stepFrom = guest.Processor.Retired;
            return null;
        }

        return hasStepped ? session.Stop(TrapSignal, null) : null;
    }

    private NextLook Halt(Guest guest, string reply)
    {
        _connection!.Send(reply);
        return Serve(guest);
    }

    /// <summary>Answers the debugger until it lets the guest run.</summary>
    private NextLook Serve(Guest guest)
    {
        ClockState clock = guest.Clock.State;
        GdbReaction? answer;
        using (hold.Take(DebuggerHolds))
        {
            answer = Answer();
        }

        guest.Clock.State = clock;
        _stepFrom = null;
        if (answer is not { } reaction)
        {
            // The debugger is still there, to be told of the end.
            return NextLook.Never;
        }

        guest.HoldsInterrupts = reaction == GdbReaction.Step;
        guest.Processor.Stops.AtExceptions = reaction == GdbReaction.Step;
        switch (reaction)
        {
            case GdbReaction.Step:
                _stepFrom = guest.Processor.Retired;
                _session!.Arm();
                break;
            case GdbReaction.Continue:
                _session!.Arm();
                break;
            case GdbReaction.Kill:
                end.Request(new EndReason(ExitCode.Interrupted, "ended by the debugger"));
                break;
            default:
                Release(guest);
                break;
        }

        return Next();
    }

    /// <summary>Answers packets until one lets the guest run; null when the run is to end.</summary>
    private GdbReaction? Answer()
    {
        GdbConnection connection = _connection!;
        try
        {
            while (connection.Take(end.Token) is { } packet)
            {
                GdbReaction reaction = _session!.Handle(packet, out string? reply);
                if (_session.EndsAcknowledging)
                {
                    connection.EndAcknowledging();
                }

                if (reply is not null)
                {
                    connection.Send(reply);
                }

                if (reaction != GdbReaction.Stay)
                {
                    return reaction;
                }
            }

            SayGone();
            return GdbReaction.Detach;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private void SayGone() => LaunchLog.Information(logger, _isOver ? "the debugger has gone" : "the debugger has gone: the guest runs on");

    /// <summary>The debugger is gone, or wants to go: the guest runs as if there had been none.</summary>
    private void Release(Guest guest)
    {
        _session = null;
        _stepFrom = null;
        guest.HoldsInterrupts = false;
        guest.Processor.Stops.Release();
    }

    private NextLook Next() => _stepFrom is null ? NextLook.Never : NextLook.AfterInstructions(1);
}
