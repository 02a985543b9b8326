using System.Diagnostics;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>All that a guest can see is in what its parts save: a life cut in two goes on in another process.</summary>
public sealed class SavedStateTests : IDisposable
{
    private const string Nothing = "-";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_guest_that_is_saved_anywhere_and_goes_on_in_another_process_ends_the_same()
    {
        string[] guest =
        [
            ShippedImages.Image("vmlinux"), Nothing, ShippedImages.Image("rootfs.ext2"),
            "quiet root=/dev/lgba run=\"date; md5sum /bin/busybox; sleep 1; date\"",
        ];
        string console = AssertSameWhereverCut(guest, [1, 3_000_000, 9_876_543, 15_000_001, 22_222_222]);

        Assert.Contains("Tue Oct  9 20:31:39 UTC 2007", console, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guest_of_2_6_23_that_is_saved_anywhere_and_goes_on_in_another_process_ends_the_same()
    {
        string[] guest =
        [
            RealGuest.Variable("KERNEL"), RealGuest.Variable("INITRD"), _folder.File("disk", new byte[1 << 20]),
            "run=date;md5sum${IFS}/dev/lgba;sleep${IFS}1;date",
        ];
        string console = AssertSameWhereverCut(guest, [1, 5_000_000, 23_456_789, 40_000_001, 60_000_000]);

        Assert.Contains("b6d81b360a5672d80c27430f39153e2c  /dev/lgba", console, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guest_with_virtio_devices_that_is_saved_anywhere_and_goes_on_in_another_process_ends_the_same() =>
        AssertSameWhereverCut(RealGuest.Variable("LATER_KERNEL"));

    [Fact]
    public void A_guest_of_any_era_that_is_saved_anywhere_and_goes_on_in_another_process_ends_the_same()
    {
        foreach (Era era in RealGuest.Eras().Where(era => era.Abi.Bus != DeviceBusKind.Lguest))
        {
            AssertSameWhereverCut(era.Kernel);
        }
    }

    private void AssertSameWhereverCut(string kernelWithVirtio)
    {
        string[] guest = [kernelWithVirtio, RealGuest.Variable("INITRD"), _folder.File("disk", new byte[1 << 20]), "run=date;md5sum${IFS}/dev/vda;sleep${IFS}1;date"];
        string console = AssertSameWhereverCut(guest, [1, 5_000_000, 23_456_789, 40_000_001, 60_000_000], outcome: "Restart");

        Assert.Contains("b6d81b360a5672d80c27430f39153e2c  /dev/vda", console, StringComparison.Ordinal);
    }

    private string AssertSameWhereverCut(string[] guest, int[] counts, string outcome = "PowerOff")
    {
        (string console, string ending) = Live(guest, Nothing, Nothing);
        Assert.StartsWith(outcome, ending, StringComparison.Ordinal);
        string state = _folder.Path("state");
        foreach (int count in counts)
        {
            (string before, string cut) = Live(guest, Nothing, $"{state}@{count}");
            (string after, string secondEnding) = Live(guest, state, Nothing);

            Assert.Contains($"after {count},", cut, StringComparison.Ordinal);
            Assert.Equal(console, before + after);
            Assert.Equal(ending, secondEnding);
        }

        return console;
    }

    private static (string Console, string Ending) Live(string[] guest, string from, string to)
    {
        using Process process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Lguest.StateRunner"), [.. guest, from, to])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        LguestProcess.WaitFor(process);
        Assert.True(process.ExitCode == 0, errors.Result);
        return (output, errors.Result);
    }
}
