using System.Buffers.Binary;
using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Insight.Cores;

namespace Lguest.Insight.Tests.Cores;

/// <summary>An ELF core of a processor and its memory.</summary>
public sealed class CoreFileTests : IDisposable
{
    private const uint PageOffset = 0xc000_0000;
    private const uint MemoryBytes = 0x4000_0000;
    private const uint LinearBytes = 0x3800_0000;
    private const uint Load = 1;

    private readonly PhysicalMemory _memory = new();
    private readonly Processor _processor;

    public CoreFileTests()
    {
        _memory.AddRam(0, MemoryBytes);
        _processor = new Processor(_memory);
    }

    public void Dispose()
    {
        _processor.Dispose();
        _memory.Dispose();
    }

    [Fact]
    public void It_has_the_registers_in_the_order_of_ptrace()
    {
        for (int i = 0; i < 8; i++)
        {
            _processor.State.SetGeneral(i, 100u + (uint)i);
        }

        _processor.State.Eip = 0x1234;
        byte[] file = Write(0x10_0000);
        ReadOnlySpan<byte> note = file.AsSpan((int)Word(file, 52 + 4));
        Assert.Equal("CORE\0"u8, note.Slice(12, 5));
        ReadOnlySpan<byte> registers = note[(20 + 72)..];
        uint[] values = new uint[17];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = BinaryPrimitives.ReadUInt32LittleEndian(registers[(4 * i)..]);
        }

        // EBX, ECX, EDX, ESI, EDI, EBP, EAX; EIP; EFLAGS; ESP.
        Assert.Equal([103u, 101u, 102u, 106u, 107u, 105u, 100u], values[..7]);
        Assert.Equal((0x1234u, 2u, 104u), (values[12], values[14], values[15]));
    }

    [Fact]
    public void Memory_is_where_the_kernel_maps_it_and_what_it_does_not_map_has_no_address()
    {
        _memory.Write(0x2345, [1, 2, 3]);
        _memory.Write(LinearBytes + 7, [9]);
        using var stream = new MemoryStream();
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream output = File.Create(path))
            {
                CoreFile.Write(output, _processor, _memory, [(0, MemoryBytes)], PageOffset);
            }

            using FileStream file = File.OpenRead(path);
            byte[] start = new byte[4096];
            file.ReadExactly(start);
            (uint Type, uint Offset, uint Virtual, uint Physical, uint Length)[] headers = [.. Headers(start).Where(header => header.Type == Load)];
            Assert.Equal([(PageOffset, 0u, LinearBytes), (uint.MaxValue, LinearBytes, MemoryBytes - LinearBytes)], headers.Select(header => (header.Virtual, header.Physical, header.Length)));
            Assert.Equal(headers[1].Offset + headers[1].Length, file.Length);
            Assert.Equal([1, 2, 3], At(file, headers[0].Offset + 0x2345, 3));
            Assert.Equal([0, 9, 0], At(file, headers[1].Offset + 6, 3));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void What_page_tables_have_above_is_found_in_the_same_bytes()
    {
        // A table at 0x2000 maps three pages at 0xf9000000: two that follow each other, and one elsewhere.
        const uint Directory = 0x1000;
        const uint Table = 0x2000;
        const uint Above = 0xf900_0000;
        WriteWord(Directory + ((Above >> 22) * 4), Table | 3);
        WriteWord(Table + (((Above >> 12) & 0x3ff) * 4), 0x5000 | 3);
        WriteWord(Table + ((((Above >> 12) & 0x3ff) + 1) * 4), 0x6000 | 3);
        WriteWord(Table + ((((Above >> 12) & 0x3ff) + 2) * 4), 0x9000 | 3);
        WriteWord(Table + ((((Above >> 12) & 0x3ff) + 3) * 4), 0x7000_0000 | 3);
        _processor.WriteControlRegister(3, Directory);
        _processor.WriteControlRegister(0, 0x8000_0001);
        _memory.Write(0x6010, [0x77]);

        byte[] file = Write(0x10_0000);
        (uint Type, uint Offset, uint Virtual, uint Physical, uint Length)[] headers = [.. Headers(file).Where(header => header.Type == Load)];
        Assert.Equal([(PageOffset, 0u, 0x10_0000u), (Above, 0x5000u, 0x2000u), (Above + 0x2000, 0x9000u, 0x1000u)], headers.Select(header => (header.Virtual, header.Physical, header.Length)));
        Assert.Equal(0x77, file[headers[1].Offset + 0x1010]);
        Assert.Equal(headers[0].Offset + 0x10_0000u, (uint)file.Length);
    }

    private static byte[] At(FileStream file, uint offset, int length)
    {
        byte[] bytes = new byte[length];
        file.Position = offset;
        file.ReadExactly(bytes);
        return bytes;
    }

    private static IEnumerable<(uint Type, uint Offset, uint Virtual, uint Physical, uint Length)> Headers(byte[] file)
    {
        for (int i = 0; i < BitConverter.ToUInt16(file, 44); i++)
        {
            int at = 52 + (32 * i);
            yield return (Word(file, at), Word(file, at + 4), Word(file, at + 8), Word(file, at + 12), Word(file, at + 16));
        }
    }

    private static uint Word(byte[] file, int offset) => BitConverter.ToUInt32(file, offset);

    private byte[] Write(ulong end)
    {
        using var stream = new MemoryStream();
        CoreFile.Write(stream, _processor, _memory, [(0, end)], PageOffset);
        return stream.ToArray();
    }

    private void WriteWord(uint address, uint value) => _memory.Write(address, BitConverter.GetBytes(value));
}
