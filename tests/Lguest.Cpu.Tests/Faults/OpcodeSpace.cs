using Iced.Intel;
using Lguest.Cpu.Instructions.System;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>
/// Every instruction there is, found by decoding every opcode with every mandatory prefix rather than from a list that
/// somebody could forget to extend. A memory operand is [ESI], a far pointer leads to <see cref="FarSelector"/>.
/// </summary>
internal static class OpcodeSpace
{
    /// <summary>The code segment in far pointers.</summary>
    public const byte FarSelector = 8;

    private const byte AtEsi = 0x06;
    private const byte ToEbx = 0xC3;

    private static readonly byte[][] Prefixes = [[], [0x66], [0xF2], [0xF3]];
    private static readonly byte[][] Maps = [[], [0x0F], [0x0F, 0x38], [0x0F, 0x3A]];

    // What follows: an immediate that isn't zero; or in the place of a far pointer, one with a 16-bit offset and one
    // with a 32-bit offset.
    private static readonly byte[] Tail = [.. FarPointer, 0, 0];

    // Prefixes, and ways into the other maps.
    private static readonly byte[] NoOpcodes = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x0F];
    private static readonly byte[] NoOpcodes0F = [0x38, 0x3A];

    /// <summary>A pointer into <see cref="FarSelector"/>, whether its offset is read with 16 bits or with 32.</summary>
    public static ReadOnlySpan<byte> FarPointer => [4, 0x20, FarSelector, 0, FarSelector, 0];

    /// <summary>One encoding of each instruction that has an explicit memory operand: [ESI], or an address of 32 bits in its last bytes.</summary>
    public static IReadOnlyDictionary<Code, byte[]> WithMemory { get; } = Find(
        [AtEsi],
        instruction => (instruction.Op0Kind == OpKind.Memory || instruction.Op1Kind == OpKind.Memory)
            && instruction.Mnemonic != Mnemonic.Xlatb);

    /// <summary>One encoding of each instruction that pushes or pops.</summary>
    public static IReadOnlyDictionary<Code, byte[]> WithStack { get; } = Find(
        [ToEbx, AtEsi], instruction => instruction.StackPointerIncrement != 0 || instruction.Mnemonic == Mnemonic.Leave);

    private static Dictionary<Code, byte[]> Find(byte[] operands, Func<Instruction, bool> isWanted)
    {
        var found = new Dictionary<Code, byte[]>();
        foreach (byte[] prefix in Prefixes)
        {
            foreach (byte[] map in Maps)
            {
                for (int opcode = 0; opcode <= byte.MaxValue; opcode++)
                {
                    if ((map.Length == 0 && NoOpcodes.Contains((byte)opcode)) || (map.Length == 1 && NoOpcodes0F.Contains((byte)opcode)))
                    {
                        continue;
                    }

                    foreach (byte operand in operands)
                    {
                        for (int reg = 0; reg < 8; reg++)
                        {
                            byte[] bytes = [.. prefix, .. map, (byte)opcode, (byte)(operand | (reg << 3)), .. Tail];

                            // Without ModRM it would be the immediate's first byte.
                            Instruction instruction = Decoder.Create(32, bytes).Decode();
                            if (!HasModRm(instruction))
                            {
                                bytes = [.. prefix, .. map, (byte)opcode, .. Tail];
                                instruction = Decoder.Create(32, bytes).Decode();
                            }

                            if (!instruction.IsInvalid && isWanted(instruction))
                            {
                                found.TryAdd(instruction.Code, bytes[..instruction.Length]);
                            }
                        }
                    }
                }
            }
        }

        return found;
    }

    private static bool HasModRm(in Instruction instruction)
    {
        OpCodeInfo code = instruction.Code.ToOpCode();
        return code.IsGroup || Enumerable.Range(0, code.OpCount).Any(i => code.GetOpKind(i).ToString() is var kind
            && (kind.Contains("_rm", StringComparison.Ordinal) || kind.Contains("_or_mem", StringComparison.Ordinal)
                || kind.Contains("_reg", StringComparison.Ordinal) || kind == "mem"));
    }
}
