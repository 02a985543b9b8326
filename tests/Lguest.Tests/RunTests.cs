using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What a user sees of a run: output, messages, exit code.</summary>
public sealed class RunTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_guest_that_powers_off_leaves_its_output_and_exit_code_0_and_nothing_else()
    {
        LguestResult result = Run(GuestProgram.Greeter("Hello, \u0001\u00ff\r\nworld\n"));

        Assert.Equal(new LguestResult(0, "Hello, \u0001\u00ff\r\nworld\n", string.Empty), result);
    }

    [Fact]
    public void A_panic_is_told_with_its_text_and_exit_code_100()
    {
        LguestResult result = Run(GuestProgram.Panicker("Attempted to kill init!"));

        Assert.Equal(new LguestResult(100, string.Empty, "lguest: the guest panicked: Attempted to kill init!\n"), result);
    }

    [Fact]
    public void A_guest_that_does_what_it_may_not_is_killed_with_a_sentence_and_exit_code_101()
    {
        LguestResult result = Run(GuestProgram.Offender());

        Assert.Equal(101, result.ExitCode);
        Assert.Matches("^lguest: the guest was killed: .*99.*EIP 0xc01000.*\n$", result.Errors);
    }

    [Fact]
    public void A_restart_is_exit_code_103()
    {
        LguestResult result = Run(GuestProgram.Restarter());

        Assert.Equal(new LguestResult(103, string.Empty, "lguest: the guest asks to be started again\n"), result);
    }

    [Fact]
    public void A_guest_that_takes_too_long_is_exit_code_124()
    {
        LguestResult result = Run(GuestProgram.Spinner("here"), "--timeout=5s");

        Assert.Equal(new LguestResult(124, "here", "lguest: ended after 5 s, as --timeout says\n"), result);
    }

    [Fact]
    public void A_guest_that_executes_too_much_is_exit_code_124_after_exactly_so_many_instructions()
    {
        LguestResult result = Run(GuestProgram.Spinner("here"), "--max-instructions=12345", "--stats");

        Assert.Equal(124, result.ExitCode);
        string[] lines = result.Errors.Split('\n');
        Assert.StartsWith("lguest: 12,345 instructions in ", lines[0], StringComparison.Ordinal);
        Assert.Equal(
            ["lguest: hypercalls: LGUEST_INIT 1, SEND_DMA 1", "lguest: console: 4 bytes out, 0 in", "lguest: ended after as many instructions as --max-instructions says", ""],
            lines[^4..]);
    }

    [Theory]
    [InlineData("--max-guest-time=3h", "ended after 10800 s of the guest's time, as --max-guest-time says")]
    [InlineData("--max-silence=90m", "ended because nothing came from the guest in 5400 s of its time, as --max-silence says")]
    public void A_guest_that_sleeps_too_long_by_its_own_clock_is_exit_code_124_and_in_virtual_time_at_once(string limit, string sentence)
    {
        LguestResult result = Run(GuestProgram.Sleeper(), "--clock=virtual", limit);

        Assert.Equal(124, result.ExitCode);
        Assert.EndsWith($"\nlguest: {sentence}\n", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("</dev/null", "virtual")]
    [InlineData("<\"$0\"", "virtual")]
    [InlineData("<&-", "virtual")]
    [InlineData("</dev/zero", "real")]
    [InlineData("", "real")]
    public void Which_clock_a_guest_has_is_a_matter_of_its_input(string input, string clock)
    {
        LguestResult result = LguestProcess.Shell($"\"$0\" \"$@\" {input}", "8m", Kernel(GuestProgram.Greeter("x")), "--verbose");

        Assert.Equal((0, "x"), (result.ExitCode, result.Output));
        Assert.Contains($"lguest: the guest's time is {clock}\n", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_limit_by_the_guests_clock_counts_its_instructions_exactly()
    {
        LguestResult result = Run(GuestProgram.Spinner("here"), "--clock=virtual", "--max-guest-time=2ms", "--stats");

        Assert.Equal((124, "here"), (result.ExitCode, result.Output));
        Assert.StartsWith("lguest: 400,000 instructions in ", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void In_real_time_it_is_the_guests_time_that_counts_too()
    {
        LguestResult result = Run(GuestProgram.Sleeper(), "--clock=real", "--max-guest-time=700ms");

        Assert.Equal(new LguestResult(124, string.Empty, "lguest: ended after 0.7 s of the guest's time, as --max-guest-time says\n"), result);
    }

    [Fact]
    public void Whoever_prints_now_and_then_is_not_silent()
    {
        LguestResult result = Run(GuestProgram.Chatterer("on "), "--clock=virtual", "--max-silence=1ms", "--max-instructions=1M");

        Assert.Equal(124, result.ExitCode);
        Assert.Equal("lguest: ended after as many instructions as --max-instructions says\n", result.Errors);
    }

    [Fact]
    public void A_guest_without_a_console_is_said_to_have_none_after_five_seconds_of_its_own()
    {
        LguestResult result = Run(GuestProgram.Sleeper(), "--clock=virtual", "--timeout=3s");

        Assert.StartsWith("lguest: the guest has no console after 5 s: ", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guest_whose_host_has_no_time_for_it_is_not_called_silent()
    {
        using Process process = LguestProcess.Start("8m", Kernel(GuestProgram.SilentSpinner()), "--verbose");
        while (process.StandardError.ReadLine()?.Contains("the kernel is entered", StringComparison.Ordinal) == false)
        {
        }

        // As a host may that has too much to do.
        LguestProcess.Send("STOP", process);
        Thread.Sleep(TimeSpan.FromSeconds(6));
        LguestProcess.Send("CONT", process);
        Thread.Sleep(TimeSpan.FromMilliseconds(500));
        LguestProcess.Send("TERM", process);
        LguestResult result = LguestProcess.Finish(process, string.Empty);

        Assert.Equal(143, result.ExitCode);
        Assert.DoesNotContain("no console", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    [InlineData("HUP", 129)]
    public void A_signal_ends_the_run_with_128_and_its_number(string signal, int exitCode)
    {
        using Process process = LguestProcess.Start("8m", Kernel(GuestProgram.Spinner("up")));
        Assert.Equal('u', process.StandardOutput.Read());

        LguestProcess.Send(signal, process);
        LguestProcess.WaitFor(process);

        Assert.Equal(exitCode, process.ExitCode);
        Assert.Equal($"lguest: ended by SIG{signal}\n", process.StandardError.ReadToEnd());
    }

    [Fact]
    public void A_reader_of_the_output_that_goes_away_ends_the_run_with_exit_code_141()
    {
        using Process process = LguestProcess.Start("8m", Kernel(GuestProgram.Chatterer("on and on ")));
        Assert.Equal('o', process.StandardOutput.Read());

        process.StandardOutput.Close();
        LguestProcess.WaitFor(process);

        Assert.Equal(141, process.ExitCode);
        Assert.Equal("lguest: ended because standard output cannot be written: Broken pipe\n", process.StandardError.ReadToEnd());
    }

    [Fact]
    public void A_run_ends_by_signal_even_while_nobody_reads_its_output()
    {
        using Process process = LguestProcess.Start("8m", Kernel(GuestProgram.Chatterer("on and on ")));
        Assert.Equal('o', process.StandardOutput.Read());
        Thread.Sleep(TimeSpan.FromSeconds(1));

        LguestProcess.Send("TERM", process);
        LguestProcess.WaitFor(process);

        Assert.Equal(143, process.ExitCode);
    }

    [Theory]
    [InlineData("--clock=real")]
    [InlineData("--clock=virtual")]
    public void Piped_input_reaches_the_guest_and_its_end_does_not_end_the_guest(string clock)
    {
        LguestResult result = RunWith("one\ntwo\nq\n", GuestProgram.Echoer("> "), clock);

        Assert.Equal(new LguestResult(0, "> one\ntwo\nq\n", string.Empty), result);
    }

    [Fact]
    public void In_virtual_time_two_runs_with_the_same_input_are_the_same_to_the_instruction()
    {
        string first = Instructions();

        Assert.Equal(first, Instructions());

        string Instructions()
        {
            LguestResult result = RunWith("one\ntwo\nq\n", GuestProgram.Echoer("> "), "--clock=virtual", "--stats");
            return result.Output + result.Errors[..result.Errors.IndexOf(" instructions", StringComparison.Ordinal)];
        }
    }

    [Fact]
    public void A_trace_lists_instructions_from_a_count_on()
    {
        LguestResult result = Run(GuestProgram.Spinner("x"), "--trace=1", "--max-instructions=3");

        string[] lines = result.Errors.Split('\n');
        Assert.Matches("^ +1 1 c0100012 b801000000 +mov eax,1$", lines[0]);
        Assert.Matches("^ +2 1 c0100017 ba00001100 +mov edx,110000h$", lines[1]);
        Assert.StartsWith("lguest: ended after", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public void A_trace_lists_instructions_from_an_address_on()
    {
        LguestResult result = Run(GuestProgram.Spinner("x"), "--trace=0xC0100017", "--max-instructions=3");

        Assert.Matches("^ +2 1 c0100017 ba00001100 +mov edx,110000h\nlguest: ended after", result.Errors);
    }

    [Fact]
    public void A_verbose_run_says_where_the_kernel_is_entered()
    {
        LguestResult result = Run(GuestProgram.Greeter("x"), "--verbose");

        Assert.Contains("lguest: the kernel is entered at 0xc010000d, page offset 0xc0000000, ", result.Errors, StringComparison.Ordinal);
        Assert.Equal("x", result.Output);
    }

    [Theory]
    [InlineData(0x02, "the guest has printed nothing in 5 s, and its kernel isn't as far as its console: earlycon=lguest")]
    [InlineData(0x08, "the guest has no console after 5 s: build its kernel with lguest's (CONFIG_LGUEST_CONSOLE=y;")]
    [InlineData(null, "the guest has no console after 5 s: it hangs before that, which earlycon=lguest might show, or has none: build its kernel with")]
    public void A_silent_kernel_is_asked_for_a_console_only_if_it_may_have_none(int? drivers, string sentence)
    {
        LguestResult result = Run(GuestProgram.SilentRingZero((uint?)drivers), "--clock=virtual", "--max-instructions=1001M");

        Assert.Equal(124, result.ExitCode);
        Assert.StartsWith($"lguest: {sentence}", result.Errors, StringComparison.Ordinal);
    }

    private string Kernel(byte[] image) => _folder.File("vmlinux", image);

    private LguestResult Run(byte[] kernel, params string[] options) => RunWith(string.Empty, kernel, options);

    private LguestResult RunWith(string input, byte[] kernel, params string[] options) =>
        LguestProcess.Run(input, ["8m", Kernel(kernel), .. options]);
}
