using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests.Debugging;

/// <summary>The core that is left of a guest.</summary>
public sealed class DumpTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private string Dump => _folder.Path("core");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_guest_that_dies_leaves_its_memory_and_registers_and_the_exit_code_is_its_own()
    {
        LguestResult result = Run(GuestProgram.Panicker("it hurts"));
        Assert.Equal(100, result.ExitCode);
        Assert.Contains($"lguest: the guest's memory and registers are in '{Dump}', for gdb\n", result.Errors, StringComparison.Ordinal);

        byte[] core = File.ReadAllBytes(Dump);
        Assert.Equal("\u007fELF"u8, core.AsSpan(0, 4));
        Assert.True(core.AsSpan().IndexOf("it hurts"u8) > 0);

        // Nothing else is left beside it.
        Assert.Equal(["core", "vmlinux"], Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(Dump)!).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void So_does_one_that_a_limit_ends()
    {
        Assert.Equal(124, Run(GuestProgram.Spinner("x"), "--max-instructions=1M").ExitCode);
        Assert.True(File.Exists(Dump));
    }

    [Fact]
    public void One_that_switches_itself_off_leaves_none_and_nothing_is_overwritten()
    {
        File.WriteAllText(Dump, "old");
        Assert.Equal(0, Run(GuestProgram.Greeter("x")).ExitCode);
        Assert.Equal("old", File.ReadAllText(Dump));
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_refused_before_the_boot()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("hello"));
        LguestResult result = LguestProcess.Run(string.Empty, "8m", kernel, $"--dump={_folder.Path("no/such/core")}");
        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.Contains("its directory doesn't exist", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_that_is_full_is_told_by_the_exit_code()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "There is no /dev/full here.");
        string kernel = _folder.File("vmlinux", GuestProgram.Panicker("it hurts"));
        LguestResult result = LguestProcess.Run(string.Empty, "8m", kernel, "--dump=/dev/full");
        Assert.Equal(125, result.ExitCode);
        Assert.StartsWith("lguest: '/dev/full' can't be written: ", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Gdb_and_readelf_know_it()
    {
        const string Gdb = "/usr/bin/gdb";
        Assert.SkipUnless(File.Exists(Gdb), "gdb isn't installed.");
        string kernel = ShippedImages.Image("vmlinux");
        LguestResult result = LguestProcess.Run(
            string.Empty, TimeSpan.FromMinutes(2), "64m", kernel, $"--block={ShippedImages.Image("rootfs.ext2")},snapshot", "root=/dev/lgba", "quiet", "run=echo c > /proc/sysrq-trigger", $"--dump={Dump}");
        Assert.Equal(100, result.ExitCode);

        string told = Tell(Gdb, "-q", "-nx", "-batch", "-ex", "backtrace", "-ex", "printf \"%.13s\\n\", (char *) &linux_banner", "-ex", "info registers eip", kernel, Dump);
        Assert.Contains("in sysrq_handle_crash ()", told, StringComparison.Ordinal);
        Assert.Contains("Linux version", told, StringComparison.Ordinal);
        if (File.Exists("/usr/bin/readelf"))
        {
            string headers = Tell("/usr/bin/readelf", "-l", "-n", Dump);
            Assert.Contains("NT_PRSTATUS", headers, StringComparison.Ordinal);
            Assert.Matches(@"LOAD +0x[0-9a-f]+ 0xc0000000 0x00000000 0x0?4000000 0x0?4000000 RWE", headers);
            Assert.DoesNotContain("Warning", headers, StringComparison.OrdinalIgnoreCase);
        }
    }

    private static string Tell(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        LguestProcess.WaitFor(process);
        return output + errors.Result;
    }

    private LguestResult Run(byte[] kernel, params string[] arguments) =>
        LguestProcess.Run(string.Empty, ["8m", _folder.File("vmlinux", kernel), $"--dump={Dump}", .. arguments]);
}
