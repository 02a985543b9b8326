namespace Lguest.Suites.Running;

/// <summary>Words as a shell reads them.</summary>
public static class ShellWords
{
    /// <summary>One word, in quotes where it needs some.</summary>
    public static string Quote(string word) =>
        word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || "-_=./:,+@%".Contains(c, StringComparison.Ordinal))
            ? word
            : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>A script that repeats a boot; what it is given are more options.</summary>
    /// <param name="boot">The boot's name.</param>
    /// <param name="arguments">Its command line.</param>
    public static string Script(string boot, IReadOnlyList<string> arguments) => $"""
        #!/bin/sh
        # {boot}
        exec "${"{LGUEST:-lguest}"}" {string.Join(" \\\n  ", arguments.Select(Quote))} "$@"

        """;
}
