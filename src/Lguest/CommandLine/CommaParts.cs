using System.Text;

namespace Lguest.CommandLine;

/// <summary>Values of several parts with commas between them. A comma in a part is written twice: <c>a,,b,ro</c> is <c>a,b</c> and <c>ro</c>.</summary>
internal static class CommaParts
{
    private const char Comma = ',';
    private const string Twice = ",,";

    /// <summary>The parts; always one at least.</summary>
    public static IReadOnlyList<string> Split(string value)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        for (int i = 0; i < value.Length; i++)
        {
            if (value[i] != Comma)
            {
                part.Append(value[i]);
            }
            else if (i + 1 < value.Length && value[i + 1] == Comma)
            {
                part.Append(Comma);
                i++;
            }
            else
            {
                parts.Add(part.ToString());
                part.Clear();
            }
        }

        parts.Add(part.ToString());
        return parts;
    }

    /// <summary>A part as it is written.</summary>
    public static string Escape(string part) => part.Replace($"{Comma}", Twice, StringComparison.Ordinal);
}
