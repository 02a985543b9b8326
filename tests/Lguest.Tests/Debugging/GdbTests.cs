using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using Lguest.TestSupport;

namespace Lguest.Tests.Debugging;

/// <summary>A guest under a debugger, from its first instruction to its end.</summary>
public sealed class GdbTests : IDisposable
{
    private const int Eip = 8;
    private const int Eax = 0;
    private const string Prlimit = "/usr/bin/prlimit";
    private readonly TestFolder _folder = new();

    private string Socket => _folder.Path("gdb");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void It_stops_before_the_first_instruction_and_steps_from_there(string engine)
    {
        using Process process = Start(GuestProgram.Greeter("hello"), $"--engine={engine}");
        using GdbClient client = GdbClient.Connect(Socket);

        Assert.Equal("S05", client.Ask("?"));
        uint entry = client.Register(Eip);
        Assert.Equal(0u, client.Register(Eax));

        // MOV ESP, imm32; MOV EAX, 1.
        Assert.StartsWith("T05thread:1;", client.Ask("vCont;s:1"), StringComparison.Ordinal);
        Assert.Equal((entry + 5, 0u), (client.Register(Eip), client.Register(Eax)));
        Assert.StartsWith("T05", client.Ask("s"), StringComparison.Ordinal);
        Assert.Equal((entry + 10, 1u), (client.Register(Eip), client.Register(Eax)));
        Assert.Equal("W00", client.Ask("c"));
        Assert.Equal((0, "hello"), Finish(process));
    }

    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void A_breakpoint_is_met_each_time_and_shows_nowhere_in_memory(string engine)
    {
        using Process process = Start(GuestProgram.Chatterer("x"), $"--engine={engine}");
        using GdbClient client = GdbClient.Connect(Socket);
        client.Ask("qSupported:swbreak+");
        uint entry = client.Register(Eip);

        // At the first instruction, though the guest is stopped there, and at one in the loop.
        string code = client.Ask($"m{entry:x},40");
        uint loop = entry + 30;
        for (; code.Substring((int)(2 * (loop - entry)), 2) != "cd"; loop++)
        {
        }

        Assert.Equal(("OK", "OK"), (client.Ask($"Z0,{loop:x},1"), client.Ask($"Z0,{entry:x},1")));
        Assert.Equal(code, client.Ask($"m{entry:x},40"));
        for (int i = 0; i < 50; i++)
        {
            Assert.Contains("swbreak:;", client.Ask("c"), StringComparison.Ordinal);
            Assert.Equal(loop, client.Register(Eip));
            Assert.Equal(code, client.Ask($"m{entry:x},40"));
        }

        client.Ask($"z0,{loop:x},1");
        client.Send("c");
        Assert.Equal('x', (char)process.StandardOutput.Read());
        client.SendRaw("\u0003");
        Assert.StartsWith("T02", client.Receive(), StringComparison.Ordinal);
        client.Send("k");
        (int exitCode, _) = Finish(process);
        Assert.Equal(130, exitCode);
    }

    [Fact]
    public void A_watchpoint_stops_right_after_the_write_that_it_is_for()
    {
        using Process process = Start(GuestProgram.Greeter("hello"));
        using GdbClient client = GdbClient.Connect(Socket);

        // The guest clears the head of its DMA list when it has printed, and fills its address before.
        const uint DmaBuffer = 0xc011_1004;
        Assert.Equal("OK", client.Ask($"Z2,{DmaBuffer:x},4"));
        Assert.StartsWith($"T05thread:1;watch:{DmaBuffer:x};", client.Ask("c"), StringComparison.Ordinal);
        Assert.Equal("00201100", client.Ask($"m{DmaBuffer:x},4"));
        uint after = client.Register(Eip);
        Assert.Equal("c705", client.Ask($"m{after - 10:x},2"));
        client.Ask($"z2,{DmaBuffer:x},4");
        Assert.Equal("W00", client.Ask("c"));
        Assert.Equal((0, "hello"), Finish(process));
    }

    [Fact]
    public void A_guest_that_sleeps_is_stopped_all_the_same()
    {
        using Process process = Start(GuestProgram.Sleeper());
        using GdbClient client = GdbClient.Connect(Socket);
        client.Send("c");
        Thread.Sleep(TimeSpan.FromMilliseconds(100));
        client.SendRaw("\u0003");
        Assert.StartsWith("T02", client.Receive(), StringComparison.Ordinal);
        client.Send("vKill;1");
        Assert.Equal("OK", client.Receive());
        Assert.Equal(130, Finish(process).ExitCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Who_detaches_or_just_goes_leaves_a_guest_that_runs_on(bool detaches)
    {
        using Process process = Start(GuestProgram.Echoer("> "));
        using (GdbClient client = GdbClient.Connect(Socket))
        {
            uint entry = client.Register(Eip);
            client.Ask($"Z1,{entry + 5:x},1");
            if (detaches)
            {
                Assert.Equal("OK", client.Ask("D"));
            }
        }

        Assert.Equal('>', (char)process.StandardOutput.Read());

        // Another may come, and finds it stopped where it is.
        using (GdbClient second = GdbClient.Connect(Socket))
        {
            Assert.Matches("^S05$", second.Ask("?"));
            Assert.Equal("OK", second.Ask("D"));
        }

        LguestResult result = LguestProcess.Finish(process, "q");
        Assert.Equal((0, " q"), (result.ExitCode, result.Output));
        Assert.Equal(!detaches, result.Errors.Contains("the debugger has gone: the guest runs on", StringComparison.Ordinal));
    }

    [Fact]
    public void A_guest_that_dies_can_be_looked_at_before_the_run_ends()
    {
        using Process process = Start(GuestProgram.Panicker("it hurts"));
        using GdbClient client = GdbClient.Connect(Socket);
        Assert.StartsWith("T06", client.Ask("c"), StringComparison.Ordinal);
        Assert.NotEqual(0u, client.Register(Eip));
        Assert.Equal("X06", client.Ask("c"));
        (int exitCode, _) = Finish(process);
        Assert.Equal(100, exitCode);
    }

    [Fact]
    public void Who_leaves_a_dead_guest_is_not_said_to_leave_one_that_runs()
    {
        using Process process = Start(GuestProgram.Panicker("it hurts"));
        using (GdbClient client = GdbClient.Connect(Socket))
        {
            Assert.StartsWith("T06", client.Ask("c"), StringComparison.Ordinal);
        }

        LguestResult result = LguestProcess.Finish(process, string.Empty);
        Assert.Equal(100, result.ExitCode);
        Assert.Contains("the debugger has gone\n", result.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("runs on", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Who_only_looks_whether_there_is_somebody_lets_no_guest_go_and_keeps_no_debugger_out()
    {
        using Process process = Start(GuestProgram.Greeter("hello"));
        GdbClient.Connect(Socket).Dispose();
        using (GdbClient probe = GdbClient.Connect(Socket))
        {
            probe.SendRaw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n\u0003+$bad#00");
        }

        // This one stays, and says nothing.
        using GdbClient silent = GdbClient.Connect(Socket);
        using GdbClient client = GdbClient.Connect(Socket);
        Assert.Equal("S05", client.Ask("?"));
        Assert.Equal(0u, client.Register(Eax));
        Assert.Equal("W00", client.Ask("c"));
        LguestResult result = LguestProcess.Finish(process, string.Empty);
        Assert.Equal((0, "hello", false), (result.ExitCode, result.Output, result.Errors.Contains("has gone", StringComparison.Ordinal)));
    }

    [Fact]
    public void Time_in_which_a_guest_waits_for_its_debugger_is_not_the_guests()
    {
        using Process process = Start(GuestProgram.Greeter("hello"), "--clock=real", "--max-guest-time=1s");
        GdbClient.Connect(Socket).Dispose();
        Thread.Sleep(TimeSpan.FromSeconds(1.5));
        using GdbClient client = GdbClient.Connect(Socket);
        Assert.Equal("W00", client.Ask("c"));
        Assert.Equal((0, "hello"), Finish(process));
    }

    [Fact]
    public void When_descriptors_run_out_it_waits_for_some_and_then_serves()
    {
        Assert.SkipUnless(File.Exists(Prlimit), "prlimit isn't installed.");
        using Process process = Start(GuestProgram.Greeter("hello"));
        using (GdbClient probe = GdbClient.Connect(Socket))
        {
            // What it takes to serve is loaded by then.
            probe.SendRaw("$bad#00");
            Assert.Equal('-', probe.ReceiveByte());
        }

        string task = Directory.GetDirectories($"/proc/{process.Id}/task").Single(each => File.ReadAllText($"{each}/comm") == "debugger\n");
        HashSet<string> open = [.. Directory.GetFileSystemEntries($"/proc/{process.Id}/fd").Select(each => Path.GetFileName(each)!)];
        Limit(Enumerable.Range(0, open.Count + 1).First(each => !open.Contains($"{each}")));

        // Linux has set one aside for the call that waits already.
        GdbClient.Connect(Socket).Dispose();
        using GdbClient client = GdbClient.Connect(Socket);

        // Who tries again and again without a pause never waits.
        long before = Waits();
        for (DateTime end = DateTime.UtcNow.AddSeconds(60); Waits() < before + 5;)
        {
            Assert.True(DateTime.UtcNow < end, "the thread for debuggers is never at rest");
            Thread.Sleep(50);
        }

        Limit(1024);
        Assert.Equal("W00", client.Ask("c"));
        Assert.Equal((0, "hello"), Finish(process));

        void Limit(int descriptors)
        {
            using Process limit = Process.Start(Prlimit, ["--pid", $"{process.Id}", $"--nofile={descriptors}:"]);
            limit.WaitForExit();
            Assert.Equal(0, limit.ExitCode);
        }

        long Waits() => long.Parse(
            Regex.Match(File.ReadAllText($"{task}/status"), "(?m)^voluntary_ctxt_switches:\\s*([0-9]+)$").Groups[1].Value,
            System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Nonsense_does_nothing_and_the_next_packet_is_answered()
    {
        using Process process = Start(GuestProgram.Greeter("hello"));
        using GdbClient client = GdbClient.Connect(Socket);
        client.SendRaw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n$bad#00");
        Assert.Equal('-', client.ReceiveByte());
        client.SendRaw("$" + new string('m', 100_000) + "#00");
        Assert.Equal('-', client.ReceiveByte());
        Assert.Equal("OK", client.Ask("QStartNoAckMode"));
        client.SendRaw("-+-");

        // What is damaged isn't asked for again any more, but its sender isn't left alone either.
        client.SendRaw("$qC#00");
        Assert.Equal("E01", client.Receive());
        Assert.Equal("QC1", client.Ask("qC"));
        Assert.Equal("W00", client.Ask("c"));
        Assert.Equal((0, "hello"), Finish(process));
    }

    [Fact]
    public void In_virtual_time_a_guest_that_was_stopped_executes_the_same_instructions()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("hello"));
        LguestResult plain = LguestProcess.Run(string.Empty, "8m", kernel, "--clock=virtual", "--stats");
        using Process process = LguestProcess.Start("8m", kernel, "--clock=virtual", "--stats", $"--gdb={Socket}");
        using (GdbClient client = GdbClient.Connect(Socket))
        {
            for (int i = 0; i < 5; i++)
            {
                client.Ask("s");
            }

            client.Ask($"Z0,{client.Register(Eip) + 1:x},1");
            client.Ask("c");
        }

        LguestResult debugged = LguestProcess.Finish(process, string.Empty);
        Assert.Equal(Executed(plain), Executed(debugged));

        static string Executed(LguestResult result) => Regex.Match(result.Errors, "(?m)^lguest: [0-9,]+ instructions").Value is { Length: > 0 } line
            ? line
            : throw new InvalidOperationException(result.Errors);
    }

    [Fact]
    public void A_port_is_this_hosts_own_and_is_named_on_standard_error()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("hello"));
        using Process process = LguestProcess.Start("8m", kernel, "--gdb=0");
        string line = process.StandardError.ReadLine()!;
        Match match = Regex.Match(line, @"^lguest: the guest waits for a debugger: `target remote 127\.0\.0\.1:([0-9]+)` in gdb$");
        Assert.True(match.Success, line);

        int port = int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        using (var client = new GdbClient(new IPEndPoint(IPAddress.Loopback, port)))
        {
            LguestResult second = LguestProcess.Run(string.Empty, "8m", kernel, $"--gdb={port}");
            Assert.Equal(125, second.ExitCode);
            Assert.StartsWith($"lguest: --gdb: port {port} of 127.0.0.1 cannot be had: ", second.Errors, StringComparison.Ordinal);
            Assert.Equal("OK", client.Ask("D"));
        }

        Assert.Equal((0, "hello"), Finish(process));
    }

    [Fact]
    public void A_socket_is_its_users_own_and_gone_afterwards_and_one_that_was_left_behind_is_no_hindrance()
    {
        using Process killed = Start(GuestProgram.Sleeper());
        GdbClient.Connect(Socket).Dispose();
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Socket));
        }

        LguestResult refused = LguestProcess.Run(string.Empty, "8m", _folder.Path("vmlinux"), $"--gdb={Socket}");
        Assert.Equal(
            (125, $"lguest: --gdb={Socket}: the socket cannot be made: there is something by that name; give another path\n"), (refused.ExitCode, refused.Errors));
        killed.Kill();
        LguestProcess.WaitFor(killed);
        Assert.True(Path.Exists(Socket));

        using Process process = Start(GuestProgram.Greeter("hello"));
        using (GdbClient client = GdbClient.Connect(Socket))
        {
            client.Ask("D");
        }

        Assert.Equal(0, Finish(process).ExitCode);
        Assert.False(Path.Exists(Socket));
    }

    [Theory]
    [InlineData("file")]
    [InlineData("pipe")]
    [InlineData("folder")]
    [InlineData("link")]
    public void Nothing_is_ever_replaced_by_a_socket_or_waited_for(string kind)
    {
        string path = _folder.Path("precious");
        switch (kind)
        {
            case "pipe":
                Process.Start("mkfifo", [path]).WaitForExit();
                break;
            case "folder":
                Directory.CreateDirectory(path);
                break;
            case "link":
                File.CreateSymbolicLink(path, _folder.File("file", []));
                break;
            default:
                File.WriteAllBytes(path, []);
                break;
        }

        LguestResult result = LguestProcess.Run(string.Empty, "8m", _folder.File("vmlinux", GuestProgram.Greeter("hello")), $"--gdb={path}");
        Assert.Equal(
            (125, $"lguest: --gdb={path}: the socket cannot be made: there is something by that name; give another path\n", true),
            (result.ExitCode, result.Errors, Path.Exists(path)));
    }

    [Fact]
    public void A_path_that_has_become_something_else_does_not_disturb_the_end()
    {
        using Process process = Start(GuestProgram.Greeter("hello"));
        using (GdbClient client = GdbClient.Connect(Socket))
        {
            client.Ask("?");
            File.Delete(Socket);
            Directory.CreateDirectory(Socket);
            client.Ask("D");
        }

        LguestResult result = LguestProcess.Finish(process, string.Empty);
        Assert.Equal((0, "hello", true), (result.ExitCode, result.Output, Path.Exists(Socket)));
        Assert.DoesNotContain("nhandled", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--gdb=nonsense", "lguest: --gdb=nonsense is neither a port nor the path of a socket: write --gdb, --gdb=1234 or --gdb=./socket\n")]
    [InlineData("--gdb=65536", "lguest: --gdb=65536 is neither a port nor the path of a socket: write --gdb, --gdb=1234 or --gdb=./socket\n")]
    public void What_is_no_place_is_refused(string option, string sentence)
    {
        LguestResult result = LguestProcess.Run(string.Empty, "8m", "vmlinux", option);
        Assert.Equal((125, sentence), (result.ExitCode, result.Errors));
    }

    [Fact]
    public void A_limit_ends_a_run_that_waits_for_a_debugger_or_is_stopped_by_one()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("hello"));
        Assert.Equal(124, LguestProcess.Run(string.Empty, "8m", kernel, $"--gdb={Socket}", "--timeout=100ms").ExitCode);
        using Process process = LguestProcess.Start("8m", kernel, $"--gdb={Socket}", "--timeout=2s");
        using GdbClient client = GdbClient.Connect(Socket);
        Assert.Equal("S05", client.Ask("?"));
        Assert.Equal("X0f", client.Receive());
        Assert.Equal(124, Finish(process).ExitCode);
    }

    [Fact]
    public void A_signal_that_ends_the_run_of_a_stopped_guest_is_told_to_its_debugger()
    {
        using Process process = Start(GuestProgram.Greeter("hello"));
        using GdbClient client = GdbClient.Connect(Socket);
        Assert.Equal("S05", client.Ask("?"));
        LguestProcess.Send("HUP", process);
        Assert.Equal("X01", client.Receive());
        Assert.Equal(129, Finish(process).ExitCode);
    }

    private static (int ExitCode, string Output) Finish(Process process)
    {
        LguestResult result = LguestProcess.Finish(process, string.Empty);
        return (result.ExitCode, result.Output);
    }

    private Process Start(byte[] kernel, params string[] arguments) =>
        LguestProcess.Start(["8m", _folder.File("vmlinux", kernel), $"--gdb={Socket}", .. arguments]);
}
