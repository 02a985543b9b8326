using System.Globalization;

namespace Lguest.Insight.Symbols;

/// <summary>
/// Linux's <c>System.map</c>, and <c>/proc/kallsyms</c>: a line for each symbol, <c>c0100000 T _text</c>, and a module's
/// name in brackets after those of modules.
/// </summary>
public static class SystemMapFile
{
    private const int AddressDigits = 8;
    private const int TypeColumn = 9;
    private const int NameColumn = 11;

    /// <summary>Reads it.</summary>
    /// <param name="reader">The text.</param>
    /// <param name="description">What it is called, for messages.</param>
    /// <exception cref="SymbolException">It isn't such a file, or not of a 32-bit kernel.</exception>
    public static SymbolTable Read(TextReader reader, string description)
    {
        var symbols = new List<Symbol>();
        int number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (line.Length == 0)
            {
                continue;
            }

            bool parsed = line.Length > NameColumn && line[AddressDigits] == ' ' && line[NameColumn - 1] == ' ';
            if (!parsed || !uint.TryParse(line.AsSpan(0, AddressDigits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint address))
            {
                throw new SymbolException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{description} is not the System.map of a 32-bit kernel: its line {number} is not an address, a letter and a name"));
            }

            char type = char.ToLowerInvariant(line[TypeColumn]);
            string name = line[NameColumn..].Split('\t', ' ')[0];
            if (type is not ('a' or 'u') && name.Length > 0)
            {
                symbols.Add(new Symbol(name, address, 0, type is 't' or 'w'));
            }
        }

        return symbols.Count > 0
            ? new SymbolTable(symbols)
            : throw new SymbolException($"{description} has no symbols: give the System.map of the kernel's build folder");
    }
}
