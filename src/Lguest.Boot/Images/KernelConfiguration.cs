using Lguest.Boot.Compression;

namespace Lguest.Boot.Images;

/// <summary>The configuration that a kernel was built with, which it has in it with CONFIG_IKCONFIG.</summary>
public sealed class KernelConfiguration
{
    /// <summary>The symbol of page tables with three levels, and of memory from 4 GiB on.</summary>
    public const string PhysicalAddressExtension = "X86_PAE";

    private const int MostPacked = 1 << 20;
    private const int MostText = 16 << 20;
    private const string Prefix = "CONFIG_";

    private readonly Dictionary<string, string> _values;

    private KernelConfiguration(Dictionary<string, string> values) => _values = values;

    /// <summary>How many symbols are set.</summary>
    public int Count => _values.Count;

    /// <summary>A symbol's value: <c>y</c>, <c>m</c>, a number, or a text in quotes; null when it isn't set.</summary>
    /// <param name="symbol">Without CONFIG_.</param>
    public string? this[string symbol] => _values.GetValueOrDefault(symbol);

    /// <summary>Whether something is built into the kernel itself.</summary>
    /// <param name="symbol">Without CONFIG_.</param>
    public bool Has(string symbol) => this[symbol] == "y";

    /// <summary>Reads it; null when the kernel has none, or none that can be unpacked.</summary>
    internal static KernelConfiguration? Read(KernelImage image)
    {
        if (image.ConfigurationOffset is not { } offset)
        {
            return null;
        }

        byte[] packed = new byte[Math.Min(MostPacked, image.Length - offset)];
        try
        {
            return image.TryRead(offset, packed) && new GzipCodec().Unpack(new MemoryStream(packed), MostText) is { } text
                ? new KernelConfiguration(Parse(text))
                : null;
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    private static Dictionary<string, string> Parse(MemoryStream text)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        using var reader = new StreamReader(text);
        while (reader.ReadLine() is { } line)
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0 && line.StartsWith(Prefix, StringComparison.Ordinal))
            {
                values[line[Prefix.Length..equals]] = line[(equals + 1)..];
            }
        }

        return values;
    }
}
