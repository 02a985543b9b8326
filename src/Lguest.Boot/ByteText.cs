using System.Buffers;
using System.Text;

namespace Lguest.Boot;

/// <summary>
/// Bytes as a string that can be turned back into the very same bytes: they are UTF-8, and each that isn't is the low half of a
/// surrogate pair without the other half, U+DC80 to U+DCFF. No text has those.
/// </summary>
public static class ByteText
{
    private const char Escape = '\udc00';
    private const char FirstEscaped = '\udc80';
    private const char LastEscaped = '\udcff';

    /// <summary>The string for some bytes.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        while (!bytes.IsEmpty)
        {
            bool isText = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == OperationStatus.Done;
            if (isText)
            {
                text.Append(rune);
            }

            for (int i = 0; i < length && !isText; i++)
            {
                text.Append((char)(Escape + bytes[i]));
            }

            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>The bytes for a string.</summary>
    public static byte[] Encode(string text)
    {
        const int MostBytesOfUnit = 3;
        byte[] bytes = new byte[text.Length * MostBytesOfUnit];
        int used = 0;
        for (int i = 0, length; i < text.Length; i += length)
        {
            if (Rune.DecodeFromUtf16(text.AsSpan(i), out Rune rune, out length) != OperationStatus.Done && text[i] is >= FirstEscaped and <= LastEscaped)
            {
                bytes[used++] = (byte)(text[i] - Escape);
            }
            else
            {
                used += rune.EncodeToUtf8(bytes.AsSpan(used));
            }
        }

        return bytes[..used];
    }
}
