using System.Buffers.Binary;
using Lguest.Cpu.Memory;

namespace Lguest.Host;

/// <summary>
/// Guest memory as the host layer uses it: every address a guest gives is checked here, once, and a bad one
/// ends the guest. Writes drop cached code.
/// </summary>
/// <remarks>
/// Only the processor's thread may use it. A range may run from one region into the next (from RAM into a
/// device's shared page): it is then taken page by page.
/// </remarks>
/// <param name="physical">The processor's memory.</param>
public sealed class GuestMemory(PhysicalMemory physical)
{
    /// <summary>Whether all of a range is guest memory.</summary>
    /// <param name="address">Physical address of its first byte.</param>
    /// <param name="length">Bytes; 0 is in memory wherever it is.</param>
    public bool Contains(uint address, uint length)
    {
        if (length == 0 || physical.Contains(address, length))
        {
            return true;
        }

        ulong end = (ulong)address + length;
        if (end > physical.Top)
        {
            return false;
        }

        for (ulong page = address & ~PhysicalMemory.PageOffsetMask; page < end; page += PhysicalMemory.PageSize)
        {
            if (!physical.Contains((uint)page, PhysicalMemory.PageSize))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Ends the guest unless all of a range is guest memory.</summary>
    /// <param name="address">Physical address of its first byte.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="what">What is there, for the sentence: "the GDT".</param>
    /// <exception cref="GuestFaultException">Some of it isn't.</exception>
    public void Check(uint address, uint length, string what)
    {
        if (!Contains(address, length))
        {
            throw new GuestFaultException($"{what} at 0x{address:x8}, {length} bytes, is outside guest memory");
        }
    }

    /// <summary>Reads.</summary>
    /// <param name="address">Physical address of the first byte.</param>
    /// <param name="destination">Is filled.</param>
    /// <param name="what">What is there, for the sentence.</param>
    /// <exception cref="GuestFaultException">Some of the range isn't guest memory.</exception>
    public void Read(uint address, Span<byte> destination, string what)
    {
        if (physical.TryGetSpan(address, (uint)destination.Length, out Span<byte> source))
        {
            source.CopyTo(destination);
            return;
        }

        Check(address, (uint)destination.Length, what);
        while (!destination.IsEmpty)
        {
            int piece = PieceLength(address, destination.Length);
            physical.Span(address, (uint)piece).CopyTo(destination);
            destination = destination[piece..];
            address += (uint)piece;
        }
    }

    /// <summary>Writes, all or nothing.</summary>
    /// <param name="address">Physical address of the first byte.</param>
    /// <param name="source">The bytes.</param>
    /// <param name="what">What is there, for the sentence.</param>
    /// <exception cref="GuestFaultException">Some of the range isn't guest memory.</exception>
    public void Write(uint address, ReadOnlySpan<byte> source, string what)
    {
        if (physical.TryGetSpan(address, (uint)source.Length, out Span<byte> destination))
        {
            source.CopyTo(destination);
            physical.NotifyWrite(address, (uint)source.Length);
            return;
        }

        Check(address, (uint)source.Length, what);
        while (!source.IsEmpty)
        {
            int piece = PieceLength(address, source.Length);
            physical.Write(address, source[..piece]);
            source = source[piece..];
            address += (uint)piece;
        }
    }

    /// <summary>Reads a little-endian dword, aligned or not.</summary>
    /// <exception cref="GuestFaultException">It isn't all guest memory.</exception>
    public uint ReadUInt32(uint address, string what)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Read(address, bytes, what);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    /// <summary>Writes a little-endian dword, aligned or not.</summary>
    /// <exception cref="GuestFaultException">It isn't all guest memory.</exception>
    public void WriteUInt32(uint address, uint value, string what)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(address, bytes, what);
    }

    /// <summary>Reads a byte.</summary>
    /// <exception cref="GuestFaultException">It isn't guest memory.</exception>
    public byte ReadByte(uint address, string what)
    {
        Span<byte> bytes = stackalloc byte[1];
        Read(address, bytes, what);
        return bytes[0];
    }

    private static int PieceLength(uint address, int wanted) =>
        Math.Min(wanted, (int)(PhysicalMemory.PageSize - (address & PhysicalMemory.PageOffsetMask)));
}
