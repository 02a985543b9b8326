using System.Globalization;

namespace Lguest.Insight.Symbols;

/// <summary>A name for an address.</summary>
/// <param name="Name">As the compiler wrote it.</param>
/// <param name="Address">A linear address.</param>
/// <param name="Size">Bytes; 0 if it isn't known.</param>
/// <param name="IsCode">Whether it is in the kernel's text.</param>
public readonly record struct Symbol(string Name, uint Address, uint Size, bool IsCode);

/// <summary>The symbols of a kernel.</summary>
public sealed class SymbolTable
{
    private readonly Symbol[] _byAddress;
    private readonly Dictionary<string, Symbol> _byName = new(StringComparer.Ordinal);

    /// <summary>Makes one.</summary>
    /// <param name="symbols">In any order. Of several at an address, the first is the one that addresses are named by.</param>
    public SymbolTable(IEnumerable<Symbol> symbols)
    {
        Symbol[] all = [.. symbols];
        foreach (Symbol symbol in all)
        {
            // Functions and variables of a file may have the same names as those of another: data is looked up here.
            if (!_byName.TryGetValue(symbol.Name, out Symbol known) || (known.IsCode && !symbol.IsCode))
            {
                _byName[symbol.Name] = symbol;
            }
        }

        _byAddress = [.. all.OrderBy(symbol => symbol.Address)];
    }

    /// <summary>How many there are.</summary>
    public int Count => _byAddress.Length;

    /// <summary>Finds a symbol by its name.</summary>
    public bool TryFind(string name, out Symbol symbol) => _byName.TryGetValue(name, out symbol);

    /// <summary>The function that an address is in.</summary>
    /// <returns>False when the address is before all of them, or beyond the end of the one before it.</returns>
    public bool TryFindFunction(uint address, out Symbol symbol, out uint offset)
    {
        int low = 0;
        int high = _byAddress.Length - 1;
        int found = -1;
        while (low <= high)
        {
            int middle = low + ((high - low) / 2);
            if (_byAddress[middle].Address <= address)
            {
                found = middle;
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        // Data and labels may stand between; the first of several at an address is taken.
        while (found >= 0 && !_byAddress[found].IsCode)
        {
            found--;
        }

        while (found > 0 && _byAddress[found - 1].Address == _byAddress[found].Address && _byAddress[found - 1].IsCode)
        {
            found--;
        }

        symbol = found < 0 ? default : _byAddress[found];
        offset = address - symbol.Address;
        return found >= 0 && (symbol.Size == 0 || offset < symbol.Size);
    }

    /// <summary>An address as the kernel itself would print it: <c>name+0x1c/0x40</c>; a number if it is in no function.</summary>
    public string Describe(uint address)
    {
        if (!TryFindFunction(address, out Symbol symbol, out uint offset))
        {
            return string.Create(CultureInfo.InvariantCulture, $"0x{address:x8}");
        }

        string size = symbol.Size > 0 ? string.Create(CultureInfo.InvariantCulture, $"/0x{symbol.Size:x}") : string.Empty;
        return string.Create(CultureInfo.InvariantCulture, $"{symbol.Name}+0x{offset:x}{size}");
    }
}
