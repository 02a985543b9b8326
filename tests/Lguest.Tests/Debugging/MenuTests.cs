using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests.Debugging;

/// <summary>The menu behind ^] on a terminal.</summary>
public sealed class MenuTests : IDisposable
{
    private const string Greeting = "guest> ";
    private const string Escape = "\u001d";

    private readonly TestFolder _folder = new();
    private readonly PseudoTerminal _terminal = new();
    private readonly List<string> _errors = [];

    public void Dispose()
    {
        _terminal.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void It_tells_its_keys_and_quits_and_the_guest_gets_none_of_it()
    {
        using Process process = Start(GuestProgram.Echoer(Greeting, 'x'));
        _terminal.Type("a" + Escape + "h");
        AwaitError("  ^]      goes to the guest");
        _terminal.Type("b" + Escape + "\u0001c");
        AwaitError("there is nothing on that key: the menu is closed");
        _terminal.Await(Greeting + "abc");
        _terminal.Type(Escape + "q");
        LguestProcess.WaitFor(process);

        Assert.Equal(130, process.ExitCode);
        AwaitError("ended from the menu");
        Assert.Equal(Greeting + "abc", _terminal.Screen);
        Assert.Equal(_terminal.SavedSettings, _terminal.Settings("-g"));
    }

    [Fact]
    public void Twice_it_is_the_guests_and_s_and_a_key_are_a_SysRq()
    {
        using Process process = Start(GuestProgram.Echoer(Greeting));
        _terminal.Type(Escape + Escape);
        _terminal.Await(Greeting + Escape);
        _terminal.Type(Escape + "sm");
        _terminal.Await(Greeting + Escape + "\u000fm");
        _terminal.Type("q");
        LguestProcess.WaitFor(process);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void A_guest_that_is_paused_does_nothing_until_it_goes_on()
    {
        using Process process = Start(GuestProgram.Echoer(Greeting));
        _terminal.Type(Escape + "p");
        AwaitError("the guest is paused: ^] p lets it go on");
        _terminal.Type("z");
        Thread.Sleep(TimeSpan.FromMilliseconds(200));
        Assert.Equal(Greeting, _terminal.Screen);

        // It can be looked at meanwhile.
        _terminal.Type(Escape + "r");
        AwaitError("cr0 80");
        _terminal.Type(Escape + "p");
        AwaitError("the guest goes on");
        _terminal.Await(Greeting + "z");
        _terminal.Type("q");
        LguestProcess.WaitFor(process);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void Who_holds_the_guest_is_told_to_who_wants_something_of_it()
    {
        string socket = _folder.Path("gdb");
        using Process process = _terminal.Start(
            LguestProcess.Path, "8m", _folder.File("vmlinux", GuestProgram.Echoer(Greeting)), "--clock=real", $"--gdb={socket}");
        Listen(process);
        AwaitError("the guest waits for a debugger");
        using (GdbClient client = GdbClient.Connect(socket))
        {
            _terminal.Type(Escape + "p");
            AwaitError("the guest waits for its debugger: what was asked for here is done when that lets it go on");
            Assert.Equal("OK", client.Ask("D"));
            AwaitError("the guest is paused: ^] p lets it go on");
        }

        using GdbClient second = GdbClient.Connect(socket);
        second.Send("?");
        AwaitError("the guest is paused from the menu: its debugger hears of it when ^] p lets it go on");
        _terminal.Type(Escape + "p");
        Assert.Equal("S05", second.Receive());
        Assert.Equal("OK", second.Ask("D"));
        _terminal.Await(Greeting);
        _terminal.Type("q");
        LguestProcess.WaitFor(process);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void A_paused_guest_ends_like_any_other()
    {
        using Process process = Start(GuestProgram.Spinner(Greeting));
        _terminal.Type(Escape + "p");
        AwaitError("the guest is paused: ^] p lets it go on");
        _terminal.Type("\u0003\u0003\u0003");
        LguestProcess.WaitFor(process);
        Assert.Equal(130, process.ExitCode);
    }

    [Fact]
    public void Tasks_and_SysRq_are_those_of_the_kernel_that_ships()
    {
        using Process process = _terminal.Start(
            LguestProcess.Path, "64m", ShippedImages.Image("vmlinux"), $"--block={ShippedImages.Image("rootfs.ext2")},snapshot", "root=/dev/lgba");
        Listen(process);
        _terminal.Await("lguest:~# ");
        _terminal.Type(Escape + "d");
        AwaitError("kthreadd");
        AwaitError("init ");
        _terminal.Type(Escape + "sh");
        _terminal.Await("HELP : ");
        _terminal.Type("exit 3\r");
        LguestProcess.WaitFor(process);
        Assert.Equal(3, process.ExitCode);
    }

    private Process Start(byte[] kernel)
    {
        Process process = _terminal.Start(LguestProcess.Path, "8m", _folder.File("vmlinux", kernel), "--clock=real");
        Listen(process);
        _terminal.Await(Greeting);
        return process;
    }

    private void Listen(Process process)
    {
        process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.Add(line.Data ?? string.Empty);
            }
        };
        process.BeginErrorReadLine();
    }

    private void AwaitError(string text) => PseudoTerminal.Eventually(
        () =>
        {
            lock (_errors)
            {
                return _errors.Exists(line => line.Contains(text, StringComparison.Ordinal));
            }
        },
        () => string.Join('\n', _errors));
}
