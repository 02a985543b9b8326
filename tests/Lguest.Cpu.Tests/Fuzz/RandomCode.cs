using Iced.Intel;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Simd;
using Lguest.Cpu.Tests.X87;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>Bytes to execute: anything at all, or a real instruction with something about it changed.</summary>
internal static class RandomCode
{
    /// <summary>How many bytes are made: more than any instruction has.</summary>
    public const int Length = 20;

    private static readonly byte[] Prefixes = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3];

    private static readonly Code[] IntegerCodes = [.. IntegerForm.Codes];

    private static readonly SimdForm[] SimdForms = [.. SimdForm.Codes.SelectMany(SimdForm.Of)];

    /// <summary>The next bytes.</summary>
    public static byte[] Next(Random random)
    {
        List<byte> bytes = [];
        int prefixes = random.Next(4) switch { 0 => random.Next(4), 1 when random.Next(16) == 0 => random.Next(16), _ => 0 };
        for (; prefixes > 0; prefixes--)
        {
            bytes.Add(Prefixes[random.Next(Prefixes.Length)]);
        }

        switch (random.Next(8))
        {
            case 0:
                bytes.AddRange(Integer(random));
                break;
            case 1:
                bytes.AddRange(SimdForms[random.Next(SimdForms.Length)].Bytes);
                break;
            case 2:
                bytes.AddRange(X87Form.All[random.Next(X87Form.All.Length)].Bytes);
                break;
            case 3 or 4:
                bytes.Add(0x0F);
                break;
        }

        if (bytes.Count > 0 && random.Next(4) == 0)
        {
            bytes[random.Next(bytes.Count)] ^= (byte)(1 << random.Next(8));
        }

        while (bytes.Count < Length)
        {
            bytes.Add((byte)random.Next(256));
        }

        return [.. bytes.Take(Length)];
    }

    private static byte[] Integer(Random random)
    {
        Code code = IntegerCodes[random.Next(IntegerCodes.Length)];
        bool memory = random.Next(2) == 0;
        return (IntegerForm.TryMake(code, memory, random) ?? IntegerForm.TryMake(code, !memory, random))?.Bytes ?? [];
    }
}
