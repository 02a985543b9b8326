using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>A guest's console on a terminal, and the terminal afterwards.</summary>
public sealed class TerminalTests : IDisposable
{
    private const string Greeting = "guest> ";

    private readonly TestFolder _folder = new();
    private readonly PseudoTerminal _terminal = new();

    public void Dispose()
    {
        _terminal.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void The_terminal_is_raw_while_the_guest_runs_and_as_before_afterwards()
    {
        using Process process = StartEchoer();

        string settings = _terminal.Settings("-a");
        foreach (string raw in (string[])["-icanon", "-echo", "-isig", "-opost", "-icrnl", "-ixon"])
        {
            Assert.Contains(raw, settings, StringComparison.Ordinal);
        }

        _terminal.Type("q");
        LguestProcess.WaitFor(process);
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
    }

    [Fact]
    public void Every_key_reaches_the_guest_as_it_is_and_its_bytes_reach_the_screen_as_they_are()
    {
        using Process process = StartEchoer();

        foreach (string key in (string[])["a", "\r", "\n", "\u0003", "\u0004", "\u001a", "\u001c", "\u0011\u0013", "\u001b[A", "\u00ff\u0000", "q"])
        {
            string before = _terminal.Screen;
            _terminal.Type(key);
            _terminal.Await(before + key);
        }

        LguestProcess.WaitFor(process);
        Assert.Equal(Greeting + "a\r\n\u0003\u0004\u001a\u001c\u0011\u0013\u001b[A\u00ff\u0000q", _terminal.Screen);
        Assert.Equal(string.Empty, process.StandardError.ReadToEnd());
    }

    [Theory]
    [InlineData("TERM", 143)]
    [InlineData("INT", 130)]
    [InlineData("HUP", 129)]
    [InlineData("KILL", 137)]
    public void A_signal_leaves_the_terminal_as_it_was(string signal, int exitCode)
    {
        using Process process = StartEchoer();

        LguestProcess.Send(signal, process);
        LguestProcess.WaitFor(process);

        Assert.Equal(exitCode, process.ExitCode);
        _terminal.AwaitSavedSettings();
    }

    [Fact]
    public void A_crash_leaves_the_terminal_as_it_was()
    {
        using Process process = StartEchoer();

        // .NET takes the first for a null reference, and lets it pass when it wasn't one.
        while (!process.HasExited)
        {
            LguestProcess.Send("SEGV", process);
            process.WaitForExit(TimeSpan.FromMilliseconds(200));
        }

        Assert.NotEqual(0, process.ExitCode);
        _terminal.AwaitSavedSettings();
    }

    [Fact]
    public void Control_C_three_times_within_a_second_ends_the_run_and_the_second_says_so()
    {
        using Process process = StartEchoer();

        _terminal.Type("\u0003\u0003\u0003");
        LguestProcess.WaitFor(process);

        Assert.Equal(130, process.ExitCode);
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
        Assert.Equal(
            "lguest: press ^C once more, within a second of the first, to end the run\nlguest: ended by ^C\n",
            process.StandardError.ReadToEnd());
    }

    [Fact]
    public void A_guest_that_hangs_is_ended_by_control_C_too()
    {
        using Process process = Start(GuestProgram.Spinner(Greeting));
        _terminal.Await(Greeting);

        _terminal.Type("\u0003\u0003\u0003");
        LguestProcess.WaitFor(process);

        Assert.Equal(130, process.ExitCode);
    }

    [Fact]
    public void While_the_process_is_stopped_the_terminal_is_as_it_was()
    {
        using Process process = StartEchoer();

        LguestProcess.Send("TSTP", process);
        PseudoTerminal.Eventually(() => State(process) == 'T', () => "The process never stopped.");
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
        LguestProcess.Send("CONT", process);
        _terminal.AwaitRaw();

        _terminal.Type("q");
        LguestProcess.WaitFor(process);
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
    }

    [Fact]
    public void A_terminal_that_is_hung_up_ends_the_run()
    {
        LguestProcess.SkipWhereIgnored("HUP");
        using Process process = StartEchoer();

        _terminal.Dispose();
        LguestProcess.WaitFor(process);

        Assert.Equal(129, process.ExitCode);
    }

    [Theory]
    [InlineData("--version", "lguest ")]
    [InlineData("--help", "Usage: lguest ")]
    public void No_library_writes_to_the_screen(string option, string start)
    {
        using Process process = _terminal.Start(LguestProcess.Path, option);
        LguestProcess.WaitFor(process);

        _terminal.Await("\n");
        Assert.StartsWith(start, _terminal.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', _terminal.Screen);
    }

    [Fact]
    public void A_mistake_in_the_command_line_leaves_the_terminal_alone()
    {
        using Process process = _terminal.Start(LguestProcess.Path, "64m", "no/such/kernel", "--clock=virtual");
        LguestProcess.WaitFor(process);

        Assert.Equal(125, process.ExitCode);
        Assert.Equal(string.Empty, _terminal.Screen);
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
    }

    private static char State(Process process)
    {
        string stat = File.ReadAllText($"/proc/{process.Id}/stat");
        return stat[stat.LastIndexOf(')') + 2];
    }

    // With an option, so that CommandLineParser has its chance to write to the screen.
    private Process Start(byte[] kernel) =>
        _terminal.Start(LguestProcess.Path, "8m", _folder.File("vmlinux", kernel), "--clock=real");

    private Process StartEchoer()
    {
        Process process = Start(GuestProgram.Echoer(Greeting));
        _terminal.Await(Greeting);
        Assert.Equal(Greeting, _terminal.Screen);
        return process;
    }
}
