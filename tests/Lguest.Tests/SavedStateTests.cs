using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>All that a guest can see is in what its parts save: a life cut in two goes on in another process.</summary>
public sealed class SavedStateTests : IDisposable
{
    private const string Nothing = "-";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_guest_that_is_saved_anywhere_and_loaded_in_another_process_ends_the_same()
    {
        (string console, string ending) = Live(Nothing, Nothing);
        Assert.Contains("PowerOff", ending, StringComparison.Ordinal);
        Assert.Contains("Tue Oct  9 20:31:39 UTC 2007", console, StringComparison.Ordinal);

        string state = _folder.Path("state");
        foreach (int count in (int[])[1, 3_000_000, 9_876_543, 15_000_001, 22_222_222])
        {
            (string before, string cut) = Live(Nothing, $"{state}@{count}");
            (string after, string secondEnding) = Live(state, Nothing);

            Assert.Contains($"after {count},", cut, StringComparison.Ordinal);
            Assert.Equal(console, before + after);
            Assert.Equal(ending, secondEnding);
        }
    }

    private static (string Console, string Ending) Live(string from, string to)
    {
        string[] arguments =
        [
            ShippedImages.Image("vmlinux"), ShippedImages.Image("rootfs.ext2"),
            "quiet root=/dev/lgba run=\"date; md5sum /bin/busybox; sleep 1; date\"", from, to,
        ];
        using Process process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Lguest.StateRunner"), arguments)
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
