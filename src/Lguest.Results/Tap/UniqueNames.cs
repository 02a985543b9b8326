using System.Globalization;

namespace Lguest.Results.Tap;

/// <summary>Gives names that no other has: what isn't the first of its name gets a number, <c>name #2</c>.</summary>
public sealed class UniqueNames
{
    private readonly Dictionary<string, int> _next = new(StringComparer.Ordinal);

    /// <summary>The name, or the first of <c>name #2</c>, <c>name #3</c> and so on that nobody has.</summary>
    public string Take(string name)
    {
        if (_next.TryAdd(name, 2))
        {
            return name;
        }

        while (true)
        {
            int number = _next[name]++;
            string candidate = string.Create(CultureInfo.InvariantCulture, $"{name} #{number}");
            if (_next.TryAdd(candidate, 2))
            {
                return candidate;
            }
        }
    }
}
