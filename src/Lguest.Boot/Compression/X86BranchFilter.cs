using System.Buffers.Binary;
using System.Numerics;

namespace Lguest.Boot.Compression;

/// <summary>
/// XZ's filter for x86 code, in the direction of unpacking. The packer has made the targets of calls and jumps (E8, E9)
/// absolute, so that calls of one function are the same bytes; this makes them relative again.
/// </summary>
/// <remarks>
/// The filter knows no instructions, only bytes. An operand is taken for one when its last byte is 00 or FF. Opcodes
/// less than four bytes apart share bytes of their operands; rules about those keep every byte restorable.
/// </remarks>
internal static class X86BranchFilter
{
    private const int OperandSize = sizeof(uint);
    private const int Size = 1 + OperandSize;

    // The bits of a target that count: the byte above them says nothing but the sign.
    private const int TargetBits = 25;

    private const uint NearMask = 0b111;

    /// <summary>Restores a whole block in place.</summary>
    /// <param name="code">The block.</param>
    /// <param name="start">The address of its first byte, as the packer counted.</param>
    public static void Decode(Span<byte> code, uint start)
    {
        // Bit n is set when the byte n + 1 bytes back is an opcode whose operand wasn't changed.
        uint near = 0;
        for (int i = 0; i + Size <= code.Length;)
        {
            if (code[i] is not (0xe8 or 0xe9))
            {
                int distance = code[i..].IndexOfAny((byte)0xe8, (byte)0xe9);
                if (distance < 0)
                {
                    return;
                }

                near = distance < BitOperations.PopCount(NearMask) ? (near << distance) & NearMask : 0;
                i += distance;
            }
            else if (IsBranch(code.Slice(i, Size), near))
            {
                Span<byte> operand = code.Slice(i + 1, OperandSize);
                uint absolute = BinaryPrimitives.ReadUInt32LittleEndian(operand);
                BinaryPrimitives.WriteUInt32LittleEndian(operand, Relative(absolute, start + (uint)(i + Size), near));
                near = 0;
                i += Size;
            }
            else
            {
                near = ((near << 1) | 1) & NearMask;
                i++;
            }
        }
    }

    // Whether the packer has changed the operand of an opcode.
    private static bool IsBranch(ReadOnlySpan<byte> instruction, uint near) =>
        IsSign(instruction[^1])
        && (near == 0 || (BitOperations.IsPow2(near) && !IsSign(instruction[^(1 + Overlap(near))])));

    // An operand that reaches into the one of an opcode before it: the packer saw to it that the last byte of that one
    // couldn't be taken for a sign, by inverting all that is below its end. Once is enough, as that undoes itself.
    private static uint Relative(uint absolute, uint next, uint near)
    {
        uint relative = absolute - next;
        if (near != 0)
        {
            int shift = 8 * (OperandSize - 1 - Overlap(near));
            if (IsSign((byte)(relative >> shift)))
            {
                relative = (relative ^ (uint)((1UL << (shift + 8)) - 1)) - next;
            }
        }

        return (uint)((int)(relative << (32 - TargetBits)) >> (32 - TargetBits));
    }

    // How many bytes this operand ends after that of the one opcode before it.
    private static int Overlap(uint near) => 1 + BitOperations.TrailingZeroCount(near);

    private static bool IsSign(byte last) => last is 0x00 or 0xff;
}
