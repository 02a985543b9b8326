using System.Globalization;
using System.Text;

namespace Lguest.Insight.Profiles;

/// <summary>Where a guest spent its instructions: how many, by stack.</summary>
public sealed class Profile
{
    private const char Separator = ';';
    private readonly SortedDictionary<string, ulong> _stacks = new(StringComparer.Ordinal);

    /// <summary>All instructions.</summary>
    public ulong Total { get; private set; }

    /// <summary>The stacks, each the names of functions with semicolons between them, the outermost first; and the instructions of each.</summary>
    public IEnumerable<KeyValuePair<string, ulong>> Stacks => _stacks;

    /// <summary>Instructions by the innermost function, without those that it calls.</summary>
    public IReadOnlyDictionary<string, ulong> ByFunction => _stacks
        .GroupBy(each => each.Key[(each.Key.LastIndexOf(Separator) + 1)..], StringComparer.Ordinal)
        .ToDictionary(group => group.Key, group => group.Aggregate(0ul, (sum, each) => sum + each.Value), StringComparer.Ordinal);

    /// <summary>Adds instructions.</summary>
    /// <param name="functions">The stack they count for, the outermost first.</param>
    /// <param name="instructions">How many.</param>
    public void Add(IEnumerable<string> functions, ulong instructions) => Add(string.Join(Separator, functions), instructions);

    /// <summary>Reads what <see cref="Write"/> wrote, or another program that folds stacks.</summary>
    /// <exception cref="FormatException">It isn't that. The message says which line.</exception>
    public static Profile Read(TextReader text)
    {
        var profile = new Profile();
        int number = 0;
        while (text.ReadLine() is { } line)
        {
            number++;
            int space = line.LastIndexOf(' ');
            if (space <= 0 || !ulong.TryParse(line.AsSpan(space + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ulong count)
                || ulong.MaxValue - profile.Total < count)
            {
                throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"line {number} is not a stack and a count"));
            }

            profile.Add(line[..space], count);
        }

        return profile.Total > 0 ? profile : throw new FormatException("there is nothing in it");
    }

    /// <summary>Writes it folded, as programs that draw flame graphs take it: a line a stack, with a space before the count.</summary>
    public void Write(Stream output)
    {
        using var writer = new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
        foreach ((string stack, ulong count) in _stacks)
        {
            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{stack} {count}"));
        }
    }

    private void Add(string stack, ulong instructions)
    {
        _stacks[stack] = _stacks.GetValueOrDefault(stack) + instructions;
        Total += instructions;
    }
}
