using System.Globalization;
using System.Text;
using System.Xml;

namespace Lguest.Results.Reports;

/// <summary>Text that a guest wrote, made harmless for a report.</summary>
public static class GuestText
{
    private const char Escape = '\u001b';

    /// <summary>Without what XML can't hold, not even escaped (XML 1.0, production 2): control characters, halves of surrogates.</summary>
    public static string ForXml(string text)
    {
        if (!NeedsWork(text))
        {
            return text;
        }

        var clean = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                clean.Append(c).Append(text[++i]);
            }
            else if (c != '\r' && XmlConvert.IsXmlChar(c))
            {
                clean.Append(c);
            }
        }

        return clean.ToString();
    }

    /// <summary>For people: what would move a terminal's cursor, or do worse, is shown instead.</summary>
    public static string ForPeople(string text)
    {
        var shown = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            if (c is '\n' or '\t' || !(char.IsControl(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Format))
            {
                shown.Append(c);
            }
            else if (c != '\r')
            {
                shown.Append(c == Escape ? "\\e" : string.Create(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"));
            }
        }

        return shown.ToString();
    }

    private static bool NeedsWork(string text)
    {
        foreach (char c in text)
        {
            if (c == '\r' || char.IsSurrogate(c) || !XmlConvert.IsXmlChar(c))
            {
                return true;
            }
        }

        return false;
    }
}
