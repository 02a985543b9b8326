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
        var bytes = new ArrayBufferWriter<byte>(text.Length + 1);
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            Span<byte> room = bytes.GetSpan(sizeof(uint));
            int used = 1;
            if (Rune.DecodeFromUtf16(rest, out Rune rune, out int length) != OperationStatus.Done && rest[0] is >= FirstEscaped and <= LastEscaped)
            {
                room[0] = (byte)(rest[0] - Escape);
            }
            else
            {
                used = rune.EncodeToUtf8(room);
            }

            bytes.Advance(used);
            rest = rest[length..];
        }

        return bytes.WrittenSpan.ToArray();
    }
}
