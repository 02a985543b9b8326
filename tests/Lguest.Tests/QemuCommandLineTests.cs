using System.Diagnostics;
using Lguest.CommandLine;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>lguest in the place of qemu-system-i386.</summary>
public sealed class QemuCommandLineTests : IDisposable
{
    // As kunit.py of Linux 6.1 to 6.17 has it, for `exec --arch=i386 --build_dir=.kunit 'list*'`.
    private static readonly string[] Kunit =
    [
        "-nodefaults", "-m", "1024", "-kernel", ".kunit/arch/x86/boot/bzImage",
        "-append", "kunit.filter_glob=list* kunit.enable=1 console=ttyS0 kunit_shutdown=reboot",
        "-no-reboot", "-nographic", "-accel", "kvm", "-accel", "hvf", "-accel", "tcg", "-serial", "stdio",
    ];

    private readonly TestFolder _folder = new();

    private static string Shim => Path.Combine(AppContext.BaseDirectory, QemuCommandLine.Name);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_kunit_asks_for_is_a_guest_with_its_console_here_that_may_end_with_a_restart()
    {
        Launch launch = Parse(Kunit);
        Assert.Equal((1024u << 20, ".kunit/arch/x86/boot/bzImage"), (launch.MemoryBytes, launch.Kernel));
        Assert.Equal("kunit.filter_glob=list* kunit.enable=1 console=hvc0 kunit_shutdown=reboot", launch.KernelCommandLine);
        Assert.Equal((null, true, 0), (launch.Warning, launch.EndsWellAtRestart, launch.Disks.Count));
    }

    [Theory]
    [InlineData("-kernel a", 128, "", false)]
    [InlineData("--kernel a -m 64M", 64, "", false)]
    [InlineData("-kernel b -kernel a -m size=1G -no-reboot", 1024, "", true)]
    [InlineData("-kernel a -append console=ttyS0,115200 -smp 1 -display none -net none -monitor none", 128, "console=hvc0", false)]
    [InlineData("-kernel a -append --b", 128, "--b", false)]
    public void Other_words_of_QEMUs_mean_what_they_mean_there(string words, int mebibytes, string commandLine, bool endsWell)
    {
        Launch launch = Parse(words.Split(' '));
        Assert.Equal(
            ("a", (uint)mebibytes << 20, commandLine, endsWell), (launch.Kernel, launch.MemoryBytes, launch.KernelCommandLine, launch.EndsWellAtRestart));
    }

    [Fact]
    public void Quotes_and_blanks_of_a_kernels_command_line_are_kept() =>
        Assert.Equal("kunit.filter=\"speed > slow\"  run=a b", Parse("-kernel", "a", "-append", "kunit.filter=\"speed > slow\"  run=a b").KernelCommandLine);

    [Fact]
    public void An_initial_RAM_disk_is_one_here_too() => Assert.Equal("x=y,z", Parse("-kernel", "a", "-initrd", "x=y,z").Initrd);

    [Theory]
    [InlineData("-kernel a -drive file=x", "lguest, in the place of qemu-system-i386, has nothing like -drive: leave it out, or write lguest's own command line, as `lguest --help` says")]
    [InlineData("-kernel a b", "lguest, in the place of qemu-system-i386, has nothing like b: leave it out, or write lguest's own command line, as `lguest --help` says")]
    [InlineData("-kernel a -smp 2", "lguest, in the place of qemu-system-i386, has nothing like -smp 2: leave it out, or write -smp 1")]
    [InlineData("-kernel a -serial null", "lguest, in the place of qemu-system-i386, has nothing like -serial null: leave it out, or write -serial stdio")]
    [InlineData("-m 64", "qemu-system-i386 needs -kernel here: give the kernel's bzImage or vmlinux")]
    [InlineData("-kernel", "-kernel needs a value: write -kernel VALUE")]
    public void What_lguest_has_not_is_refused_with_a_sentence(string words, string sentence)
    {
        LguestResult result = Run(words.Split(' '));
        Assert.Equal((125, string.Empty, $"lguest: {sentence}\n"), (result.ExitCode, result.Output, result.Errors));
    }

    [Theory]
    [InlineData("-no-reboot", 0)]
    [InlineData("-nographic", 103)]
    public void A_restart_is_the_end_that_QEMU_was_asked_for(string option, int exitCode)
    {
        string initrd = ShippedImages.Image("initrd.cpio");
        LguestResult result = Run(
            "-nodefaults", "-m", "64", "-kernel", ShippedImages.Image("bzImage"), "-initrd", initrd, "-append", "console=ttyS0 run=reboot", option, "-serial", "stdio");
        Assert.Equal(exitCode, result.ExitCode);
        Assert.Contains("Linux version ", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_dies_is_no_good_end()
    {
        LguestResult result = Run("-m", "64", "-kernel", ShippedImages.Image("bzImage"), "-append", "console=ttyS0", "-no-reboot");
        Assert.Equal(100, result.ExitCode);
        Assert.Contains("Kernel panic - not syncing: VFS: Unable to mount root fs", result.Output, StringComparison.Ordinal);
    }

    private static Launch Parse(params string[] arguments) => ((Request.Run)Launch.Parse([QemuCommandLine.Name, .. arguments])).Launch;

    /// <summary>By way of the file that is put into PATH, and of a link to it.</summary>
    private LguestResult Run(params string[] arguments)
    {
        string link = _folder.Path(QemuCommandLine.Name);
        File.CreateSymbolicLink(link, Shim);
        using Process process = Process.Start(new ProcessStartInfo(link, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        return LguestProcess.Finish(process, string.Empty);
    }
}
