namespace Lguest.Suites.Plans;

/// <summary>Chooses boots by their names.</summary>
/// <param name="patterns">A name has to contain one of them; in each, <c>*</c> is any text. None chooses all.</param>
public sealed class BootFilter(IReadOnlyList<string> patterns)
{
    /// <summary>Whether a boot is chosen.</summary>
    public bool Has(string name) => patterns.Count == 0 || patterns.Any(pattern => Contains(name, pattern));

    private static bool Contains(string name, string pattern)
    {
        int from = 0;
        foreach (string part in pattern.Split('*'))
        {
            int at = name.IndexOf(part, from, StringComparison.Ordinal);
            if (at < 0)
            {
                return false;
            }

            from = at + part.Length;
        }

        return true;
    }
}
