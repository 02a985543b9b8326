using System.Globalization;

namespace Lguest.Insight.Gdb;

/// <summary>Numbers and bytes as the remote protocol writes them.</summary>
internal static class GdbHex
{
    /// <summary>An unsigned number of up to eight digits, without a prefix.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out uint value) =>
        uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    /// <summary>Bytes, two digits each.</summary>
    /// <returns>Null when it isn't that.</returns>
    public static byte[]? Bytes(ReadOnlySpan<char> text)
    {
        byte[] bytes = new byte[text.Length / 2];
        for (int i = 0; i < bytes.Length; i++)
        {
            if (!byte.TryParse(text.Slice(2 * i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]))
            {
                return null;
            }
        }

        return text.Length % 2 == 0 ? bytes : null;
    }

    /// <summary>Two parameters with a separator between them.</summary>
    public static bool TryParsePair(ReadOnlySpan<char> text, char separator, out uint first, out uint second)
    {
        second = 0;
        int at = text.IndexOf(separator);
        return TryParse(at < 0 ? [] : text[..at], out first) && TryParse(text[(at + 1)..], out second);
    }
}
