using Lguest.Boot;

namespace Lguest.CommandLine;

/// <summary>The words of the user's that make up the kernel's command line.</summary>
internal static class KernelWords
{
    private const string Command = "run=";
    private const string Console = "console=";
    private const string LguestConsole = "hvc";
    private const string RootDevice = "root=/dev/";
    private const char Quote = '"';

    private static readonly string[] DiskPrefixes = ["lgb", "vd", "hd", "sd", "xvd"];

    /// <summary>The kernel's command line: the words as they are, but for <c>run=</c>, whose value is one however many blanks are in it.</summary>
    /// <exception cref="CommandLineException">The kernel can't be given such a value.</exception>
    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Select(Quoted));

    /// <summary>What the user should know of the console that the kernel is to have; null when there is nothing.</summary>
    /// <param name="commandLine">The kernel's command line.</param>
    public static string? Warning(string commandLine)
    {
        // The last one is /dev/console. To name none is a way to have none.
        string? last = Split(commandLine).LastOrDefault(word => word.StartsWith(Console, StringComparison.Ordinal));
        string name = last is null ? string.Empty : last[Console.Length..].Split(',')[0];
        return name is "" or "null" || name.StartsWith(LguestConsole, StringComparison.Ordinal)
            ? null
            : $"{last} makes /dev/console a device that no guest of lguest's has, and what programs print there is lost: leave it out, the console is {LguestConsole}0";
    }

    /// <summary>What the user should know of the disk that the kernel is to mount; null when there is nothing.</summary>
    /// <param name="commandLine">The kernel's command line.</param>
    /// <param name="prefix">What the guest calls disks, before the letter.</param>
    public static string? RootWarning(string commandLine, string prefix)
    {
        string? root = Split(commandLine).LastOrDefault(word => word.StartsWith(RootDevice, StringComparison.Ordinal));
        return root is not null
            && !root[RootDevice.Length..].StartsWith(prefix, StringComparison.Ordinal)
            && DiskPrefixes.Any(other => root[RootDevice.Length..].StartsWith(other, StringComparison.Ordinal))
            ? $"{root} is no disk of this guest's: the first is /dev/{prefix}a, so write root=/dev/{prefix}a"
            : null;
    }

    /// <summary>The words that the kernel makes of its command line: what is between double quotes is of one.</summary>
    private static List<string> Split(string commandLine)
    {
        var words = new List<string>();
        bool isQuoted = false;
        int begin = 0;
        for (int i = 0; i <= commandLine.Length; i++)
        {
            if (i == commandLine.Length || (!isQuoted && commandLine[i] == ' '))
            {
                words.Add(commandLine[begin..i]);
                begin = i + 1;
            }
            else
            {
                isQuoted ^= commandLine[i] == Quote;
            }
        }

        return words;
    }

    private static string Quoted(string word)
    {
        if (!word.StartsWith(Command, StringComparison.Ordinal) || ArrivesAsItIs(word[Command.Length..]))
        {
            return word;
        }

        // The kernel takes the quotes around a value away, and knows no way to write one between them.
        return word.Contains(Quote, StringComparison.Ordinal)
            ? throw new CommandLineException(
                $"{word} cannot be given to the guest: the kernel's command line has no way to write double quotes between others, so use single ones, or --{Options.RunLine.Name}")
            : $"{Command}{Quote}{word[Command.Length..]}{Quote}";
    }

    /// <summary>Whether the kernel makes one value of the text, and the right one (Linux, lib/cmdline.c, next_arg()).</summary>
    private static bool ArrivesAsItIs(string value)
    {
        if (value.StartsWith(Quote))
        {
            // Quoted by the user, perhaps over several words.
            int next = value.IndexOf(Quote, startIndex: 1);
            return next < 0 || next == value.Length - 1;
        }

        bool isQuoted = false;
        foreach (byte each in ByteText.Encode(value))
        {
            isQuoted ^= each == Quote;
            if (!isQuoted && IsSpace(each))
            {
                return false;
            }
        }

        return !isQuoted;
    }

    /// <summary>Linux's isspace() of a byte, whatever letter of UTF-8 it is a part of: A0h is the last byte of "à".</summary>
    private static bool IsSpace(byte value) => value is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r') or 0xa0;
}
