namespace Lguest.Insight.Gdb;

/// <summary>Packets to a debugger.</summary>
public static class GdbPacket
{
    private const int Framing = 4;
    private const byte Escape = (byte)'}';
    private const byte EscapeMask = 0x20;

    /// <summary>Frames a reply: start, data with escapes, checksum.</summary>
    /// <param name="data">A byte a character.</param>
    public static byte[] Frame(string data)
    {
        var bytes = new List<byte>(data.Length + Framing) { (byte)'$' };
        byte sum = 0;
        foreach (char character in data)
        {
            byte value = (byte)character;
            if (value is (byte)'$' or (byte)'#' or (byte)'*' or Escape)
            {
                bytes.Add(Escape);
                sum += Escape;
                value ^= EscapeMask;
            }

            bytes.Add(value);
            sum += value;
        }

        bytes.Add((byte)'#');
        bytes.AddRange(Convert.ToHexStringLower([sum]).Select(digit => (byte)digit));
        return [.. bytes];
    }
}
