using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>What 64-bit mode has no encoding for, and what is about segments, one instruction at a time, against the host's processor.</summary>
public sealed class LegacySweepTests
{
    private const int LongestInstruction = 15;

    /// <summary>Opcodes in hexadecimal, with what of their operands isn't chosen at random.</summary>
    public static TheoryData<string> Opcodes() =>
    [
        "27", "2F", "37", "3F", "D4", "D5", "60", "61", "62", "CE", "C4", "C5", "0FB2", "0FB4", "0FB5",
        "06", "0E", "16", "1E", "0FA0", "0FA8", "07", "17", "1F", "0FA1", "0FA9", "8C", "8E", "0F02", "0F03", "0F00",
        "C3", "C2", "CB", "CA", "CF", "9A", "EA", "FF", "C8", "C9", "9C", "9D", "50", "58", "68", "6A", "8F",
        "40", "41", "42", "43", "44", "45", "46", "47", "48", "49", "4A", "4B", "4C", "4D", "4E", "4F",
        "82", "D7", "E0", "E1", "E2", "E3", "E8", "E9", "EB", "A0", "A1", "A2", "A3",
        "A4", "A5", "A6", "A7", "AA", "AB", "AC", "AD", "AE", "AF", "F3A4", "F3A5", "F3A6", "F2A7", "F3AB", "F3AD", "F2AE", "F3AF",
    ];

    /// <summary>Bytes after the opcode that have a 16-bit address: all of ModRM but ESP's place.</summary>
    public static TheoryData<string> OpcodesWithAddress() => ["8B", "89", "8D", "03", "80", "F7", "0FB6", "0FAB", "D1"];

    [Theory]
    [MemberData(nameof(Opcodes))]
    public void An_instruction_does_what_the_hosts_processor_does(string opcode) =>
        Sweep(opcode, random => [.. Prefixes(random), .. Convert.FromHexString(opcode), .. Rest(random)]);

    [Theory]
    [MemberData(nameof(OpcodesWithAddress))]
    public void A_16_bit_address_is_where_the_hosts_processor_finds_it(string opcode) =>
        Sweep(opcode, random => [0x67, .. Prefixes(random), .. Convert.FromHexString(opcode), .. Rest(random)]);

    private static void Sweep(string name, Func<Random, byte[]> choose)
    {
        CompatibilityProcessor.SkipUnlessSupported();
        using var comparison = new CompatibilityComparison();
        Random random = TestSize.SeededRandom(name);
        int rounds = TestSize.Choose(ordinary: 200, @long: 5_000);
        int compared = 0;
        for (int round = 0; round < rounds; round++)
        {
            comparison.Begin(random);
            var instructions = new RandomInstructions(comparison, random);
            if (instructions.Step(() => choose(random)))
            {
                string? difference = comparison.Finish();
                Assert.True(difference is null, difference);
                compared++;
            }
        }

        Assert.True(compared > rounds / 2, $"Of {rounds} rounds only {compared} could be compared.");
        ComparisonCounts.Note($"{name} in 32-bit code", compared, ComparisonCounts.Minimum);
    }

    private static byte[] Prefixes(Random random) => random.Next(8) switch
    {
        0 or 1 => [0x66],
        2 => [0x67],
        3 => [((byte[])[0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65])[random.Next(6)]],
        _ => [],
    };

    private static byte[] Rest(Random random)
    {
        byte[] bytes = new byte[LongestInstruction];
        random.NextBytes(bytes);
        return bytes;
    }
}
