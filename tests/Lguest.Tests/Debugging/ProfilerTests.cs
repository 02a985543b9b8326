using System.Xml.Linq;
using Lguest.Insight.Profiles;
using Lguest.TestSupport;

namespace Lguest.Tests.Debugging;

/// <summary>Profiles of the guest that ships.</summary>
public sealed class ProfilerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly TestFolder _folder = new();

    private string File1 => _folder.Path("profile");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Two_runs_in_virtual_time_have_the_same_profile_and_all_instructions_are_in_it()
    {
        LguestResult plain = Boot("exit 0", "--stats");
        LguestResult first = Boot("exit 0", $"--profile={File1}");
        string text = File.ReadAllText(File1);
        LguestResult second = Boot("exit 0", $"--profile={File1}");
        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        Assert.Equal(text, File.ReadAllText(File1));

        var profile = Profile.Read(new StringReader(text));
        Assert.Equal(Executed(plain), profile.Total);
        Assert.Contains(profile.Stacks, stack => stack.Key.Contains("start_kernel;", StringComparison.Ordinal));
        Assert.Contains(profile.Stacks, stack => stack.Key == "[user]");
        var picture = XDocument.Load(File1 + ".svg");
        Assert.Contains(picture.Descendants(), element => element.Name.LocalName == "title" && element.Value.StartsWith("start_kernel: ", StringComparison.Ordinal));
    }

    [Fact]
    public void A_guest_that_does_more_fails_against_its_old_profile_and_says_where()
    {
        Assert.Equal(0, Boot("exit 0", $"--profile={File1}").ExitCode);
        Assert.Equal(0, Boot("exit 0", $"--profile-compare={File1},0%").ExitCode);
        LguestResult more = Boot("i=0; while [ $i != 30000 ]; do i=$((i+1)); done", $"--profile-compare={File1}");
        Assert.Equal(102, more.ExitCode);
        Assert.Matches(@"lguest: the guest executed [0-9,]+ instructions, [0-9.]+ % more than the [0-9,]+ in '.*', and 5 % are allowed; most of it in \[user\] \(\+", more.Errors);
    }

    [Theory]
    [InlineData("--profile-compare=FILE,x%", "lguest: --profile-compare=FILE,x% is not a profile and how many per cent more are allowed: write --profile-compare=FILE or --profile-compare=FILE,5%\n")]
    [InlineData("--profile-compare=no/such/file", "lguest: the profile 'no/such/file' cannot be read: ")]
    [InlineData("--profile=no/such/folder/file", "lguest: 'no/such/folder/file' can't be written: its directory doesn't exist\n")]
    public void What_cannot_be_is_refused_before_the_boot(string option, string sentence)
    {
        LguestResult result = LguestProcess.Run(string.Empty, "8m", _folder.File("vmlinux", GuestProgram.Greeter("x")), option);
        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.StartsWith(sentence, result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_without_symbols_has_no_profile()
    {
        LguestResult result = LguestProcess.Run(string.Empty, "8m", _folder.File("vmlinux", GuestProgram.Greeter("x")), $"--profile={File1}");
        Assert.Equal(125, result.ExitCode);
        Assert.Equal("lguest: --profile needs the kernel's symbols: give its vmlinux, or have System.map beside it\n", result.Errors);

        string before = _folder.File("before", "a 1\n"u8.ToArray());
        LguestResult compared = LguestProcess.Run(string.Empty, "8m", _folder.Path("vmlinux"), $"--profile-compare={before}");
        Assert.Equal(
            (125, "lguest: --profile-compare needs the kernel's symbols: give its vmlinux, or have System.map beside it\n"), (compared.ExitCode, compared.Errors));
    }

    private static ulong Executed(LguestResult result) => ulong.Parse(
        System.Text.RegularExpressions.Regex.Match(result.Errors, "(?m)^lguest: ([0-9,]+) instructions").Groups[1].Value,
        System.Globalization.NumberStyles.AllowThousands,
        System.Globalization.CultureInfo.InvariantCulture);

    private static LguestResult Boot(string run, params string[] arguments) => LguestProcess.Run(
        string.Empty,
        Patience,
        ["64m", ShippedImages.Image("vmlinux"), $"--block={ShippedImages.Image("rootfs.ext2")},snapshot", "root=/dev/lgba", "quiet", $"run={run}", "--clock=virtual", .. arguments]);
}
