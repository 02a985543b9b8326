using System.Globalization;
using System.Text;
using Lguest.Boot.Archives;

namespace Lguest.Packing;

/// <summary>
/// The folders and links that Linux has made when it has unpacked archives one after the other. Of what is compressed nothing is known here.
/// </summary>
internal sealed class UnpackedTree
{
    private const char Separator = '/';

    // MAXSYMLINKS of Linux.
    private const int MostLinks = 40;

    private readonly Dictionary<string, (CpioKind Kind, string Target)> _entries = new(StringComparer.Ordinal);

    /// <summary>Adds what is in archives (Documentation/driver-api/early-userspace/buffer-format.rst), up to what can't be read.</summary>
    public void Unpack(ReadOnlySpan<byte> archives)
    {
        const int HeaderSize = 110;
        const int ModeField = 1;
        const int SizeField = 6;
        const int NameSizeField = 11;
        const uint KindMask = 0xf000;
        for (archives = archives.TrimStart((byte)0); archives.Length >= HeaderSize; archives = archives.TrimStart((byte)0))
        {
            if ((!archives.StartsWith("070701"u8) && !archives.StartsWith("070702"u8))
                || Field(archives, ModeField) is not { } mode || Field(archives, SizeField) is not { } size || Field(archives, NameSizeField) is not { } nameSize)
            {
                return;
            }

            long begin = Aligned(HeaderSize + (long)nameSize);
            long end = Aligned(begin + size);
            if (nameSize == 0 || end > archives.Length)
            {
                return;
            }

            string name = Encoding.UTF8.GetString(archives.Slice(HeaderSize, (int)nameSize - 1));
            var kind = (CpioKind)(mode & KindMask);
            Add(name, kind, kind == CpioKind.Link ? Encoding.UTF8.GetString(archives.Slice((int)begin, (int)size)) : string.Empty);
            archives = archives[(int)end..];
        }
    }

    /// <summary>Whether a path leads to a folder, over links or not.</summary>
    /// <param name="path">From the root; a slash at its beginning changes nothing.</param>
    public bool HasFolder(string path) => Resolve(path) is not null;

    private void Add(string name, CpioKind kind, string target)
    {
        string[] parts = [.. name.Split(Separator).Where(part => part is not ("" or "."))];
        if (parts.Length > 0)
        {
            string parent = string.Join(Separator, parts[..^1]);
            _entries[Join(Resolve(parent) ?? parent, parts[^1])] = (kind, target);
        }
    }

    /// <summary>The path of a folder without links in it; null if it isn't there.</summary>
    private string? Resolve(string path)
    {
        var rest = new Stack<string>(path.Split(Separator).Reverse());
        string place = string.Empty;
        int links = 0;
        while (rest.TryPop(out string? part))
        {
            if (part is "" or ".")
            {
                continue;
            }

            if (part == "..")
            {
                place = place[..Math.Max(place.LastIndexOf(Separator), 0)];
                continue;
            }

            if (!_entries.TryGetValue(Join(place, part), out (CpioKind Kind, string Target) entry)
                || entry.Kind is not (CpioKind.Folder or CpioKind.Link) || (entry.Kind == CpioKind.Link && ++links > MostLinks))
            {
                return null;
            }

            if (entry.Kind == CpioKind.Folder)
            {
                place = Join(place, part);
                continue;
            }

            place = entry.Target.StartsWith(Separator) ? string.Empty : place;
            foreach (string each in entry.Target.Split(Separator).Reverse())
            {
                rest.Push(each);
            }
        }

        return place;
    }

    /// <summary>One of the header's numbers: eight hexadecimal digits each, behind the magic one.</summary>
    private static uint? Field(ReadOnlySpan<byte> header, int index)
    {
        const int MagicSize = 6;
        const int FieldSize = 8;
        return uint.TryParse(header.Slice(MagicSize + (index * FieldSize), FieldSize), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value)
            ? value
            : null;
    }

    private static long Aligned(long length) => (length + 3) & ~3L;

    private static string Join(string folder, string name) => folder.Length == 0 ? name : folder + Separator + name;
}
