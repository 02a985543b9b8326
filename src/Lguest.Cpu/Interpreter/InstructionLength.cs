namespace Lguest.Cpu.Interpreter;

/// <summary>
/// Where bytes end that aren't an instruction. The processor fetches all that belongs to an opcode before it finds that the
/// opcode is undefined, so on this depends whether #PF or the limit of 15 bytes comes first.
/// </summary>
/// <remarks>
/// A decoder can't tell: it reads no immediate once ModRM is wrong, and a ModRM for opcodes that have none. Of opcodes that mean
/// nothing, three have as much as Intel's processors fetch for them (0F 3F, 0F 7B, 0F A6); AMD's fetch nothing.
/// </remarks>
internal static class InstructionLength
{
    private const byte OperandSizePrefix = 0x66;
    private const byte AddressSizePrefix = 0x67;
    private const byte TwoByteEscape = 0x0F;
    private const byte Escape38 = 0x38;
    private const byte Escape3A = 0x3A;
    private const byte Escape3F = 0x3F;

    // What follows an opcode, in rows of 16 as in the manual's opcode maps (SDM 2D, appendix A). '.' is nothing, 'm' ModRM and the
    // address it asks for. An immediate: 'b' of a byte, 'w' of a word, 'z' of the operand's size, 'e' of ENTER, 'p' of a far
    // pointer, 'a' of the address's size. Both: 'B' with one of a byte, 'Z' with one of the operand's size; 't' and 'T' are
    // the same for TEST, which shares its opcode with others. A ModRM that never asks for an address, as in moves to and from
    // control registers, is a 'b' like any other byte.
    private const string OneByteOpcodes =
        "mmmmbz..mmmmbz.." +
        "mmmmbz..mmmmbz.." +
        "mmmmbz..mmmmbz.." +
        "mmmmbz..mmmmbz.." +
        "................" +
        "................" +
        "..mm....zZbB...." +
        "bbbbbbbbbbbbbbbb" +
        "BZBBmmmmmmmmmmmm" +
        "..........p....." +
        "aaaa....bz......" +
        "bbbbbbbbzzzzzzzz" +
        "BBw.mmBZe.w..b.." +
        "mmmmbb..mmmmmmmm" +
        "bbbbbbbbzzpb...." +
        "......tT......mm";

    private const string TwoByteOpcodes =
        "mmmm.........m.B" +
        "mmmmmmmmmmmmmmmm" +
        "bbbb....mmmmmmmm" +
        "................" +
        "mmmmmmmmmmmmmmmm" +
        "mmmmmmmmmmmmmmmm" +
        "mmmmmmmmmmmmmmmm" +
        "BBBBmmm.mm.mmmmm" +
        "zzzzzzzzzzzzzzzz" +
        "mmmmmmmmmmmmmmmm" +
        "...mBmm....mBmmm" +
        "mmmmmmmmmmBmmmmm" +
        "mmBmBBBm........" +
        "mmmmmmmmmmmmmmmm" +
        "mmmmmmmmmmmmmmmm" +
        "mmmmmmmmmmmmmmmm";

    /// <summary>Measures an instruction, sound or not.</summary>
    /// <param name="code">Its bytes, as far as they are known.</param>
    /// <param name="is32">The code segment's default.</param>
    /// <returns>How many bytes belong to it; more than <paramref name="code"/> has when that is too few to tell.</returns>
    public static int Measure(ReadOnlySpan<byte> code, bool is32)
    {
        bool operand32 = is32;
        bool address32 = is32;
        int length = 0;
        while (length < code.Length && IsPrefix(code[length]))
        {
            operand32 = code[length] == OperandSizePrefix ? !is32 : operand32;
            address32 = code[length] == AddressSizePrefix ? !is32 : address32;
            length++;
        }

        if (!TryReadOpcode(code, ref length, out char form))
        {
            return code.Length + 1;
        }

        int operandBytes = operand32 ? sizeof(uint) : sizeof(ushort);
        int addressBytes = address32 ? sizeof(uint) : sizeof(ushort);
        bool hasModRm = form is 'm' or 'B' or 'Z' or 't' or 'T';
        if (hasModRm && length == code.Length)
        {
            return code.Length + 1;
        }

        bool isTest = hasModRm && (code[length] & 0b0011_0000) == 0;
        int immediate = form switch
        {
            'b' or 'B' => sizeof(byte),
            'w' => sizeof(ushort),
            'z' or 'Z' => operandBytes,
            'e' => sizeof(ushort) + sizeof(byte),
            'p' => operandBytes + sizeof(ushort),
            'a' => addressBytes,
            't' when isTest => sizeof(byte),
            'T' when isTest => operandBytes,
            _ => 0,
        };
        return length + immediate + (hasModRm ? ModRmLength(code[length..], address32) : 0);
    }

    private static bool TryReadOpcode(ReadOnlySpan<byte> code, ref int length, out char form)
    {
        form = '.';
        if (length == code.Length)
        {
            return false;
        }

        byte opcode = code[length++];
        if (opcode != TwoByteEscape)
        {
            form = OneByteOpcodes[opcode];
            return true;
        }

        if (length == code.Length)
        {
            return false;
        }

        opcode = code[length++];
        form = TwoByteOpcodes[opcode];
        if (opcode is Escape38 or Escape3A or Escape3F)
        {
            form = opcode == Escape38 ? 'm' : 'B';
            length++;
        }

        return length <= code.Length;
    }

    // With SIB and displacement (SDM 2A, tables 2-1 to 2-3).
    private static int ModRmLength(ReadOnlySpan<byte> code, bool address32)
    {
        const int registerMode = 3;
        const int displacementOnly32 = 5;
        const int displacementOnly16 = 6;
        const int hasSib = 4;
        int mode = code[0] >> 6;
        int register = code[0] & 7;
        if (mode == registerMode)
        {
            return 1;
        }

        if (!address32)
        {
            int bytes = mode == 0 && register == displacementOnly16 ? sizeof(ushort) : mode;
            return 1 + bytes;
        }

        int length = 1;
        if (register == hasSib)
        {
            length++;
            if (code.Length < length)
            {
                return length;
            }

            register = code[1] & 7;
        }

        int displacement = mode == 1 ? sizeof(byte)
            : mode != 0 || register == displacementOnly32 ? sizeof(uint)
            : 0;
        return length + displacement;
    }

    private static bool IsPrefix(byte value) => value
        is 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65 or OperandSizePrefix or AddressSizePrefix or 0xF0 or 0xF2 or 0xF3;
}
