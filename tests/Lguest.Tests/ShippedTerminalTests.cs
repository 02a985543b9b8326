using System.Diagnostics;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>The guest that ships, with a person at its console: sessions, signals and job control are those of any Linux.</summary>
public sealed class ShippedTerminalTests : IDisposable
{
    private const string Prompt = "lguest:~# ";
    private const string ControlC = "\u0003";
    private const string ControlZ = "\u001a";
    private const string ControlBackslash = "\u001c";

    private readonly TestFolder _folder = new();
    private readonly PseudoTerminal _terminal = new();

    public void Dispose()
    {
        _terminal.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(ControlC, 130)]
    [InlineData(ControlBackslash, 131)]
    public void A_key_for_a_signal_ends_what_the_shell_runs_and_not_the_shell(string key, int status)
    {
        using Process process = StartShell();

        Enter("(echo begun; exec sleep 1000)");
        _terminal.Await("\nbegun\r\n");
        _terminal.Type(key);
        AwaitPrompt();
        Enter("echo status $?; exit 3");
        _terminal.Await($"\nstatus {status}\r\n");

        AssertEnded(process, 3);
    }

    [Fact]
    public void Control_C_at_the_prompt_gives_a_new_one()
    {
        using Process process = StartShell();

        _terminal.Type("never" + ControlC);
        AwaitPrompt();
        Enter("exit 4");

        AssertEnded(process, 4);
        Assert.DoesNotContain("not found", _terminal.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public void Control_Z_stops_a_job_and_fg_goes_on_with_it()
    {
        using Process process = StartShell();

        Enter("(echo begun; exec cat)");
        _terminal.Await("\nbegun\r\n");
        Enter("one");
        _terminal.Await("one\r\none\r\n");
        _terminal.Type(ControlZ);
        _terminal.Await("Stopped");
        AwaitPrompt();
        Enter("jobs; fg; echo status $?");
        _terminal.Await("cat)\r\n(echo");
        Enter("two");
        _terminal.Await("two\r\ntwo\r\n");
        _terminal.Type(ControlC);
        AwaitPrompt();
        Enter("exit 6");

        AssertEnded(process, 6);
    }

    [Theory]
    [InlineData(ControlC, "INT")]
    [InlineData(ControlBackslash, "QUIT")]
    public void A_command_on_the_kernels_command_line_hears_the_keys_for_signals(string key, string signal)
    {
        using Process process = Start($"run=\"trap 'echo caught {signal}; exit 5' {signal}; (echo begun; exec sleep 1000)\"");
        _terminal.Await("begun\r\n");
        _terminal.Type(key);

        AssertEnded(process, 5);
        Assert.Contains($"caught {signal}\r\n", _terminal.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_that_control_C_ends_is_over_and_so_is_the_guest()
    {
        using Process process = Start("run=\"echo begun; exec sleep 1000\"");
        _terminal.Await("begun\r\n");
        _terminal.Type(ControlC);

        AssertEnded(process, 99);
    }

    [Fact]
    public void No_signal_is_ignored_and_the_console_is_the_controlling_terminal()
    {
        using Process process = Start("run=\"tty; echo of it >/dev/tty; grep SigIgn: /proc/self/status\"");

        AssertEnded(process, 0);
        Assert.StartsWith("/dev/hvc0\r\nof it\r\nSigIgn:\t0000000000000000\r\n", _terminal.Screen, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("kill -9 $PPID; sleep 1000")]
    [InlineData("kill -9 -1; sleep 1000")]
    [InlineData("kill -9 $$")]
    public void Who_kills_the_session_has_ended_the_guest(string command)
    {
        using Process process = Start($"run=\"{command}\"");

        AssertEnded(process, 99);
    }

    [Fact]
    public void The_dead_are_buried_whose_parents_have_not_waited_for_them()
    {
        using Process process = Start("run=\"(true &); (true &); sleep 1; ps -o stat,comm | grep -c ^Z\"");

        AssertEnded(process, 1);
        Assert.StartsWith("0\r\n", _terminal.Screen, StringComparison.Ordinal);
    }

    private Process StartShell()
    {
        Process process = Start();
        AwaitPrompt();
        return process;
    }

    private Process Start(params string[] words) => _terminal.Start(
        [LguestProcess.Path, "64m", Image("vmlinux"), $"--block={Image("rootfs.ext2")},ro", "--timeout=60s", "quiet", "root=/dev/lgba", .. words]);

    private void Enter(string line) => _terminal.Type(line + "\r");

    // A prompt that nothing has followed yet.
    private void AwaitPrompt() => PseudoTerminal.Eventually(
        () => _terminal.Screen.EndsWith(Prompt, StringComparison.Ordinal) || _terminal.Screen.EndsWith(Prompt + "\u001b[6n", StringComparison.Ordinal),
        () => $"There is no prompt, but '{_terminal.Screen}'.");

    private void AssertEnded(Process process, int exitCode)
    {
        LguestProcess.WaitFor(process);
        Assert.True(exitCode == process.ExitCode, $"exit code {process.ExitCode} instead of {exitCode}: '{_terminal.Screen}'");
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
    }
}
