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
/// <param name="Path">The file; it may have commas of its own.</param>
/// <param name="Mode">What may be done to it.</param>
internal sealed record DiskOption(string Path, DiskMode Mode)
{
    private const string ReadOnlyWord = ",ro";
    private const string SnapshotWord = ",snapshot";

    /// <summary>Reads the value of an option.</summary>
    /// <exception cref="CommandLineException">The words at its end contradict each other, or there is no file before them.</exception>
    public static DiskOption Parse(string text)
    {
        bool isReadOnly = false;
        bool isSnapshot = false;
        string path = text;
        while (true)
        {
            if (path.EndsWith(ReadOnlyWord, StringComparison.Ordinal))
            {
                isReadOnly = true;
                path = path[..^ReadOnlyWord.Length];
            }
            else if (path.EndsWith(SnapshotWord, StringComparison.Ordinal))
            {
                isSnapshot = true;
                path = path[..^SnapshotWord.Length];
            }
            else
            {
                break;
            }
        }

        if (path.Length == 0)
        {
            throw new CommandLineException($"--block={text} names no file: write --block=FILE{ReadOnlyWord} or --block=FILE{SnapshotWord}");
        }

        if (isReadOnly && isSnapshot)
        {
            throw new CommandLineException(
                $"--block={text} is both read-only and a snapshot: give one of ro and snapshot");
        }

        return new DiskOption(path, isReadOnly ? DiskMode.ReadOnly : isSnapshot ? DiskMode.Snapshot : DiskMode.ReadWrite);
    }
}
