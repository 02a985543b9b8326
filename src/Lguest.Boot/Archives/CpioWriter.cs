using System.Globalization;
using System.Text;

namespace Lguest.Boot.Archives;

/// <summary>What an entry of an archive is (st_mode of stat(2), without permissions).</summary>
public enum CpioKind
{
    /// <summary>S_IFDIR.</summary>
    Folder = 0x4000,

    /// <summary>S_IFREG.</summary>
    File = 0x8000,

    /// <summary>S_IFLNK.</summary>
    Link = 0xa000,
}

/// <summary>
/// Writes an archive that Linux unpacks into its first root file system (Documentation/driver-api/early-userspace/buffer-format.rst).
/// All of it belongs to root and has no times (which Linux takes from there only if it is built so), so that the same contents make the same archive.
/// </summary>
/// <param name="output">Where it goes; seeking isn't needed.</param>
public sealed class CpioWriter(Stream output)
{
    /// <summary>The largest file that the format can hold.</summary>
    public const long LargestFile = uint.MaxValue;

    private const string Magic = "070701";
    private const string Trailer = "TRAILER!!!";
    private const int HeaderFields = 13;
    private const int HeaderSize = 6 + (8 * HeaderFields);
    private const int Alignment = 4;

    private uint _inode;

    /// <summary>Adds a folder, or a link.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="name">Without a slash at its beginning.</param>
    /// <param name="permissions">The lowest twelve bits of its mode.</param>
    /// <param name="contents">What a link points to; nothing for a folder.</param>
    public void Add(CpioKind kind, string name, uint permissions, ReadOnlySpan<byte> contents = default)
    {
        WriteHeader((uint)kind | permissions, kind == CpioKind.Folder ? 2u : 1, (uint)contents.Length, name);
        output.Write(contents);
        Pad(contents.Length);
    }

    /// <summary>Adds a regular file.</summary>
    /// <param name="name">Without a slash at its beginning.</param>
    /// <param name="permissions">The lowest twelve bits of its mode.</param>
    /// <param name="contents">Its contents from where it is to its end.</param>
    /// <exception cref="IOException">It is too large, or changes its size meanwhile.</exception>
    public void AddFile(string name, uint permissions, Stream contents)
    {
        long length = contents.Length;
        if (length > LargestFile)
        {
            throw new IOException("is larger than 4 GiB");
        }

        WriteHeader((uint)CpioKind.File | permissions, 1, (uint)length, name);
        contents.CopyTo(output);
        if (contents.Position != length)
        {
            throw new IOException("is being written by somebody");
        }

        Pad(length);
    }

    /// <summary>Ends the archive.</summary>
    public void Finish()
    {
        _inode = 0;
        WriteHeader(0, 1, 0, Trailer);
    }

    private void WriteHeader(uint mode, uint links, uint length, string name)
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name);
        uint[] fields = [_inode++, mode, 0, 0, links, 0, length, 0, 0, 0, 0, (uint)nameBytes.Length + 1, 0];
        string header = Magic + string.Concat(fields.Select(field => field.ToString("X8", CultureInfo.InvariantCulture)));
        output.Write(Encoding.ASCII.GetBytes(header));
        output.Write(nameBytes);
        output.WriteByte(0);
        Pad(HeaderSize + nameBytes.Length + 1);
    }

    private void Pad(long length)
    {
        for (long i = length; i % Alignment != 0; i++)
        {
            output.WriteByte(0);
        }
    }
}
