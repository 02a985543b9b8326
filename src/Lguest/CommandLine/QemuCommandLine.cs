namespace Lguest.CommandLine;

/// <summary>
/// The command line of <c>qemu-system-i386</c>, as far as who tests kernels writes it, in lguest's words: above all that of Linux's
/// <c>kunit.py</c>. What a guest of lguest's can't have is refused.
/// </summary>
internal static class QemuCommandLine
{
    /// <summary>The first word of lguest's command line, if the others are QEMU's.</summary>
    public const string Name = "qemu-system-i386";

    private const string Memory = "m";
    private const string Kernel = "kernel";
    private const string InitialDisk = "initrd";
    private const string KernelWords = "append";
    private const string NoRestart = "no-reboot";
    private const string Version = "version";

    private const string UsualMemory = "128";
    private const string Mebibytes = "m";
    private const string Size = "size=";
    private const string SerialConsole = "console=ttyS0";
    private const string Console = "console=hvc0";

    /// <summary>
    /// The options, without dashes, and which values each may have: any, if null; none, if it is one without. Most are about what isn't there
    /// anyway, or say what lguest always does.
    /// </summary>
    private static readonly Dictionary<string, string[]?> Known = new(StringComparer.Ordinal)
    {
        [Memory] = null,
        [Kernel] = null,
        [InitialDisk] = null,
        [KernelWords] = null,
        [NoRestart] = [],
        [Version] = [],
        ["nodefaults"] = [],
        ["nographic"] = [],
        ["no-user-config"] = [],
        ["enable-kvm"] = [],
        ["accel"] = null,
        ["cpu"] = null,
        ["machine"] = null,
        ["M"] = null,
        ["smp"] = ["1"],
        ["serial"] = ["stdio", "mon:stdio"],
        ["display"] = ["none"],
        ["vga"] = ["none"],
        ["monitor"] = ["none", "null", "/dev/null"],
        ["parallel"] = ["none", "null", "/dev/null"],
        ["net"] = ["none"],
        ["nic"] = ["none"],
    };

    /// <summary>Reads it.</summary>
    /// <param name="arguments">All but the name.</param>
    /// <exception cref="CommandLineException">It can't be understood, or lguest has nothing like it.</exception>
    public static Request Parse(IReadOnlyList<string> arguments)
    {
        Dictionary<string, string> given = Read(arguments);
        if (given.ContainsKey(Version))
        {
            return new Request.Version();
        }

        if (!given.TryGetValue(Kernel, out string? kernel))
        {
            throw new CommandLineException($"{Name} needs -{Kernel} here: give the kernel's bzImage or vmlinux");
        }

        string[] initrds = given.TryGetValue(InitialDisk, out string? initrd) ? [$"--{Options.Initrd.Name}={initrd}"] : [];
        string[] words = given.TryGetValue(KernelWords, out string? line) && line.Length > 0 ? [.. line.Split(' ').Select(Word)] : [];
        var run = (Request.Run)Launch.Parse([.. initrds, "--", MemoryWord(given.GetValueOrDefault(Memory, UsualMemory)), kernel, .. words]);
        return new Request.Run(run.Launch with { EndsWellAtRestart = given.ContainsKey(NoRestart) });
    }

    /// <summary>The options and their values; of one that is given twice, the last counts, as QEMU has it.</summary>
    private static Dictionary<string, string> Read(IReadOnlyList<string> arguments)
    {
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < arguments.Count; i++)
        {
            string option = arguments[i];
            string name = option.StartsWith("--", StringComparison.Ordinal) ? option[2..] : option.StartsWith('-') ? option[1..] : string.Empty;
            if (!Known.TryGetValue(name, out string[]? values))
            {
                throw new CommandLineException(
                    $"lguest, in the place of {Name}, has nothing like {option}: leave it out, or write lguest's own command line, as `lguest --help` says");
            }

            given[name] = string.Empty;
            if (values is not { Length: 0 })
            {
                i++;
                given[name] = i < arguments.Count ? arguments[i] : throw new CommandLineException($"{option} needs a value: write {option} {values?[0] ?? "VALUE"}");
            }

            if (values is { Length: > 0 } && !values.Contains(given[name]))
            {
                throw new CommandLineException($"lguest, in the place of {Name}, has nothing like {option} {given[name]}: leave it out, or write {option} {values[0]}");
            }
        }

        return given;
    }

    /// <summary>QEMU's memory is in MiB, too, if no unit is given, and its units begin with the same letters.</summary>
    private static string MemoryWord(string text)
    {
        string size = text.StartsWith(Size, StringComparison.Ordinal) ? text[Size.Length..] : text;
        return size.Length > 0 && char.IsAsciiDigit(size[^1]) ? size + Mebibytes : size.ToLowerInvariant();
    }

    /// <summary>The console of a PC's first serial line is the guest's console.</summary>
    private static string Word(string word) =>
        word == SerialConsole || word.StartsWith(SerialConsole + ",", StringComparison.Ordinal) ? Console : word;
}
