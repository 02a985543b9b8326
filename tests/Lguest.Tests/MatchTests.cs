using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What is expected of the console, forbidden there, and typed.</summary>
public sealed class MatchTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0, null, "--expect=^Hello, w.rld$")]
    [InlineData(0, null, "--expect=world", "--expect=^no end")]
    [InlineData(102, "nothing on the console matched --expect=^world", "--expect=^world")]
    [InlineData(102, "nothing on the console matched --expect=a.c", "--expect=Hello", "--expect=a.c")]
    [InlineData(102, "the console showed what --forbid=w..ld forbids: Hello, world", "--expect=Hello", "--forbid=w..ld")]
    [InlineData(0, null, "--forbid=^world", "--forbid=\\r|\\x1b")]
    public void Lines_are_matched_without_what_a_terminal_hides(int exitCode, string? sentence, params string[] options)
    {
        const string Text = "\u001b[1;31mHello,\u001b]0;title\u0007 \u001b(Bwor\rld\u001b[0m\r\nno end";

        LguestResult result = Run(GuestProgram.Greeter(Text), options);

        Assert.Equal(new LguestResult(exitCode, Text, sentence is null ? string.Empty : $"lguest: {sentence}\n"), result);
    }

    [Fact]
    public void A_death_is_stronger_than_an_expectation()
    {
        Assert.Equal(100, Run(GuestProgram.Panicker("oh"), "--expect=x").ExitCode);
        Assert.Equal(124, Run(GuestProgram.Spinner("oh"), "--expect=x", "--max-instructions=1M").ExitCode);
    }

    [Theory]
    [InlineData("--clock=real")]
    [InlineData("--clock=virtual")]
    public void What_is_sent_is_typed_when_its_prompt_is_there_one_after_the_other(string clock)
    {
        // It prints what it gets; a text with a q at its end switches it off.
        LguestResult result = Run(
            GuestProgram.Echoer("login: "), clock, "--send=login: $=>ro\\x6ft\\n", "--send=root=>\\tone\\\\\\n", "--send=on.=>q\\n", "--timeout=50s");

        Assert.Equal(new LguestResult(0, "login: root\n\tone\\\nq\n", string.Empty), result);
    }

    [Fact]
    public void Any_byte_can_be_sent() => Assert.Equal(
        new LguestResult(0, "> \u00ff\u0080\u007fq\n", string.Empty), Run(GuestProgram.Echoer("> "), "--clock=virtual", "--send=> =>\\xff\\x80\\x7fq\\n"));

    [Fact]
    public void What_is_answered_is_not_answered_again()
    {
        LguestResult result = Run(GuestProgram.Echoer("> "), "--clock=virtual", "--send=> =>a", "--send=> =>q\\n", "--max-instructions=10M");

        Assert.Equal((124, "> a"), (result.ExitCode, result.Output));
    }

    [Fact]
    public void Standard_input_is_for_others_where_something_is_sent()
    {
        LguestResult result = LguestProcess.Shell(
            "echo mine | { \"$0\" \"$@\"; cat; }", "8m", Kernel(GuestProgram.Echoer("> ")), "--send=> =>q\\n");

        Assert.Equal(new LguestResult(0, "> q\nmine\n", string.Empty), result);
    }

    [Theory]
    [InlineData("one\nq", "--stdin-end=eof", 124, "> one\nq\u0004\u0004")]
    [InlineData("one\n", "--stdin-end=eof", 124, "> one\n\u0004")]
    [InlineData("one\n", "--stdin-end=nothing", 124, "> one\n")]
    public void The_end_of_standard_input_is_a_key_if_it_is_to_be(string input, string option, int exitCode, string output)
    {
        // One that never ends.
        byte[] guest = GuestProgram.Echoer("> ", last: '\u0001');

        LguestResult result = LguestProcess.Run(input, "8m", Kernel(guest), option, "--clock=virtual", "--max-guest-time=1s");

        Assert.Equal((exitCode, output), (result.ExitCode, result.Output));
    }

    [Theory]
    [InlineData("103,4", 125, "lguest: the guest asks to be started again\nlguest: the exit code is 125 instead of 103, as --skip says\n")]
    [InlineData("4,124", 103, "lguest: the guest asks to be started again\n")]
    public void Codes_that_are_to_be_skipped_are_125(string codes, int exitCode, string errors) =>
        Assert.Equal(new LguestResult(exitCode, string.Empty, errors), Run(GuestProgram.Restarter(), $"--skip={codes}"));

    [Fact]
    public void Git_bisect_skips_what_can_not_be_judged()
    {
        // Eight versions of a kernel: two of them restart, the sixth panics.
        string script = """
            set -e; cd "$1"; lguest=$0; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a
            git init -q .
            for i in 1 2 3 4 5 6 7 8; do
              case $i in 3|4) cp restarts vmlinux ;; 6|7|8) cp panics vmlinux ;; *) cp works vmlinux ;; esac
              echo $i >version; git add version vmlinux; git commit -qm "$i"
            done
            git bisect start HEAD HEAD~7 >/dev/null
            git bisect run "$lguest" 8m vmlinux --skip=124,103,4 >log 2>&1 </dev/null || cat log
            git show -s --format=%s refs/bisect/bad; grep -c 'instead of 103' log || true
            """;
        _folder.File("restarts", GuestProgram.Restarter());
        _folder.File("panics", GuestProgram.Panicker("x"));
        _folder.File("works", GuestProgram.Greeter("x"));

        LguestResult result = LguestProcess.Shell(script, _folder.Name);

        Assert.True(result.Output.StartsWith("6\n", StringComparison.Ordinal), result.Output + result.Errors);
        Assert.True(int.Parse(result.Output.Split('\n')[1]) > 0, result.Output);
    }

    [Theory]
    [InlineData("--expect=(", "--expect=( is no regular expression: ")]
    [InlineData("--forbid=(?=x)", "--forbid=(?=x): lookarounds, back references and the like are not for expressions here")]
    [InlineData("--send=x", "--send=x is not what to wait for and what to type then: write --send='login:=>root\\n'")]
    [InlineData("--send==>x", "--send==>x is not what to wait for")]
    [InlineData("--send=x=>\\q", "--send=x=>\\q: after a backslash there may be ")]
    [InlineData("--skip=0", "--skip=0 is no list of exit codes from 1 to 255: write 124,103,4")]
    [InlineData("--skip=1,256", "--skip=1,256 is no list of exit codes")]
    [InlineData("--stdin-end=maybe", "--stdin-end=maybe: write nothing or eof")]
    [InlineData("--max-silence=1", "--max-silence=1 is not a time: write 30s, 500ms, 5m or 1h")]
    public void What_can_not_be_understood_is_refused(string option, string sentence)
    {
        LguestResult result = Run(GuestProgram.Greeter("x"), option);

        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.StartsWith($"lguest: {sentence}", result.Errors, StringComparison.Ordinal);
    }

    private string Kernel(byte[] image) => _folder.File("vmlinux", image);

    private LguestResult Run(byte[] kernel, params string[] options) => LguestProcess.Run(string.Empty, ["8m", Kernel(kernel), .. options]);
}
