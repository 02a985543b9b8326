using System.Globalization;

namespace Lguest.Devices.Networks;

/// <summary>An IPv4 address and how many of its bits are the network's.</summary>
/// <param name="Address">The first byte is the highest.</param>
/// <param name="Bits">0 to 32.</param>
public readonly record struct HostNetworkAddress(uint Address, int Bits)
{
    private const int AddressBits = 32;
    private const int Parts = 4;

    /// <summary>The network's bits.</summary>
    public uint Mask => Bits == 0 ? 0 : uint.MaxValue << (AddressBits - Bits);

    /// <summary>The address alone.</summary>
    public string Text => string.Create(
        CultureInfo.InvariantCulture, $"{Address >> 24}.{(byte)(Address >> 16)}.{(byte)(Address >> 8)}.{(byte)Address}");

    /// <summary>
    /// Whether a host can have the address in this network: it is neither the network's own nor its broadcast address, and of a
    /// kind that hosts have.
    /// </summary>
    public bool IsHost
    {
        get
        {
            const byte Loopback = 127;
            const byte FirstMulticast = 224;
            uint host = Address & ~Mask;
            byte first = (byte)(Address >> 24);
            return first is not 0 and not Loopback and < FirstMulticast && Bits is > 0 and < AddressBits - 1 && host != 0 && host != ~Mask;
        }
    }

    /// <summary>Reads <c>192.168.19.1</c> or <c>192.168.19.1/24</c>.</summary>
    /// <param name="text">Four decimal numbers, and perhaps the bits.</param>
    /// <param name="bits">How many bits there are when the text doesn't say.</param>
    /// <param name="address">What it says.</param>
    public static bool TryParse(string text, int bits, out HostNetworkAddress address)
    {
        address = default;
        string[] halves = text.Split('/');
        if (halves.Length > 2 || (halves.Length == 2 && !TryNumber(halves[1], AddressBits, out bits)))
        {
            return false;
        }

        string[] parts = halves[0].Split('.');
        if (parts.Length != Parts)
        {
            return false;
        }

        uint value = 0;
        foreach (string part in parts)
        {
            if (!TryNumber(part, byte.MaxValue, out int number))
            {
                return false;
            }

            value = (value << 8) | (uint)number;
        }

        address = new HostNetworkAddress(value, bits);
        return true;
    }

    /// <summary>As it is written.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Text}/{Bits}");

    private static bool TryNumber(string text, int most, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && text.Length <= 3 && number <= most;
}
