using System.Buffers.Binary;

namespace Lguest.Insight.Memory;

/// <summary>Numbers and pointers out of a guest's memory.</summary>
public static class GuestMemoryReading
{
    /// <summary>Reads a little-endian dword.</summary>
    public static bool TryReadUInt32(this IGuestMemoryReader memory, uint address, out uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        bool read = memory.TryReadVirtual(address, bytes);
        value = read ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : 0;
        return read;
    }

    /// <summary>Reads a little-endian qword.</summary>
    public static bool TryReadUInt64(this IGuestMemoryReader memory, uint address, out ulong value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bool read = memory.TryReadVirtual(address, bytes);
        value = read ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : 0;
        return read;
    }
}
