namespace Lguest.Cpu.Interpreter;

/// <summary>Prefixes that count for nothing, because a later one of their group is there (SDM 2A, 2.1.1).</summary>
internal static class OverriddenPrefix
{
    /// <summary>Takes one out of an instruction, or its first byte when there is none.</summary>
    public static byte[] Remove(ReadOnlySpan<byte> instruction)
    {
        int at = 0;
        for (int i = 0; i < instruction.Length && Group(instruction[i]) != 0; i++)
        {
            if (IsOverridden(instruction[i..]))
            {
                at = i;
                break;
            }
        }

        return [.. instruction[..at], .. instruction[(at + 1)..]];
    }

    private static bool IsOverridden(ReadOnlySpan<byte> rest)
    {
        int group = Group(rest[0]);
        for (int i = 1; i < rest.Length && Group(rest[i]) != 0; i++)
        {
            if (Group(rest[i]) == group)
            {
                return true;
            }
        }

        return false;
    }

    private static int Group(byte value) => value switch
    {
        0xF0 => 1,
        0xF2 or 0xF3 => 2,
        0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65 => 3,
        0x66 => 4,
        0x67 => 5,
        _ => 0,
    };
}
