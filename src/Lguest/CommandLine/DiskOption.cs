namespace Lguest.CommandLine;

/// <summary>What becomes of what a guest writes to a disk.</summary>
internal enum DiskMode
{
    /// <summary>It is in the file.</summary>
    ReadWrite,

    /// <summary>The guest can't write.</summary>
    ReadOnly,

    /// <summary>It is kept aside, and gone when the run ends.</summary>
    Snapshot,
}

/// <summary>A disk as <c>--block</c> names it: <c>FILE</c>, <c>FILE,ro</c> or <c>FILE,snapshot</c>.</summary>
/// <param name="Path">The file.</param>
/// <param name="Mode">What may be done to it.</param>
internal sealed record DiskOption(string Path, DiskMode Mode)
{
    private const string ReadOnlyWord = "ro";
    private const string SnapshotWord = "snapshot";

    /// <summary>Reads the value of an option.</summary>
    /// <exception cref="CommandLineException">It names no file, or there is something else behind it than one of the two words.</exception>
    public static DiskOption Parse(string text)
    {
        string option = $"--{Options.Block.Name}";
        IReadOnlyList<string> parts = CommaParts.Split(text);
        if (parts[0].Length == 0)
        {
            throw new CommandLineException($"{option}={text} names no file: write {option}=FILE,{ReadOnlyWord} or {option}=FILE,{SnapshotWord}");
        }

        string[] words = [.. parts.Skip(1).Distinct()];
        if (Array.Find(words, word => word is not (ReadOnlyWord or SnapshotWord)) is { } unknown)
        {
            throw new CommandLineException(
                $"{option}={text}: '{unknown}' is nothing that a disk can be: write {ReadOnlyWord} or {SnapshotWord}, or {option}={CommaParts.Escape(string.Join(',', parts))} if these commas are in the file's name");
        }

        return words.Length <= 1
            ? new DiskOption(parts[0], words switch { [ReadOnlyWord] => DiskMode.ReadOnly, [SnapshotWord] => DiskMode.Snapshot, _ => DiskMode.ReadWrite })
            : throw new CommandLineException($"{option}={text} is both read-only and a snapshot: give one of {ReadOnlyWord} and {SnapshotWord}");
    }
}
