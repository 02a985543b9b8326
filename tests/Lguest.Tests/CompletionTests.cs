using System.Diagnostics;
using Lguest.CommandLine;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>Completion in the shells themselves, and the manual page: both are made from the table of options.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--bl", "--block=")]
    [InlineData("--us", "--usernet")]
    [InlineData("--clock=v", "virtual")]
    [InlineData("--stdin-end=", "eof nothing")]
    [InlineData("insp", "inspect")]
    [InlineData("inspect --", "--help --json --version")]
    [InlineData("64m vml", "vmlinux")]
    [InlineData("--initrd=vml", "vmlinux")]
    [InlineData("--modules=fo", "folder")]
    public void Bash_completes_options_values_and_files(string typed, string completions)
    {
        string[] words = Prepare(typed, "bash");
        string script = $$"""
            eval "$(cat script)"
            COMP_WORDS=({{string.Join(' ', words.Select(word => $"'{word}'"))}})
            COMP_CWORD={{words.Length - 1}}
            _lguest
            printf '%s\n' "${COMPREPLY[@]}" | grep -v '^--completion' | sort | tr '\n' ' '
            """;
        string completed = Run("/bin/bash", "-c", script);
        Assert.Equal(completions, typed == "inspect --" ? string.Join(' ', completed.Split(' ').Where(word => word.Length > 0)) : completed.Trim());
    }

    [Fact]
    public void Zsh_and_fish_take_their_scripts()
    {
        File.WriteAllText(_folder.Path("script"), Completion.Script("zsh"));
        Assert.SkipUnless(File.Exists("/usr/bin/zsh"), "zsh isn't installed.");
        Assert.Equal(string.Empty, Run("/usr/bin/zsh", "-n", "script"));
        Assert.SkipUnless(File.Exists("/usr/bin/fish"), "fish isn't installed.");
        File.WriteAllText(_folder.Path("script"), Completion.Script("fish"));
        string completed = Run("/usr/bin/fish", "--private", "-c", "source script; complete -C 'lguest --clock='; complete -C 'lguest --bloc'; complete -C 'lguest inspect --j'");
        Assert.Contains("--clock=virtual", completed, StringComparison.Ordinal);
        Assert.Contains("--block", completed, StringComparison.Ordinal);
        Assert.Contains("--json", completed, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void Every_option_is_in_every_script(string shell)
    {
        string script = LguestProcess.Run(string.Empty, $"--completion={shell}").Output;
        Assert.Equal(Completion.Script(shell), script);
        Assert.All(Options.Table.Declared, option => Assert.Contains(shell == "fish" ? $"-l {option.Name} " : $"--{option.Name}", script, StringComparison.Ordinal));
    }

    [Fact]
    public void Another_shell_has_none() => Assert.Equal(
        (125, "lguest: --completion=tcsh: write bash, zsh or fish\n"),
        (LguestProcess.Run(string.Empty, "--completion=tcsh").ExitCode, LguestProcess.Run(string.Empty, "--completion=tcsh").Errors));

    [Fact]
    public void The_manual_page_is_up_to_date_and_sound()
    {
        string path = Path.Combine(ShippedImages.Project, "docs", "lguest.1");
        if (Environment.GetEnvironmentVariable("LGUEST_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(path, ManualPage.Text());
        }

        Assert.True(ManualPage.Text() == File.ReadAllText(path), "docs/lguest.1 isn't what the tables say: run this test with LGUEST_UPDATE_DOCS=1.");
        Assert.SkipUnless(File.Exists("/usr/bin/groff"), "groff isn't installed.");
        string shown = Run("/usr/bin/groff", "-man", "-Tascii", "-ww", "-P-c", "-P-b", "-P-u", path);
        Assert.Contains("--block=FILE", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", shown, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("error:", shown, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void The_puppies_are_on_a_terminal_alone()
    {
        Assert.Single(LguestProcess.Run(string.Empty, "--version").Output.TrimEnd('\n').Split('\n'));
        using var terminal = new PseudoTerminal();
        using Process process = terminal.Start(LguestProcess.Path, "--version");
        LguestProcess.WaitFor(process);
        terminal.Await("U");
        Assert.StartsWith("lguest ", terminal.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', terminal.Screen);
        Assert.True(terminal.Screen.Split('\n').Length > 4);
    }

    /// <summary>The words as bash has them, where a = is a word of its own.</summary>
    private string[] Prepare(string typed, string shell)
    {
        File.WriteAllText(_folder.Path("script"), Completion.Script(shell));
        _folder.File("vmlinux", []);
        Directory.CreateDirectory(_folder.Path("folder"));
        var words = new List<string> { "lguest" };
        foreach (string word in typed.Split(' '))
        {
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            words.AddRange(equals < 0 ? [word] : word[(equals + 1)..].Length == 0 ? [word[..equals], "="] : [word[..equals], "=", word[(equals + 1)..]]);
        }

        return [.. words];
    }

    private string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Path.GetDirectoryName(_folder.Path("x")),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            Environment = { ["HOME"] = Path.GetDirectoryName(_folder.Path("x"))! },
        })!;
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        LguestProcess.WaitFor(process);
        return output + errors.Result;
    }
}
