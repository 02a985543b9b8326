using System.Buffers.Binary;

namespace Lguest.Host.Pci;

/// <summary>The 256 bytes of a function's configuration space, and which bits of them software may write. All numbers are little-endian.</summary>
public sealed class PciConfigurationSpace
{
    /// <summary>Bytes of it.</summary>
    public const int Size = 256;

    private readonly byte[] _bytes = new byte[Size];
    private readonly byte[] _writable = new byte[Size];

    /// <summary>All of it, to be saved.</summary>
    public ReadOnlyMemory<byte> Contents
    {
        get => _bytes;
        set => value.CopyTo(_bytes);
    }

    /// <summary>Sets bytes that software can't write.</summary>
    public void Set(int offset, params ReadOnlySpan<byte> bytes) => bytes.CopyTo(_bytes.AsSpan(offset));

    /// <summary>Sets a number of 16 bits.</summary>
    /// <param name="offset">Where.</param>
    /// <param name="value">What.</param>
    /// <param name="writable">Bits that software may write.</param>
    public void SetUInt16(int offset, ushort value, ushort writable = 0)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(offset), value);
        BinaryPrimitives.WriteUInt16LittleEndian(_writable.AsSpan(offset), writable);
    }

    /// <summary>Sets a number of 32 bits.</summary>
    /// <param name="offset">Where.</param>
    /// <param name="value">What.</param>
    /// <param name="writable">Bits that software may write.</param>
    public void SetUInt32(int offset, uint value, uint writable = 0)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(offset), value);
        BinaryPrimitives.WriteUInt32LittleEndian(_writable.AsSpan(offset), writable);
    }

    /// <summary>Reads 1, 2 or 4 bytes.</summary>
    public uint Read(int offset, int size)
    {
        uint value = 0;
        for (int i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | _bytes[offset + i];
        }

        return value;
    }

    /// <summary>Writes what may be written of 1, 2 or 4 bytes.</summary>
    public void Write(int offset, int size, uint value)
    {
        for (int i = 0; i < size; i++)
        {
            byte mask = _writable[offset + i];
            _bytes[offset + i] = (byte)((_bytes[offset + i] & ~mask) | ((byte)(value >> (8 * i)) & mask));
        }
    }
}
