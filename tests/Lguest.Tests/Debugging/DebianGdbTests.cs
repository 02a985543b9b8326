using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests.Debugging;

/// <summary>gdb itself, on the kernel that ships.</summary>
public sealed class DebianGdbTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("interpreter")]
    [InlineData("auto")]
    public void It_takes_the_description_and_stops_walks_and_watches_as_it_is_told(string engine)
    {
        string output = Debug(
            engine,
            "printf \"entry %x\\n\", $eip",
            "break *start_kernel",
            "continue",
            "printf \"start_kernel %d\\n\", $pc == (unsigned long) &start_kernel",
            "info registers eflags cr0",
            "p $st0",
            "p $xmm0.v4_int32",
            "stepi",
            "info symbol $pc",
            "delete",
            "break kernel_init",
            "continue",
            "backtrace 2",
            "watch *(int *) &system_state",
            "continue",
            "printf \"state %d\\n\", *(int *) &system_state",
            "p sizeof($eip)",
            "monitor tasks",
            "kill");

        Assert.Contains("start_kernel 1\n", output, StringComparison.Ordinal);
        Assert.Matches(@"eflags +0x[0-9a-f]+ +\[", output);
        Assert.Matches(@"cr0 +0x80[0-9a-f]+", output);
        Assert.Contains("$2 = {0, 0, 0, 0}", output, StringComparison.Ordinal);
        Assert.Matches(@"start_kernel \+ [0-9]+ in section \.init\.text", output);
        Assert.Matches(@"Breakpoint 2, 0x[0-9a-f]+ in kernel_init \(\)", output);
        Assert.Matches(@"Hardware watchpoint 3: ", output);
        Assert.Matches(@"Old value = [0-9]+\nNew value = [0-9]+", output);
        Assert.Matches(@"\n +1 (swapper|init) +on the processor", output);
        Assert.Contains("[Inferior 1 (Remote target) killed]", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guest_that_it_lets_go_boots_to_its_end()
    {
        string output = Debug("auto", "hbreak start_kernel", "continue", "delete", "continue");
        Assert.Contains("[Inferior 1 (Remote target) exited normally]", output, StringComparison.Ordinal);
    }

    private string Debug(string engine, params string[] commands)
    {
        const string Gdb = "/usr/bin/gdb";
        Assert.SkipUnless(File.Exists(Gdb), "gdb isn't installed.");
        string kernel = ShippedImages.Image("vmlinux");
        string socket = _folder.Path("gdb");
        using Process lguest = LguestProcess.Start(
            "64m", kernel, $"--block={ShippedImages.Image("rootfs.ext2")},snapshot", "root=/dev/lgba", "quiet", "run=exit 0", $"--engine={engine}", $"--gdb={socket}", "--clock=virtual");
        lguest.StandardInput.Close();
        PseudoTerminal.Eventually(() => Path.Exists(socket), () => "No debugger is waited for.");

        string[] all = ["set pagination off", "set confirm off", "set architecture i386", $"target remote {socket}", .. commands];
        var start = new ProcessStartInfo(Gdb, ["-q", "-nx", "-batch", .. all.SelectMany(command => (string[])["-ex", command]), kernel])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        using Process gdb = Process.Start(start)!;
        Task<string> errors = gdb.StandardError.ReadToEndAsync();
        gdb.StandardInput.Close();
        Task<string> output = gdb.StandardOutput.ReadToEndAsync();
        LguestProcess.WaitFor(gdb, Patience);
        LguestProcess.WaitFor(lguest, Patience);
        return output.Result + errors.Result;
    }
}
