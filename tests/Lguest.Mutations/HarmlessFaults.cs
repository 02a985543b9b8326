namespace Lguest.Mutations;

/// <summary>
/// Faults that somebody has read and found to change nothing that anyone can see, with the reasons: what the processor
/// does afterwards is the same, though it may take longer. Trying them again would only measure patience.
/// </summary>
internal sealed class HarmlessFaults
{
    private const string FileName = "tests/Lguest.Mutations/harmless.txt";
    private const string BeforeMark = "  - ";
    private const string AfterMark = "  + ";

    private readonly HashSet<LineChange> _known = [];

    /// <summary>Reads the list.</summary>
    /// <param name="root">The repository.</param>
    /// <exception cref="InvalidDataException">A line in it is nothing that belongs there.</exception>
    public HarmlessFaults(string root)
    {
        string path = "";
        string before = "";
        foreach (string line in File.ReadLines(Path.Combine(root, FileName)))
        {
            if (line.StartsWith(BeforeMark, StringComparison.Ordinal))
            {
                before = line[BeforeMark.Length..];
            }
            else if (line.StartsWith(AfterMark, StringComparison.Ordinal))
            {
                _known.Add(new LineChange(path, before, line[AfterMark.Length..]));
            }
            else if (line.StartsWith("src/", StringComparison.Ordinal))
            {
                path = line;
            }
            else if (line.Length != 0 && !line.StartsWith('#'))
            {
                throw new InvalidDataException($"{FileName} has a line that is no path, fault or comment: {line}");
            }
        }
    }

    /// <summary>Whether a fault is one of them.</summary>
    public bool Contains(LineChange change) => _known.Contains(change);

    /// <summary>The first that can't be made any more, as the source has changed; or null.</summary>
    /// <param name="possible">Those that can be made.</param>
    public LineChange? FindStale(IEnumerable<LineChange> possible)
    {
        HashSet<LineChange> left = [.. _known];
        left.ExceptWith(possible);
        return left.FirstOrDefault();
    }
}
