using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What a host gives a process, or doesn't: descriptors, readers, limits; and what it finds afterwards.</summary>
public sealed class HostProcessTests : IDisposable
{
    private const string NoOutput = "lguest: ended because standard output cannot be written: Bad file descriptor\n";

    private readonly TestFolder _folder = new();

    public HostProcessTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "These are Linux's processes.");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("<&-", 124, "> ", "lguest: ended after 8 s, as --timeout says\n")]
    [InlineData(">&-", 141, "", NoOutput)]
    [InlineData("2>&-", 0, "> q\n", "")]
    [InlineData("<&- >&-", 141, "", NoOutput)]
    [InlineData("<&- 2>&-", 124, "> ", "")]
    [InlineData(">&- 2>&-", 141, "", "")]
    [InlineData("<&- >&- 2>&-", 141, "", "")]
    public void A_standard_descriptor_that_is_closed_is_nothing_else(string closed, int exitCode, string output, string errors)
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Echoer("> "));
        string disk = _folder.File("disk", new byte[65536]);

        LguestResult result = LguestProcess.Shell($"""echo q 2>/dev/null | "$0" 8m "$1" --block="$2" --timeout={(exitCode == 124 ? 8 : 60)}s {closed}""", kernel, disk);

        Assert.Equal(new LguestResult(exitCode, output, errors), result);
        Assert.All(File.ReadAllBytes(disk), value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData("--version >&-", "Bad file descriptor")]
    [InlineData("--help >&-", "Bad file descriptor")]
    [InlineData("--version >/dev/full", "No space left on device")]
    [InlineData("--help >/dev/full", "No space left on device")]
    public void What_cannot_be_printed_is_exit_code_141(string arguments, string reason) => Assert.Equal(
        new LguestResult(141, string.Empty, $"lguest: standard output cannot be written: {reason}\n"), LguestProcess.Shell($"\"$0\" {arguments}"));

    /// <summary>The runtime's hashes come from OpenSSL's library, and it aborts without.</summary>
    [Theory]
    [InlineData("8m \"$1\" --json=\"$2/json\"")]
    [InlineData("suite run \"$2/suite.yaml\"")]
    public void A_host_without_what_makes_hashes_is_told_what_to_install(string arguments)
    {
        string[] names = ["libssl.so.3", "libssl.so.1.1", "libssl.so.1.0.2", "libssl.so.1.0.0", "libssl.so.10"];
        Assert.All(names, name => _folder.File(name, "no library"u8.ToArray()));
        _folder.File("suite.yaml", "version: 1\ntests: []\n"u8.ToArray());

        LguestResult result = LguestProcess.Shell($"""LD_LIBRARY_PATH=$2 "$0" {arguments}""", _folder.File("vmlinux", GuestProgram.Echoer("> ")), _folder.Path("."));

        Assert.Equal(
            new LguestResult(
                125,
                string.Empty,
                "lguest: reports, saved states and suites need hashes, and those OpenSSL's libssl.so.3, which is not on this host: install it (Debian: libssl3)\n"),
            result);
    }

    [Fact]
    public void Statistics_and_sentence_come_though_nobody_reads_the_output()
    {
        using Process process = LguestProcess.Start("8m", _folder.File("vmlinux", GuestProgram.Chatterer("on and on ")), "--timeout=2s", "--stats");

        string errors = process.StandardError.ReadToEnd();
        LguestProcess.WaitFor(process);

        Assert.Equal(124, process.ExitCode);
        Assert.Matches(
            "^lguest: standard output was not read to the end: what the guest printed last is lost\nlguest: [0-9,]+ instructions in .*\n(lguest: .*\n)+lguest: ended after 2 s, as --timeout says\n$",
            errors);
    }

    [Theory]
    [InlineData("Chatterer", "")]
    [InlineData("Spinner", "--trace=0")]
    public void The_exit_code_is_right_though_nobody_reads_anything(string guest, string option)
    {
        byte[] image = guest == "Spinner" ? GuestProgram.Spinner("up") : GuestProgram.Chatterer("on and on ");
        using Process process = LguestProcess.StartShell(
            $"""exec "$0" 8m "$1" --timeout=2s --stats {option} 2>&1""", _folder.File("vmlinux", image));

        LguestProcess.WaitFor(process);

        Assert.Equal(124, process.ExitCode);
    }

    [Fact]
    public void Whoever_reads_slowly_gets_everything()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter(new string('x', 4000) + "\n"));

        LguestResult result = LguestProcess.Shell(
            """{ "$0" 8m "$1"; "$0" 8m "$1"; } | { sleep 1; dd bs=1 count=100; sleep 1; cat; } 2>/dev/null""", kernel);

        Assert.Equal(8002, result.Output.Length);
    }

    [Fact]
    public void A_reader_of_the_trace_that_goes_away_ends_the_run_with_exit_code_141()
    {
        LguestResult result = LguestProcess.Shell(
            """{ { "$0" 8m "$1" --trace=0 2>&1 >&3; echo $? >&3; } | head -n 1 >&2; } 3>&1""", _folder.File("vmlinux", GuestProgram.Spinner("up")));

        Assert.Equal("up141\n", result.Output);
    }

    [Fact]
    public void A_kernel_that_never_comes_through_a_pipe_does_not_keep_a_run_from_ending()
    {
        LguestResult result = LguestProcess.Shell("""mkfifo "$1" && exec "$0" 8m "$1" --timeout=1s""", _folder.Path("pipe"));

        Assert.Equal(new LguestResult(124, string.Empty, "lguest: ended after 1 s, as --timeout says\n"), result);
    }

    [Fact]
    public void Nothing_is_left_in_the_folder_for_temporary_files_whatever_ends_the_run()
    {
        string temporary = Directory.CreateDirectory(_folder.Path("tmp")).FullName;
        string kernel = _folder.File("vmlinux", GuestProgram.Spinner("up"));
        string disk = _folder.File("disk", new byte[65536]);
        using Process process = LguestProcess.StartShell(
            """TMPDIR="$3" exec "$0" 8m "$1" --block="$2",snapshot --usernet""", kernel, disk, temporary);
        Assert.Equal('u', process.StandardOutput.Read());

        Assert.Empty(Directory.GetFileSystemEntries(temporary));
        process.Kill();
        LguestProcess.WaitFor(process);
        Assert.Empty(Directory.GetFileSystemEntries(temporary));
    }

    [Fact]
    public void Whoever_wants_to_debug_lguest_can()
    {
        string temporary = Directory.CreateDirectory(_folder.Path("tmp")).FullName;
        using Process process = LguestProcess.StartShell(
            """DOTNET_EnableDiagnostics=1 TMPDIR="$2" exec "$0" 8m "$1" """, _folder.File("vmlinux", GuestProgram.Spinner("up")), temporary);
        Assert.Equal('u', process.StandardOutput.Read());

        Assert.Contains(Directory.GetFileSystemEntries(temporary), name => name.Contains("/dotnet-diagnostic-", StringComparison.Ordinal));
        process.Kill();
        LguestProcess.WaitFor(process);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(127)]
    public void Too_few_descriptors_are_said(int most) => Assert.Equal(
        new LguestResult(
            125, string.Empty, $"lguest: this process may have only {most} files open, and lguest needs up to 128: raise that limit, for example with `ulimit -n 1024`\n"),
        LguestProcess.Shell("""ulimit -n "$2" && exec "$0" 8m "$1" """, _folder.File("vmlinux", GuestProgram.Greeter("up")), $"{most}"));

    [Fact]
    public void A_run_needs_no_more_descriptors_than_it_says()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string disk = _folder.File("disk", new byte[65536]);
        string disks = string.Concat(Enumerable.Repeat("""--block="$2",snapshot """, 13));

        LguestResult result = LguestProcess.Shell(
            $"""ulimit -n 128 && exec "$0" 8m "$1" {disks} --sharenet="$3" --sharenet="$4" --pcap="$5" --trace=0 --clock=virtual --timeout=1m 2>/dev/null""",
            kernel, disk, _folder.Path("net1"), _folder.Path("net2"), _folder.Path("frames"));

        Assert.Equal(new LguestResult(0, "up", string.Empty), result);
    }

    [Fact]
    public void Too_few_threads_are_said_before_the_guest_runs()
    {
        const int Fewest = 8;
        const int Enough = 40;
        Assert.SkipUnless(Environment.IsPrivilegedProcess && File.Exists("/usr/bin/setpriv"), "This needs root, to become a user without processes.");
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string disk = _folder.File("disk", new byte[65536]);
        for (int most = Fewest; most <= Enough; most += 2)
        {
            LguestResult result = LguestProcess.Shell(
                """
                chmod 755 "${1%/*}" && exec setpriv --reuid=23456 --clear-groups /bin/sh -c '
                  ulimit -u "$2" 2>/dev/null || ulimit -p "$2" && exec "$0" 8m "$1" --timeout=1m --block="$3" ' "$0" "$1" "$2" "$3,ro" 2>&1
                """,
                kernel, $"{most}", disk);
            Assert.True(result.ExitCode is 0 or 125, $"{most} threads: {result}");
            Assert.Contains(result.ExitCode == 0 ? "up" : "can have no more threads: raise that limit", result.Output, StringComparison.Ordinal);
            Assert.True(most is not Fewest and not Enough || result.ExitCode == (most == Fewest ? 125 : 0), $"{most} threads: {result}");
        }
    }

    [Fact]
    public void A_guests_memory_that_may_not_be_had_for_the_limit_of_files_is_said()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        const string Script = """ulimit -f 20480 && exec "$0" --engine=interpreter "$2" "$1" """;

        Assert.Equal(new LguestResult(0, "up", string.Empty), LguestProcess.Shell(Script, kernel, "8m"));
        Assert.Equal(
            new LguestResult(
                125, string.Empty,
                "lguest: this process may make no file longer than 10485760 bytes, and a guest's memory is one: raise that limit, for example with `ulimit -f unlimited`, or give the guest less memory\n"),
            LguestProcess.Shell(Script, kernel, "16m"));
    }

    [Fact]
    public void Output_into_a_file_that_has_become_too_long_is_exit_code_141()
    {
        LguestResult result = LguestProcess.Shell(
            """ulimit -f 20480 && exec "$0" --engine=interpreter 8m "$1" >"$2" """, _folder.File("vmlinux", GuestProgram.Chatterer(new string('x', 4000))), _folder.Path("output"));

        Assert.Equal(new LguestResult(141, string.Empty, "lguest: ended because standard output cannot be written: File too large\n"), result);
    }

    [Theory]
    [InlineData("")]
    [InlineData(",snapshot")]
    public void A_disk_that_may_not_become_longer_is_an_error_in_the_guest_and_one_warning(string mode)
    {
        string disk = _folder.Path("disk");
        using (FileStream file = File.Create(disk))
        {
            file.SetLength(300 << 20);
        }

        string[] arguments = ShippedImages.Arguments(
            _folder,
            """
            dd if=/dev/zero of=/dev/lgbc bs=64k count=8 seek=1600 conv=notrunc,fsync || exit 1
            dd if=/dev/zero of=/dev/lgbc bs=64k count=8 seek=3200 conv=notrunc,fsync && exit 2
            exit 42
            """,
            $"--block={disk}{mode}");

        // 128 MiB.
        LguestResult result = LguestProcess.Shell("""ulimit -f 262144 && exec "$0" "$@" """, arguments);

        ShippedImages.AssertEnded(42, result);
        Assert.Matches($"^lguest: {disk}: an I/O error for the guest at byte [0-9]+: the file would become too large; more of them won't be reported\n$", result.Errors);
    }
}
