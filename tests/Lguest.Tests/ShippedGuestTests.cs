using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>The guest that ships: a current Linux at CPL 0, with lguest's devices.</summary>
public sealed partial class ShippedGuestTests : IDisposable
{
    private const int SectorSize = 512;
    private const int Mebibyte = 1 << 20;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("vmlinux")]
    [InlineData("bzImage")]
    public void It_boots_from_its_disk_and_gives_its_status(string kernel)
    {
        LguestResult result = RunGuest(
            "64m", Image(kernel), $"--block={Image("rootfs.ext2")},ro", "root=/dev/lgba", "run=\"uname -sm; grep -c ^/dev/root./.ext /proc/mounts; exit 7\"");

        AssertEnded(7, result);
        Assert.Contains("\nLinux i686\n1\n", Text(result), StringComparison.Ordinal);
        Assert.StartsWith("[    0.000000] Linux version ", result.Output, StringComparison.Ordinal);
        Assert.Contains("] lguest: guest 1, devices at 0x04000000", result.Output, StringComparison.Ordinal);
        Assert.Equal(string.Empty, result.Errors);
    }

    [Fact]
    public void Each_engine_gives_the_same_run()
    {
        string[] engines = ["interpreter", "auto", "translator"];
        LguestResult[] runs =
        [
            .. engines.Select(engine => RunGuest(
                "64m", Image("vmlinux"), $"--initrd={Image("initrd.cpio")}", "--clock=virtual", "--stats", $"--engine={engine}", "run=ls -lR /bin | md5sum; exit 9")),
        ];

        Assert.All(runs, run => AssertEnded(9, run));
        Assert.Single(runs.Select(run => run.Output).Distinct());
        Assert.Single(runs.Select(run => InstructionCount(run)).Distinct());
        Assert.Contains("% of them translated", runs[2].Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vmlinux", "16m")]
    [InlineData("bzImage", "1g")]
    public void It_boots_from_its_initrd(string kernel, string memory)
    {
        LguestResult result = RunGuest(memory, Image(kernel), $"--initrd={Image("initrd.cpio")}", "quiet", "run=\"echo from the initrd; exit 42\"");

        AssertEnded(42, result);
        Assert.Contains("from the initrd\n", Text(result), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("run=exit 5", 5, "")]
    [InlineData("run=echo 'a  b'; exit 6", 6, "a  b\n")]
    [InlineData("run=echo voil\u00e0\nexit 8", 8, "voil\u00e0\n")]
    public void A_command_in_one_word_arrives_whole(string word, int exitCode, string output)
    {
        LguestResult result = RunGuest("64m", Image("vmlinux"), $"--initrd={Image("initrd.cpio")}", "quiet", word);

        AssertEnded(exitCode, result);
        Assert.StartsWith(output, Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(Text(result))), StringComparison.Ordinal);
    }

    [Fact]
    public void Its_session_is_on_lguests_console_whatever_the_kernel_was_told_to_use()
    {
        LguestResult result = RunGuest("64m", Image("vmlinux"), $"--initrd={Image("initrd.cpio")}", "quiet", "console=ttyS0", "run=tty; echo of use");

        AssertEnded(0, result);
        Assert.StartsWith("/dev/hvc0\nof use\n", Text(result), StringComparison.Ordinal);
        Assert.StartsWith("lguest: console=ttyS0 makes /dev/console a device that no guest of lguest's has", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("earlycon=lguest", "[    0.000000] Linux version ")]
    [InlineData("quiet", "")]
    public void Its_early_console_shows_what_comes_before_the_console(string word, string start)
    {
        // It is entered, has looked at its memory, and has no console yet.
        LguestResult result = RunGuest("64m", Image("vmlinux"), "--clock=virtual", "--max-instructions=1500000", word);

        Assert.Equal(124, result.ExitCode);
        Assert.StartsWith(start, result.Output, StringComparison.Ordinal);
        Assert.Equal(start.Length == 0, result.Output.Length == 0);
        Assert.DoesNotContain("hvc0", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("900m", 880)]
    [InlineData("4080m", 4000)]
    public void It_uses_all_the_memory_that_it_is_given(string memory, int mebibytes)
    {
        LguestResult result = RunGuest(
            memory, Image("vmlinux"), $"--block={Image("rootfs.ext2")},ro", "root=/dev/lgba", "quiet",
            "run=free -m | awk '/Mem:/ { print $2 }'; md5sum </bin/busybox; dd if=/dev/urandom of=/tmp/a bs=1M count=20 2>/dev/null; cp /tmp/a /tmp/b; cmp /tmp/a /tmp/b");

        AssertEnded(0, result);
        Assert.Contains(HostTools.Md5OfFile(Image("rootfs.ext2"), "/bin/busybox"), result.Output, StringComparison.Ordinal);
        Assert.True(int.Parse(Text(result).Split('\n')[0], CultureInfo.InvariantCulture) >= mebibytes, result.Output);
    }

    /// <summary>Files fill what is above 4 GiB first; the disk's data must pass through what is below.</summary>
    [Theory]
    [InlineData("--engine=translator")]
    [InlineData("--engine=interpreter")]
    public void With_page_tables_of_three_levels_it_uses_more_than_4_GiB(string engine)
    {
        LguestResult result = RunGuest(
            "6g", PaeImage("vmlinux"), $"--block={Image("rootfs.ext2")},snapshot", "root=/dev/lgba", "quiet", engine,
            "run=\"free -m | awk '/Mem:/ { print $2 }'; for flag in pae nx; do grep -o -w $flag /proc/cpuinfo; done; md5sum </bin/busybox; mount -o remount,rw /"
            + "; dd if=/dev/urandom of=/root/a bs=1M count=3 2>/dev/null; md5sum </root/a; tee /a </root/a | md5sum; sync; echo 3 >/proc/sys/vm/drop_caches; md5sum </a\"");

        AssertEnded(0, result);
        string[] lines = Text(result).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(int.Parse(lines[0], CultureInfo.InvariantCulture) >= 5900, result.Output);
        Assert.Equal(["pae", "nx", $"{HostTools.Md5OfFile(Image("rootfs.ext2"), "/bin/busybox")[..32]}  -"], lines[1..4]);
        Assert.Equal([lines[4], lines[4], lines[4]], lines[4..7]);
    }

    [Fact]
    public void Without_arguments_lguest_boots_it()
    {
        Image("vmlinux");
        using Process process = LguestProcess.StartIn(Project, "--timeout=60s");
        LguestResult result = LguestProcess.Finish(process, "exit 3\n");

        AssertEnded(3, result);
        Assert.Equal(
            "lguest: no guest is given: this is `lguest 64m images/out/vmlinux --block=images/out/rootfs.ext2,snapshot root=/dev/lgba --timeout=60s`\n",
            result.Errors);
    }

    [Fact]
    public void Where_it_is_not_built_lguest_says_how_to()
    {
        using Process process = LguestProcess.StartIn(_folder.Name);
        LguestResult result = LguestProcess.Finish(process, string.Empty);

        Assert.Equal(125, result.ExitCode);
        Assert.StartsWith(
            "lguest: no guest is given, and the one that ships isn't built: run `images/build` in lguest's folder", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_it_writes_the_host_finds_intact()
    {
        string disk = CopyOfRootFileSystem(_folder);
        LguestResult result = RunGuest(
            "64m", Image("vmlinux"), $"--block={disk}", $"--block={_folder.File("script", ScriptOf("""
                mkdir /written
                for i in 1 2 3 4 5 6 7 8 9; do cp /bin/busybox /written/$i && rm /written/$i; done
                yes 0123456789 | head -c 300000 >/written/file
                gzip -c /written/file | gunzip | cmp - /written/file || exit 1
                awk 'BEGIN { printf "%.6f\n", 1 / 3 }'
                sync; md5sum /written/file
                """))},ro", "rw", "quiet", "root=/dev/lgba", "run=\"sh /dev/lgbb\"");

        AssertEnded(0, result);
        Assert.Contains("0.333333\n", Text(result), StringComparison.Ordinal);
        Assert.Equal(Checksum().Match(Text(result)).Value, HostTools.Md5OfFile(disk, "/written/file"));
        HostTools.AssertSound(disk);
    }

    [Fact]
    public void A_disk_may_have_partitions_and_another_beside_it()
    {
        const int Start = 2048;
        byte[] rootFileSystem = File.ReadAllBytes(Image("rootfs.ext2"));
        byte[] disk = new byte[(Start * SectorSize) + rootFileSystem.Length];
        rootFileSystem.CopyTo(disk, Start * SectorSize);
        disk[446 + 4] = 0x83;
        BinaryPrimitives.WriteUInt32LittleEndian(disk.AsSpan(446 + 8), Start);
        BinaryPrimitives.WriteUInt32LittleEndian(disk.AsSpan(446 + 12), (uint)(rootFileSystem.Length / SectorSize));
        (disk[510], disk[511]) = (0x55, 0xaa);
        byte[] other = Bytes(seed: 1, 3 * SectorSize);

        LguestResult result = RunGuest(
            "64m", Image("vmlinux"), $"--block={_folder.File("disk", disk)}", $"--block={_folder.File("other", other)}", "quiet",
            "root=/dev/lgba1", "run=\"grep lgb /proc/partitions; md5sum /dev/lgbb\"");

        AssertEnded(0, result);
        Assert.Matches($@"{(disk.Length / 1024)} lgba\n.*{(rootFileSystem.Length / 1024)} lgba1\n.* 1 lgbb\n", Text(result));
        Assert.Contains($"{Md5(other)}  /dev/lgbb", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_read_only_disk_stays_as_it_is()
    {
        byte[] contents = Bytes(seed: 2, 64 * SectorSize);
        string disk = _folder.File("disk", contents);

        LguestResult result = Run(_folder, """
            cat /sys/block/lgbc/ro
            dd if=/dev/zero of=/dev/lgbc bs=512 count=1 && exit 1
            md5sum /dev/lgbc
            """, $"--block={disk},ro");

        AssertEnded(0, result);
        Assert.StartsWith("1\n", Text(result), StringComparison.Ordinal);
        Assert.Contains(Md5(contents), result.Output, StringComparison.Ordinal);
        Assert.Equal(contents, File.ReadAllBytes(disk));
    }

    [Fact]
    public void In_virtual_time_every_run_is_the_same_to_the_instruction()
    {
        const string Script = "date; cat /proc/interrupts; dd if=/dev/urandom bs=16 count=1 2>/dev/null | md5sum; sleep 2; date";
        LguestResult[] runs = [.. Enumerable.Range(0, 3).Select(_ => Run(_folder, Script, "--clock=virtual", "--stats"))];

        AssertEnded(0, runs[0]);
        Assert.All(runs, run => Assert.Equal(runs[0].Output, run.Output));
        Assert.NotEmpty(InstructionCount(runs[0]));
        Assert.All(runs, run => Assert.Equal(InstructionCount(runs[0]), InstructionCount(run)));
        Assert.Contains("Tue Oct  9 20:31:3", runs[0].Output, StringComparison.Ordinal);

        LguestResult other = Run(_folder, Script, "--clock=virtual", "--seed=1");
        Assert.NotEqual(Checksum().Match(Text(runs[0])).Value, Checksum().Match(Text(other)).Value);
    }

    [Fact]
    public void A_thousand_random_sectors_arrive_where_they_belong()
    {
        const int Seed = 2623;
        const int Sectors = 4 * Mebibyte / SectorSize;
        var random = new Random(Seed);
        byte[] from = Bytes(Seed, Sectors * SectorSize);
        byte[] to = Bytes(Seed + 1, Sectors * SectorSize);
        string disk = _folder.File("to", to);
        var script = new StringBuilder();
        for (int i = 0; i < 1000; i++)
        {
            (int read, int write) = (random.Next(Sectors), random.Next(Sectors));
            from.AsSpan(read * SectorSize, SectorSize).CopyTo(to.AsSpan(write * SectorSize));
            string direct = (i % 3) switch { 0 => " iflag=direct", 1 => " oflag=direct", _ => string.Empty };
            script.Append(CultureInfo.InvariantCulture, $"dd if=/dev/lgbc of=/dev/lgbd count=1 skip={read} seek={write} conv=notrunc{direct} 2>/dev/null || exit 1\n");
        }

        script.Append("sync; md5sum /dev/lgbd");
        LguestResult result = Run(_folder, script.ToString(), $"--block={_folder.File("from", from)},ro", $"--block={disk}");

        AssertEnded(0, result);
        Assert.Contains(Md5(to), result.Output, StringComparison.Ordinal);
        Assert.Equal(to, File.ReadAllBytes(disk));
    }

    [Theory]
    [InlineData("echo c >/proc/sysrq-trigger", 100, "lguest: the guest panicked: sysrq triggered crash\n", "Kernel panic - not syncing: sysrq triggered crash")]
    [InlineData("reboot; sleep 60", 103, "lguest: the guest asks to be started again\n", "reboot: Restarting system")]
    [InlineData("poweroff; sleep 60", 0, "", "reboot: Power down")]
    [InlineData("echo 5 >/sys/bus/lguest/exit_status; poweroff; sleep 60", 5, "", "reboot: Power down")]
    [InlineData("echo 255 >/sys/bus/lguest/exit_status; poweroff; sleep 60", 99, "lguest: the guest's exit status is 255\n", "reboot: Power down")]
    [InlineData("echo 256 >/sys/bus/lguest/exit_status || exit 9", 9, "", "Numerical result out of range")]
    [InlineData("dd if=/dev/zero of=/dev/null bs=57M count=1; exit 98", 98, "", "Out of memory: Killed process")]
    [InlineData("echo 2 >/proc/sys/vm/panic_on_oom; dd if=/dev/zero of=/dev/null bs=57M count=1; exit 98", 100, "lguest: the guest panicked: Out of memory: compulsory panic_on_oom is enabled\n", "Call Trace:")]
    [InlineData("kill -9 $$", 99, "lguest: the guest's exit status is 137\n", "reboot: Power down")]
    [InlineData("echo o >/proc/sysrq-trigger; sleep 60", 0, "", "reboot: Power down")]
    public void It_ends_as_it_says(string command, int exitCode, string errors, string output)
    {
        LguestResult result = Run(_folder, command);

        AssertEnded(exitCode, result);
        Assert.Equal(errors, result.Errors);
        Assert.Contains(output, result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", 104, "lguest: the kernel complained: BUG: kernel NULL pointer dereference, address: 00000018 ", true)]
    [InlineData("oops=panic", 100, "lguest: the guest panicked: Fatal exception\n", false)]
    public void An_oops_is_told_and_survived_unless_it_is_to_be_a_panic(string word, int exitCode, string errors, bool isSurvived)
    {
        // The entry of sysrq-z, made to point to where nothing is.
        const int IndexOfZ = 35;
        uint table = uint.Parse(
            File.ReadLines(Image("System.map")).First(line => line.EndsWith(" sysrq_key_table", StringComparison.Ordinal)).Split(' ')[0],
            NumberStyles.AllowHexSpecifier,
            CultureInfo.InvariantCulture);
        uint entry = (table - 0xc0000000) / 4 + IndexOfZ;

        LguestResult result = Run(_folder, $$"""
            printf '\020\000\000\000' | dd of=/dev/mem bs=4 seek={{entry}} conv=notrunc 2>/dev/null
            (echo z >/proc/sysrq-trigger)
            echo survived; exit 0
            """, word);

        AssertEnded(exitCode, result);
        Assert.StartsWith(errors, result.Errors, StringComparison.Ordinal);
        Assert.Contains("BUG: kernel NULL pointer dereference, address: 00000018", result.Output, StringComparison.Ordinal);
        Assert.Contains("EIP: ", result.Output, StringComparison.Ordinal);
        Assert.Equal(isSurvived, result.Output.Contains("survived", StringComparison.Ordinal));
    }

    [Fact]
    public void Its_own_counts_of_a_disk_agree_with_the_hosts()
    {
        const int Sectors = 1024;
        string disk = _folder.File("disk", new byte[Sectors * SectorSize]);
        LguestResult result = Run(_folder, """
            dd if=/dev/lgbc of=/dev/null bs=4096 count=10 iflag=direct 2>/dev/null
            dd if=/dev/zero of=/dev/lgbc bs=8192 count=5 seek=1 oflag=direct conv=notrunc,fsync 2>/dev/null
            echo stat $(cat /sys/block/lgbc/stat)
            echo irq $(grep ' 3: ' /proc/interrupts)
            echo errors $(cat /sys/bus/lguest/devices/2/errors)
            """, "--stats", $"--block={disk}");

        AssertEnded(0, result);
        ulong[] counts = Numbers(result, "stat");
        ulong[] host = Statistics(result, $"{disk}: ");
        (ulong reads, ulong sectorsRead, ulong writes, ulong sectorsWritten, ulong flushes) = (counts[0], counts[2], counts[4], counts[6], counts[15]);

        // Linux counts a flush among the writes too.
        Assert.True(reads >= 10 && writes == 6 && flushes == 1, string.Join(' ', counts));
        Assert.Equal([reads + writes, sectorsRead * SectorSize, sectorsWritten * SectorSize, flushes, 0], host);
        Assert.Equal(Numbers(result, "irq 3:")[0], InterruptCount(result, 3));
        Assert.Equal(0u, Numbers(result, "errors")[0]);
    }

    [Fact]
    public void Errors_of_the_disk_are_errors_in_the_guest_and_counted_on_both_sides()
    {
        const int Sectors = 1024;
        string disk = _folder.File("disk", new byte[Sectors * SectorSize]);
        using Process process = LguestProcess.Start(Arguments(_folder, """
            echo ready; read line
            dd if=/dev/lgbc of=/dev/null bs=512 count=1 skip=1000 iflag=direct && exit 1
            dd if=/dev/lgbc of=/dev/null bs=512 count=1 iflag=direct || exit 2
            echo errors $(cat /sys/bus/lguest/devices/2/errors)
            """, "--stats", $"--block={disk}"));
        while (process.StandardOutput.ReadLine() is { } line && line != "ready")
        {
        }

        using (FileStream file = new(disk, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(Sectors / 2 * SectorSize);
        }

        LguestResult result = LguestProcess.Finish(process, "\n");

        AssertEnded(0, result);
        Assert.Equal(Statistics(result, $"{disk}: ")[^1], Numbers(result, "errors")[0]);
        Assert.NotEqual(0u, Numbers(result, "errors")[0]);
        Assert.Contains("I/O error", result.Output, StringComparison.OrdinalIgnoreCase);
        Assert.Single(Regex.Matches(result.Errors, "has become shorter"));
    }

    [GeneratedRegex("^[0-9a-f]{32}(?=  )", RegexOptions.Multiline)]
    private static partial Regex Checksum();

    private static byte[] ScriptOf(string text) => Encoding.ASCII.GetBytes((text + "\nexit\n").PadRight(2 * SectorSize, '\n'));

    private static byte[] Bytes(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

#pragma warning disable CA5351 // What the guest's md5sum says is to be compared, not trusted.
    private static string Md5(byte[] bytes) => Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(bytes));
#pragma warning restore CA5351

    private static ulong[] Numbers(LguestResult result, string label)
    {
        string line = Text(result).Split('\n').First(each => each.StartsWith(label + " ", StringComparison.Ordinal));
        return [.. line[label.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .TakeWhile(word => word.All(char.IsAsciiDigit))
            .Select(word => ulong.Parse(word, CultureInfo.InvariantCulture))];
    }

    private static string InstructionCount(LguestResult result) => Regex.Match(result.Errors, "^lguest: [0-9,]+ instructions").Value;

    private static ulong InterruptCount(LguestResult result, int irq) => ulong.Parse(
        Regex.Match(result.Errors, $@"IRQ {irq} ([\d,]+)").Groups[1].Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture);
}
