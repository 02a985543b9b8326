using Lguest.Boot;
using Lguest.Devices.Lgbus;

namespace Lguest.CommandLine;

/// <summary>What the guest is to run: <c>--run=COMMAND</c>, or <c>--run-argv=A</c> for each argument.</summary>
internal static class CommandOption
{
    // As system(3) has it: a command may begin with a dash.
    private static readonly string[] Shell = ["sh", "-c", "--"];

    /// <summary>The command and its arguments; null where the user has none, and empty for a guest that gets one after it was saved.</summary>
    /// <exception cref="CommandLineException">It is given in two ways, is no command, or is too long.</exception>
    public static IReadOnlyList<string>? Parse(GivenOptions options)
    {
        string? line = options.Value(Options.RunLine);
        string[] words = [.. options.Values(Options.RunArgument)];
        bool isSaved = options.Has(Options.SaveAtReady);
        if (isSaved || options.Has(Options.Restore))
        {
            CheckSaved(isSaved, options.Has(Options.Restore), hasCommand: line is not null || words.Length > 0);
        }

        if (line is not null && words.Length > 0)
        {
            throw new CommandLineException($"--{Options.RunLine.Name} and --{Options.RunArgument.Name} contradict each other: give one of them");
        }

        if (words is ["", ..])
        {
            throw new CommandLineException($"the first --{Options.RunArgument.Name} is the command itself, and cannot be empty");
        }

        string[] command = line is null ? words : [.. Shell, line];
        int length = command.Sum(word => ByteText.Encode(word).Length + 1);
        return length <= CommandDevice.LongestArguments
            ? command.Length == 0 && !isSaved ? null : command
            : throw new CommandLineException(
                $"the command has {length} bytes, and {CommandDevice.LongestArguments} is the most it can have: give the guest a script on its standard input, `sh -s`, or on a disk");
    }

    private static void CheckSaved(bool isSaved, bool isRestored, bool hasCommand)
    {
        if (isSaved && isRestored)
        {
            throw new CommandLineException($"--{Options.SaveAtReady.Name} and --{Options.Restore.Name} contradict each other: give one of them");
        }

        if (isSaved == hasCommand)
        {
            throw new CommandLineException(isSaved
                ? $"--{Options.SaveAtReady.Name} saves a guest that has no command yet: leave it out, and give it with --{Options.Restore.Name}"
                : $"--{Options.Restore.Name} goes on with a guest that waits for a command: give it one with --{Options.RunLine.Name}");
        }
    }
}
