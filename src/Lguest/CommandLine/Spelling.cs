namespace Lguest.CommandLine;

/// <summary>What somebody may have meant who wrote a name that there isn't.</summary>
internal static class Spelling
{
    /// <summary>One slip in so many letters is taken for one.</summary>
    private const int LettersForSlip = 3;

    /// <summary>The name that is most like a word: the only one that begins with it, or the one with the fewest slips.</summary>
    /// <param name="word">As it was written.</param>
    /// <param name="names">Those that there are.</param>
    /// <returns>Null when none is like it, or several are alike.</returns>
    public static string? Nearest(string word, IReadOnlyList<string> names)
    {
        string[] longer = [.. names.Where(name => word.Length > 0 && name.StartsWith(word, StringComparison.OrdinalIgnoreCase))];
        if (longer.Length == 1)
        {
            return longer[0];
        }

        int most = Math.Max(1, word.Length / LettersForSlip);
        (string Name, int Slips)[] near = [.. names.Select(name => (name, Slips(word, name))).Where(each => each.Item2 <= most).OrderBy(each => each.Item2)];
        return near.Length > 0 && (near.Length == 1 || near[0].Slips < near[1].Slips) ? near[0].Name : null;
    }

    // The distance of Damerau and Levenshtein, in its form for strings that are never changed twice in a place: letters
    // too many, missing, wrong, or in the place of their neighbour.
    private static int Slips(string word, string name)
    {
        int[,] slips = new int[word.Length + 1, name.Length + 1];
        for (int i = 0; i <= word.Length; i++)
        {
            for (int j = 0; j <= name.Length; j++)
            {
                slips[i, j] = i == 0 || j == 0 ? i + j : Math.Min(
                    Math.Min(slips[i - 1, j], slips[i, j - 1]) + 1,
                    slips[i - 1, j - 1] + (Same(i, j) ? 0 : 1));
                if (i > 1 && j > 1 && Same(i, j - 1) && Same(i - 1, j))
                {
                    slips[i, j] = Math.Min(slips[i, j], slips[i - 2, j - 2] + 1);
                }
            }
        }

        return slips[word.Length, name.Length];

        bool Same(int i, int j) => char.ToLowerInvariant(word[i - 1]) == char.ToLowerInvariant(name[j - 1]);
    }
}
