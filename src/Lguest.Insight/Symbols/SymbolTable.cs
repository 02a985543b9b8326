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
    // Indices and keys, because collections and sorts of structs of ours must be compiled at run time, and that is start-up time.
    private readonly Symbol[] _all;
    private readonly Dictionary<string, int> _byName;
    private Symbol[]? _byAddress;

    /// <summary>Makes one.</summary>
    /// <param name="symbols">In any order. Of several at an address, the first is the one that addresses are named by.</param>
    public SymbolTable(IEnumerable<Symbol> symbols)
    {
        _all = [.. symbols];
        _byName = new Dictionary<string, int>(_all.Length, StringComparer.Ordinal);
        for (int i = 0; i < _all.Length; i++)
        {
            // Functions and variables of a file may have the same names as those of another: data is looked up here.
            if (!_byName.TryGetValue(_all[i].Name, out int known) || (_all[known].IsCode && !_all[i].IsCode))
            {
                _byName[_all[i].Name] = i;
            }
        }
    }

    /// <summary>How many there are.</summary>
    public int Count => _all.Length;

    /// <summary>Finds a symbol by its name.</summary>
    public bool TryFind(string name, out Symbol symbol)
    {
        bool isThere = _byName.TryGetValue(name, out int index);
        symbol = isThere ? _all[index] : default;
        return isThere;
    }

    /// <summary>The function that an address is in.</summary>
    /// <returns>False when the address is before all of them, or beyond the end of the one before it.</returns>
    public bool TryFindFunction(uint address, out Symbol symbol, out uint offset)
    {
        Symbol[] byAddress = _byAddress ??= SortByAddress();
        int low = 0;
        int high = byAddress.Length - 1;
        int found = -1;
        while (low <= high)
        {
            int middle = low + ((high - low) / 2);
            if (byAddress[middle].Address <= address)
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
        while (found >= 0 && !byAddress[found].IsCode)
        {
            found--;
        }

        while (found > 0 && byAddress[found - 1].Address == byAddress[found].Address && byAddress[found - 1].IsCode)
        {
            found--;
        }

        symbol = found < 0 ? default : byAddress[found];
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

    /// <summary>Only functions are looked for by address, and many runs have no need of that.</summary>
    private Symbol[] SortByAddress()
    {
        const int AddressShift = 32;
        ulong[] keys = new ulong[_all.Length];
        for (int i = 0; i < keys.Length; i++)
        {
            keys[i] = ((ulong)_all[i].Address << AddressShift) | (uint)i;
        }

        Array.Sort(keys);
        var sorted = new Symbol[keys.Length];
        for (int i = 0; i < keys.Length; i++)
        {
            sorted[i] = _all[(int)(uint)keys[i]];
        }

        return sorted;
    }
}
