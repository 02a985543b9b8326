using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.IO.Hashing;
using Lguest.Suites.Running;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>A guest that ships is saved when it is ready for a command, and any number go on from there, each with its own.</summary>
public sealed class WarmStartTests : IDisposable
{
    private const string Another = "restore it with what it was saved with, or save it again with --save-at-ready\n";

    /// <summary>What was changed just now could be changed once more at the same time.</summary>
    private static readonly TimeSpan UntilOld = TimeSpan.FromSeconds(4);

    private readonly TestFolder _folder = new();

    public WarmStartTests() => Image("vmlinux");

    private string State => _folder.Path("state");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_that_goes_on_has_its_own_command_streams_and_status()
    {
        Save();

        Assert.Equal(new LguestResult(3, "a b\n", "e\n"), Restore(string.Empty, "--run=printf 'a b\\n'; echo e >&2; exit 3"));
        Assert.Equal(new LguestResult(0, "<><a  b>", string.Empty), Restore(string.Empty, "--run-argv=printf", "--run-argv=<%s>", "--run-argv=", "--run-argv=a  b"));
        Assert.Equal(new LguestResult(0, "one\ntwo", string.Empty), Restore("one\ntwo", "--run=cat"));
        Assert.Equal(new LguestResult(0, string.Empty, string.Empty), Restore(string.Empty, "--run=cat"));

        string longest = new('x', 100_000);
        Assert.Equal(new LguestResult(0, longest, string.Empty), Restore(string.Empty, $"--run=printf %s {longest}"));
    }

    [Fact]
    public void It_is_like_a_guest_that_has_booted()
    {
        const string Look = "--run=cat /proc/cmdline /proc/mounts; ls /proc/self/fd; pwd; id -u; set; dmesg | wc -l";
        Save();

        LguestResult cold = Run(string.Empty, Look, "--clock=virtual");

        Assert.Equal(0, cold.ExitCode);
        Assert.Equal(cold, Restore(string.Empty, Look));
    }

    [Theory]
    [InlineData("--clock=virtual")]
    [InlineData("--clock=real")]
    public void Random_numbers_are_new_and_come_from_the_seed(string clock)
    {
        const string Numbers = "--run=cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | od -An -tx1";
        Save(clock);

        LguestResult one = Restore(string.Empty, Numbers, "--seed=1");
        LguestResult other = Restore(string.Empty, Numbers, "--seed=2");

        Assert.Equal((0, 0), (one.ExitCode, other.ExitCode));
        Assert.Empty(one.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Intersect(other.Output.Split('\n')));
        if (clock == "--clock=virtual")
        {
            Assert.Equal(one, Restore(string.Empty, Numbers, "--seed=1"));
        }
        else
        {
            Assert.NotEqual(Restore(string.Empty, Numbers), Restore(string.Empty, Numbers));
        }
    }

    [Fact]
    public void Time_goes_on_without_a_jump_and_the_date_is_what_the_user_says()
    {
        const string Times = "--run=cut -d' ' -f1 /proc/uptime; date +%s";
        Save();

        (double uptime, long date) = Read(Run(string.Empty, Times, "--clock=virtual"));
        (double warmUptime, long warmDate) = Read(Restore(string.Empty, Times));
        (double laterUptime, long laterDate) = Read(Restore(string.Empty, Times, "--date=2030-01-02T03:04:05"));

        Assert.InRange(warmUptime, uptime - 0.5, uptime + 0.5);
        Assert.InRange(laterUptime, uptime - 0.5, uptime + 0.5);
        Assert.InRange(warmDate, date - 1, date + 1);
        Assert.InRange(laterDate, 1893553445, 1893553446);

        static (double Uptime, long Date) Read(LguestResult result)
        {
            string[] lines = result.Output.Split('\n');
            return (double.Parse(lines[0], CultureInfo.InvariantCulture), long.Parse(lines[1], CultureInfo.InvariantCulture));
        }
    }

    [Fact]
    public void In_real_time_the_date_is_the_hosts_however_old_the_saved_guest_is()
    {
        Save("--clock=real", "--date=2001-02-03");
        long before = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

        long date = long.Parse(Restore(string.Empty, "--run=date +%s").Output, CultureInfo.InvariantCulture);

        Assert.InRange(date, before - 1, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
    }

    [Fact]
    public void Shares_and_disks_are_there_and_what_is_written_is_ones_own()
    {
        string share = Directory.CreateDirectory(_folder.Path("share")).FullName;
        File.WriteAllText(Path.Combine(share, "file"), "of the host\n");
        string disk = _folder.File("disk", new byte[1 << 20]);
        string[] guest = [$"--share={share}:/share,rw", $"--block={disk},snapshot"];
        Save(guest);

        LguestResult result = Restore(string.Empty, [.. guest, "--run=cat /share/file; echo mine >/share/new; head -c 3 /dev/lgba | od -An -tx1; echo one >/dev/lgba; sync"]);
        string written = Path.Combine(share, "new");
        Assert.Equal(new LguestResult(0, "of the host\n 00 00 00\n", string.Empty), result);
        Assert.Equal("mine\n", File.ReadAllText(written));
        File.Delete(written);
        LguestResult next = Restore(string.Empty, [.. guest, "--run=ls /share; head -c 3 /dev/lgba | od -An -tx1"]);

        Assert.Equal(new LguestResult(0, "file\n 00 00 00\n", string.Empty), next);
    }

    [Fact]
    public void What_differs_is_said()
    {
        string disk = _folder.File("disk", new byte[1 << 16]);
        string share = Directory.CreateDirectory(_folder.Path("share")).FullName;
        string[] guest = [$"--block={disk},ro", $"--share={share}"];
        Save(guest);

        Refused("another kernel command line", [.. guest, "--append=debug"]);
        Refused("another initial RAM disk", guest[0], guest[1] + ":/else");
        Refused("another disk 1", guest[1]);
        Refused("another disk 1", $"--block={disk},snapshot", guest[1]);
        File.WriteAllText(Path.Combine(share, "new"), string.Empty);
        File.WriteAllBytes(disk, [.. new byte[(1 << 16) - 1], 1]);
        Refused("another initial RAM disk, another disk 1", guest);

        LguestResult clock = Restore(string.Empty, [.. guest, "--run=true", "--clock=real"]);
        Assert.Equal(new LguestResult(125, string.Empty, $"lguest: the saved state '{State}' is of a guest with virtual time: leave out --clock\n"), clock);

        void Refused(string difference, params string[] arguments) => Assert.Equal(
            new LguestResult(125, string.Empty, $"lguest: the saved state '{State}' is of a guest with {difference}: {Another}"),
            Restore(string.Empty, [.. arguments, "--run=true"]));
    }

    [Fact]
    public void Another_kernel_and_other_memory_are_another_guest()
    {
        string kernel = _folder.Path("vmlinux");
        File.Copy(Image("vmlinux"), kernel);
        Assert.Equal(new LguestResult(0, string.Empty, string.Empty), Run(string.Empty, "64m", kernel, $"--save-at-ready={State}"));
        Assert.Equal(0, Run(string.Empty, "64m", Image("vmlinux"), $"--restore={State}", "--run=true").ExitCode);

        Assert.EndsWith($"another amount of memory: {Another}", Run(string.Empty, "65m", kernel, $"--restore={State}", "--run=true").Errors, StringComparison.Ordinal);
        File.AppendAllText(kernel, "x");
        Assert.EndsWith($"another kernel: {Another}", Run(string.Empty, "64m", kernel, $"--restore={State}", "--run=true").Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_none_or_not_whole_is_refused()
    {
        Save();
        byte[] bytes = File.ReadAllBytes(State);
        const string Damaged = "is damaged: save the guest again";

        Refused("is no saved state of lguest: give one", []);
        Refused("is no saved state of lguest: give one", new byte[10_000]);
        Refused(Damaged, bytes[..40]);
        Refused(Damaged, bytes[..1000]);
        Refused(Damaged, bytes[..^4096]);
        Refused(Damaged, Changed(100));
        Refused(Damaged, Changed(bytes.Length / 2));
        byte[] other = Changed(20);
        BinaryPrimitives.WriteUInt128LittleEndian(other.AsSpan(64), XxHash128.HashToUInt128(other.AsSpan(0, 64)));
        Refused("was written by another version of lguest, and no version reads another's: save the guest again with this one", other);

        File.Delete(State);
        Assert.Equal(
            new LguestResult(125, string.Empty, $"lguest: there is no saved state '{State}': save one with --save-at-ready\n"), Restore(string.Empty, "--run=true"));

        byte[] Changed(int at)
        {
            byte[] changed = [.. bytes];
            changed[at] ^= 1;
            return changed;
        }

        void Refused(string why, byte[] contents)
        {
            File.WriteAllBytes(State, contents);
            Assert.Equal(new LguestResult(125, string.Empty, $"lguest: the saved state '{State}' {why}\n"), Restore(string.Empty, "--run=true"));
        }
    }

    [Theory]
    [InlineData("--run=true", "--save-at-ready saves a guest that has no command yet: leave it out, and give it with --restore")]
    [InlineData("--restore=x", "--save-at-ready and --restore contradict each other: give one of them")]
    [InlineData("--usernet", "a guest that is saved can't have a network, of which the other end isn't saved: leave it out")]
    [InlineData("--block=a,,b", "a guest that is saved can't have a disk that it writes, which would change under the others: write --block=a,,b,ro or --block=a,,b,snapshot")]
    public void What_can_not_be_saved_is_refused(string option, string sentence)
    {
        LguestResult result = Run(string.Empty, "64m", Image("vmlinux"), $"--save-at-ready={State}", option);

        Assert.Equal(new LguestResult(125, string.Empty, $"lguest: {sentence}\n"), result);
        Assert.False(File.Exists(State));
    }

    [Fact]
    public void Who_goes_on_needs_a_command() => Assert.Equal(
        new LguestResult(125, string.Empty, "lguest: --restore goes on with a guest that waits for a command: give it one with --run\n"),
        Run(string.Empty, "64m", Image("vmlinux"), $"--restore={State}"));

    [Fact]
    public void A_guest_that_never_is_ready_is_not_saved()
    {
        Directory.CreateDirectory(_folder.Path("initrd"));
        LguestResult other = Run(string.Empty, "64m", Image("vmlinux"), $"--save-at-ready={State}", $"--initrd={_folder.Path("initrd")}");
        LguestResult late = Run(string.Empty, "64m", Image("vmlinux"), $"--save-at-ready={State}", "--max-guest-time=10ms");
        LguestResult unwritable = Run(string.Empty, "64m", Image("vmlinux"), $"--save-at-ready={_folder.Path("none/state")}");

        Assert.Equal(100, other.ExitCode);
        Assert.Equal(124, late.ExitCode);
        Assert.Equal(new LguestResult(125, string.Empty, $"lguest: '{_folder.Path("none/state")}' can't be written: its directory doesn't exist\n"), unwritable);
        Assert.Equal(["initrd"], Directory.GetFileSystemEntries(_folder.Path(".")).Select(Path.GetFileName));
    }

    [Fact]
    public void A_disk_that_was_written_before_is_not_saved()
    {
        LguestResult result = Run(string.Empty,
            "64m", Image("vmlinux"), $"--save-at-ready={State}", $"--initrd={Image("initrd.cpio")}", $"--block={Image("rootfs.ext2")},snapshot", "quiet", "root=/dev/lgba", "rw", "rootflags=sync");

        Assert.Equal(125, result.ExitCode);
        Assert.Contains("before it was ready, and what it wrote is not saved: give it that disk with ,ro, or mount it read-only\n", result.Errors, StringComparison.Ordinal);
        Assert.False(File.Exists(State));
    }

    [Fact]
    public void Many_go_on_at_once()
    {
        Save();
        Process[] guests = [.. Enumerable.Range(0, 8).Select(i => Start($"--restore={State}", $"--run=echo {i}; dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; cat"))];

        Assert.All(guests, (guest, i) => Assert.Equal(new LguestResult(0, $"{i}\nin{i}", string.Empty), LguestProcess.Finish(guest, $"in{i}", TimeSpan.FromMinutes(3))));
    }

    [Fact]
    public void In_one_process_one_after_another_leaves_nothing_behind_and_each_is_as_in_its_own()
    {
        const string Command = "--run=echo $(cat /proc/sys/kernel/random/uuid); echo e >&2; exit 3";
        Save();
        LguestResult alone = Restore(string.Empty, Command);
        Thread.Sleep(UntilOld);
        using Process worker = StartWorker();
        (int Files, int Threads, int Mappings) after = default;
        Assert.Equal(new LguestResult(0, string.Empty, string.Empty), Ask(worker, $"--restore={State}", "--run=tr '\\0' d </dev/zero | head -c 20000000 >/tmp/x"));
        const int Runs = 30;
        for (int i = 1; i <= Runs; i++)
        {
            Assert.Equal(alone, Ask(worker, $"--restore={State}", Command));
            if (i == Runs / 2)
            {
                after = Held(worker);
            }
        }

        // The runtime compiles, and takes what it needs for that, all the while.
        Assert.InRange(Held(worker).Files, 1, after.Files + (Runs / 4));
        Assert.InRange(Held(worker).Threads, 1, after.Threads + (Runs / 4));
        Assert.InRange(Held(worker).Mappings, 1, after.Mappings + (Runs / 2));
        worker.StandardInput.Close();
        LguestProcess.WaitFor(worker);
        Assert.Equal(0, worker.ExitCode);
    }

    [Fact]
    public void Who_runs_many_sees_that_a_file_has_changed()
    {
        string kernel = _folder.Path("vmlinux");
        string disk = _folder.File("disk", new byte[1 << 16]);
        string share = Directory.CreateDirectory(_folder.Path("share")).FullName;
        File.Copy(Image("vmlinux"), kernel);
        string[] guest = ["64m", kernel, $"--initrd={Image("initrd.cpio")}", $"--block={disk},ro", $"--share={share}", "--clock=virtual"];
        Assert.Equal(0, Run(string.Empty, [.. guest, $"--save-at-ready={State}"]).ExitCode);
        foreach (string file in (string[])[kernel, disk, State])
        {
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddHours(-1));
        }

        Thread.Sleep(UntilOld);
        using Process worker = StartWorker();
        var passed = new LguestResult(0, "00\n", string.Empty);
        string[] restore = [.. guest, $"--restore={State}", "--run=head -c 1 /dev/lgba | od -An -tx1 | tr -d ' '"];
        Assert.Equal(passed, Ask(worker, restore));
        Assert.Equal(passed, Ask(worker, restore));

        Changed("another disk 1", disk, bytes => bytes[0] = 1, UntilOld);
        Changed("another kernel", kernel, bytes => bytes[^1] ^= 1, TimeSpan.Zero);
        File.WriteAllText(Path.Combine(share, "new"), string.Empty);
        Assert.Contains("another initial RAM disk", Ask(worker, restore).Errors, StringComparison.Ordinal);
        File.Delete(Path.Combine(share, "new"));
        Assert.Equal(passed, Ask(worker, restore));
        byte[] saved = File.ReadAllBytes(State);
        Change(State, bytes => bytes[saved.Length / 2] ^= 1);
        Assert.Equal(new LguestResult(125, string.Empty, $"lguest: the saved state '{State}' is damaged: save the guest again\n"), Ask(worker, restore));

        void Changed(string what, string file, Action<byte[]> change, TimeSpan age)
        {
            byte[] before = Change(file, change);
            Thread.Sleep(age);
            Assert.EndsWith($"with {what}: {Another}", Ask(worker, restore).Errors, StringComparison.Ordinal);
            File.WriteAllBytes(file, before);
            Assert.Equal(passed, Ask(worker, restore));
        }

        static byte[] Change(string file, Action<byte[]> change)
        {
            DateTime time = File.GetLastWriteTimeUtc(file);
            byte[] before = File.ReadAllBytes(file);
            byte[] bytes = [.. before];
            change(bytes);
            File.WriteAllBytes(file, bytes);
            File.SetLastWriteTimeUtc(file, time);
            return before;
        }
    }

    /// <summary>A process that runs one guest after another, as a suite has them.</summary>
    private static Process StartWorker()
    {
        var start = new ProcessStartInfo(LguestProcess.Path) { WorkingDirectory = Project, RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment[BootProcess.ParentVariable] = $"{Environment.ProcessId}";
        start.Environment[WorkerProtocol.Variable] = "1";
        return Process.Start(start)!;
    }

    private LguestResult Ask(Process worker, params string[] arguments)
    {
        WorkerProtocol.Ask(worker.StandardInput, [_folder.Path("output"), _folder.Path("errors"), .. arguments]);
        Assert.True(WorkerProtocol.HasBegun(worker.StandardOutput));
        int? exitCode = WorkerProtocol.Read(worker.StandardOutput.ReadLine());
        Assert.NotNull(exitCode);
        return new LguestResult(exitCode.Value, File.ReadAllText(_folder.Path("output")), File.ReadAllText(_folder.Path("errors")));
    }

    private static (int Files, int Threads, int Mappings) Held(Process process) => (
        Directory.GetFileSystemEntries($"/proc/{process.Id}/fd").Length,
        Directory.GetDirectories($"/proc/{process.Id}/task").Length,
        File.ReadAllLines($"/proc/{process.Id}/maps").Length);

    private void Save(params string[] arguments) => Assert.Equal(new LguestResult(0, string.Empty, string.Empty), Run(string.Empty, [$"--save-at-ready={State}", .. arguments.Any(word => word.StartsWith("--clock", StringComparison.Ordinal)) ? [] : (string[])["--clock=virtual"], .. arguments]));

    private LguestResult Restore(string input, params string[] arguments) => Run(input, [$"--restore={State}", .. arguments]);

    private static LguestResult Run(string input, params string[] arguments) => LguestProcess.Finish(Start(arguments), input, TimeSpan.FromMinutes(3));

    private static Process Start(params string[] arguments) => LguestProcess.StartIn(Project, arguments);
}
