using System.Diagnostics;
using System.Security.Cryptography;
using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Packing;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>Folders of the host's that a guest has in its initrd.</summary>
public sealed class PackingTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_folders_contents_are_in_the_guest_as_they_are()
    {
        string share = Tree();

        LguestResult result = RunShipped(
            $"--share={share}:/mnt/in",
            "--run=cd /mnt/in; find . | sort; cat a/text; readlink link; ls -ln a | grep -c ' 0 *0 '; echo change >a/text; ./a/script");

        AssertEnded(3, result);
        Assert.Equal(".\n./a\n./a/deep\n./a/script\n./a/text\n./empty\n./link\n./z \u00e9\none\ntwo\na/text\n3\nscripted\n", Utf8(result.Output));
        Assert.Equal("one\ntwo\n", File.ReadAllText(Path.Combine(share, "a", "text")));
    }

    [Fact]
    public void The_guest_that_ships_has_it_without_a_command_too()
    {
        LguestResult result = RunShipped($"--share={Tree()}", "--append=quiet", "--append=run=\"cat /share/a/text\"");

        AssertEnded(0, result);
        Assert.StartsWith("one\ntwo\n", Text(result), StringComparison.Ordinal);
        Assert.Contains("initrd.cpio", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_is_an_initrd()
    {
        string root = _folder.Path("root");
        Directory.CreateDirectory(root);
        Shell($"cd '{root}' && cpio -id --quiet <'{Image("initrd.cpio")}' && echo of the folder >mark");

        LguestResult result = RunShipped("64m", Image("vmlinux"), $"--initrd={root}", $"--share={Tree()}", "--run=cat /mark /share/a/text");

        Assert.Equal(new LguestResult(0, "of the folder\none\ntwo\n", string.Empty), result);
    }

    [Theory]
    [InlineData("root")]
    [InlineData("root.cpio")]
    public void What_an_initrd_has_on_the_way_to_a_folder_stays_as_it_is(string initrd)
    {
        string root = _folder.Path("root");
        string modules = _folder.Path("installed");
        Directory.CreateDirectory(root);
        Directory.CreateDirectory(Path.Combine(modules, "lib/modules/6.1.0"));
        File.WriteAllText(Path.Combine(modules, "lib/modules/6.1.0/a.ko"), "a module");
        Shell($"cd '{root}' && cpio -id --quiet <'{Image("initrd.cpio")}' && rm -rf lib && mkdir -p usr/lib && ln -s /usr/./lib lib && mkdir -m 1777 srv");
        Shell($"cd '{root}' && find . | cpio -o -H newc --quiet >../root.cpio");

        LguestResult result = RunShipped(
            "64m", Image("vmlinux"), $"--initrd={_folder.Path(initrd)}", $"--share={Tree()}:/srv/deep/a", $"--share={modules}:/lib/b", $"--modules={modules}",
            "--run=readlink /lib; find /usr/lib -type f | sort; stat -c %a /srv /srv/deep; cat /srv/deep/a/a/text");

        Assert.Equal(
            new LguestResult(0, "/usr/./lib\n/usr/lib/b/lib/modules/6.1.0/a.ko\n/usr/lib/modules/6.1.0/a.ko\n1777\n755\none\ntwo\n", string.Empty), result);
    }

    [Fact]
    public void Modules_are_where_a_kernel_looks_for_them_and_the_way_back_to_its_source_is_not()
    {
        string modules = _folder.Path("installed");
        Directory.CreateDirectory(Path.Combine(modules, "lib/modules/6.1.0/kernel/lib"));
        Directory.CreateDirectory(Path.Combine(modules, "boot"));
        File.WriteAllText(Path.Combine(modules, "lib/modules/6.1.0/kernel/lib/build"), "a module");
        File.CreateSymbolicLink(Path.Combine(modules, "lib/modules/6.1.0/build"), "/usr/src/linux");

        LguestResult result = RunShipped($"--modules={modules}", "--run=find /lib /boot -type f -o -type l");

        Assert.Equal((1, "/lib/modules/6.1.0/kernel/lib/build\n"), (result.ExitCode, result.Output));
    }

    [Fact]
    public void The_same_contents_are_the_same_bytes()
    {
        Launch launch = ((Request.Run)Launch.Parse(["64m", "vmlinux", $"--initrd={Tree()}"])).Launch;
        string first = Hash();
        File.SetLastWriteTime(Path.Combine(launch.Initrd!, "a", "text"), new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        Assert.Equal(first, Hash());

        File.WriteAllText(Path.Combine(launch.Initrd!, "a", "text"), "one\ntwO\n");
        Assert.NotEqual(first, Hash());

        string Hash()
        {
            using var initrd = new InitrdContents(launch, "lgb");
            using Stream contents = initrd.Open(launch.Initrd!);
            return Convert.ToHexString(SHA256.HashData(contents));
        }
    }

    [Fact]
    public void What_is_read_again_is_what_was_packed_first()
    {
        Launch launch = ((Request.Run)Launch.Parse(["64m", "vmlinux", $"--initrd={Tree()}"])).Launch;
        using var initrd = new InitrdContents(launch, "lgb");
        byte[] first = Hash();
        File.WriteAllText(Path.Combine(launch.Initrd!, "a", "text"), "one\ntwO\n");

        Assert.Equal(first, Hash());

        byte[] Hash()
        {
            using Stream contents = initrd.Open(launch.Initrd!);
            return SHA256.HashData(contents);
        }
    }

    [Theory]
    [InlineData("--share=nowhere", "--share: there is no folder 'nowhere'")]
    [InlineData("--modules=.", "--modules: there is no folder './lib/modules'")]
    [InlineData("--share=.:/", "--share=.:/ is not a folder and where the guest is to have it: write --share=DIR or --share=DIR:/mnt/dir")]
    [InlineData("--share=.:/a/../b", "--share=.:/a/../b is not a folder and where")]
    [InlineData("--share=.:b", "--share=.:b is not a folder and where")]
    public void What_can_not_be_packed_is_refused(string option, string sentence)
    {
        LguestResult result = RunShipped(option, "--run=true");

        Assert.Equal((125, $"lguest: {sentence}"), (result.ExitCode, result.Errors.TrimEnd('\n')[..Math.Min(result.Errors.Length - 1, sentence.Length + 8)]));
    }

    [Theory]
    [InlineData("echo x >\"$name\"", "name")]
    [InlineData("mkdir \"$name\"", "name")]
    [InlineData("ln -s \"$name\" link", "target")]
    public void A_name_that_is_not_UTF_8_is_refused_and_not_left_out(string make, string what)
    {
        string share = _folder.Path("share");
        Directory.CreateDirectory(share);
        Shell($"cd '{share}'; name=$(printf 'caf\\351'); {make}");

        LguestResult result = RunShipped($"--share={share}", "--run=true");

        // .NET can't delete them either.
        Shell($"rm -r '{share}'");
        Assert.Equal(125, result.ExitCode);
        Assert.EndsWith($"' can't be put into the initrd: its {what} is not UTF-8: give it another\n", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_what_would()
    {
        string share = _folder.Path("large");
        Directory.CreateDirectory(share);
        using (FileStream file = File.Create(Path.Combine(share, "file")))
        {
            file.SetLength(100 << 20);
        }

        LguestResult result = RunShipped($"--share={share}", "--run=true");

        Assert.Equal(125, result.ExitCode);
        Assert.Contains("do not fit into the guest's ", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_need_an_initrd_to_be_put_into()
    {
        Assert.StartsWith(
            "--share and --modules put files into the guest's initrd, and it has none",
            Assert.Throws<CommandLineException>(() => Launch.Parse(["64m", "vmlinux", "--share=."])).Message,
            StringComparison.Ordinal);
        using var initrd = new InitrdContents(((Request.Run)Launch.Parse(["64m", "vmlinux", $"--initrd={Tree()}", "--share=/nowhere"])).Launch, "lgb");
        Assert.Throws<BootException>(() => initrd.Open(_folder.Path("tree")));
    }

    /// <summary>Files, folders, a link, a name that isn't ASCII, and a pipe, which nobody writes to.</summary>
    private string Tree()
    {
        string root = _folder.Path("tree");
        Directory.CreateDirectory(Path.Combine(root, "a", "deep"));
        File.WriteAllText(Path.Combine(root, "a", "text"), "one\ntwo\n");
        string script = Path.Combine(root, "a", "script");
        File.WriteAllText(script, "#!/bin/sh\necho scripted\nexit 3\n");
        File.WriteAllText(Path.Combine(root, "empty"), string.Empty);
        File.WriteAllText(Path.Combine(root, "z \u00e9"), "x");
        File.CreateSymbolicLink(Path.Combine(root, "link"), "a/text");
        Shell($"chmod 500 '{script}'; mkfifo '{root}/pipe'");
        return root;
    }

    private static void Shell(string script)
    {
        using Process shell = Process.Start("/bin/sh", ["-c", script]);
        shell.WaitForExit();
        Assert.Equal(0, shell.ExitCode);
    }

    private static LguestResult RunShipped(params string[] arguments)
    {
        Image("vmlinux");
        using Process process = LguestProcess.StartIn(Project, arguments);
        return LguestProcess.Finish(process, string.Empty, TimeSpan.FromMinutes(3));
    }

    private static string Utf8(string latin1) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.Latin1.GetBytes(latin1));
}
