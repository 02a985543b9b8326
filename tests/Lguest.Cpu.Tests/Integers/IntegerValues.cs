using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Operands: edges of 8, 16 and 32 bits, mixed with random bits.</summary>
internal static class IntegerValues
{
    /// <summary>The flags that arithmetic sets, and DF.</summary>
    public const uint Flags = Eflags.Arithmetic | Eflags.Df;

    private static ReadOnlySpan<byte> Edges8 =>
        [0, 1, 2, 7, 8, 9, 10, 0x0F, 0x10, 0x11, 0x1F, 0x20, 0x21, 0x7E, 0x7F, 0x80, 0x81, 0x99, 0x9A, 0xFE, 0xFF];

    private static ReadOnlySpan<uint> Edges =>
    [
        0, 1, 2, 3, 0x7F, 0x80, 0x81, 0xFF, 0x100, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x1_0000, 0x7FFF_FFFE, 0x7FFF_FFFF,
        0x8000_0000, 0x8000_0001, 0xFFFF_0000, 0xFFFF_7FFF, 0xFFFF_8000, 0xFFFF_FF7F, 0xFFFF_FF80, 0xFFFF_FFFE, 0xFFFF_FFFF,
    ];

    /// <summary>A byte, often an edge.</summary>
    public static byte NextByte(Random random) =>
        random.Next(2) == 0 ? Edges8[random.Next(Edges8.Length)] : (byte)random.Next(256);

    /// <summary>A doubleword that is often an edge, in one of its parts or in all.</summary>
    public static uint Next(Random random)
    {
        uint bits = (uint)random.NextInt64(1L << 32);
        return random.Next(6) switch
        {
            0 => (bits & 0xFFFF_0000) | ((uint)NextByte(random) << 8) | NextByte(random),
            1 => bits >> random.Next(32),
            2 or 3 => Edges[random.Next(Edges.Length)],
            4 => 1u << random.Next(32),
            _ => bits,
        };
    }

    /// <summary>Fills memory with operands.</summary>
    public static void Fill(Span<byte> memory, Random random)
    {
        random.NextBytes(memory);
        for (int i = 0; i < 8; i++)
        {
            BitConverter.TryWriteBytes(memory[random.Next(memory.Length - sizeof(uint))..], Next(random));
        }
    }
}
