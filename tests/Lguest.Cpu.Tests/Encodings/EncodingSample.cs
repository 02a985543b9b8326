using Iced.Intel;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>
/// An instance of one of Iced's encodings. Its operands are registers and small numbers; memory is at [ESI], or where
/// the instruction itself has it.
/// </summary>
/// <param name="Code">The encoding, as Iced names it.</param>
/// <param name="Bytes">The instruction, in 32-bit code.</param>
internal sealed record EncodingSample(Code Code, byte[] Bytes)
{
    private const int LongestInstruction = 15;

    /// <summary>Every encoding that a decoder of 32-bit code knows of, those of other processors too.</summary>
    public static IReadOnlyList<EncodingSample> All { get; } = [.. Enum.GetValues<Code>()
        .Where(code => code.ToOpCode() is { IsInstruction: true, Mode32: true })
        .Select(code => Of(code).FirstOrDefault())
        .OfType<EncodingSample>()];

    /// <summary>
    /// What this encoding, followed by zeros, means to a processor that has none of the extensions Iced decodes on request.
    /// </summary>
    public Code Meaning => Decode([.. Bytes, .. new byte[LongestInstruction]], DecoderOptions.None).Code;

    /// <summary>The instances of an encoding: with a register where it can have one, and with memory.</summary>
    public static IEnumerable<EncodingSample> Of(Code code)
    {
        OpCodeInfo opCode = code.ToOpCode();
        OpCodeOperandKind[] kinds = [.. Enumerable.Range(0, opCode.OpCount).Select(opCode.GetOpKind)];
        bool hasChoice = Array.Exists(kinds, IsRegisterOrMemory);
        foreach (bool memory in hasChoice ? (bool[])[false, true] : [false])
        {
            if (TryMake(code, kinds, memory) is { } sample)
            {
                yield return sample;
            }
        }
    }

    /// <summary>Decodes the first instruction of some 32-bit code.</summary>
    public static Instruction Decode(byte[] bytes, DecoderOptions options) => Decoder.Create(32, bytes, options).Decode();

    /// <inheritdoc />
    public override string ToString() =>
        $"{Convert.ToHexString(Bytes)} {Decode(Bytes, Code.ToOpCode().DecoderOption)} ({Code})";

    private static EncodingSample? TryMake(Code code, OpCodeOperandKind[] kinds, bool memory)
    {
        var instruction = new Instruction { Code = code };
        for (int operand = 0; operand < kinds.Length; operand++)
        {
            SetOperand(ref instruction, operand, kinds[operand], memory);
        }

        OpCodeInfo opCode = code.ToOpCode();
        if (opCode.RequireOpMaskRegister)
        {
            instruction.OpMask = Register.K1;
        }

        var writer = new ByteWriter();
        if (!Encoder.Create(32, writer).TryEncode(instruction, Machine.CodeBase, out _, out _))
        {
            return null;
        }

        byte[] bytes = writer.Bytes;
        return Decode(bytes, opCode.DecoderOption).Code == code ? new EncodingSample(code, bytes) : null;
    }

    private static bool IsRegisterOrMemory(OpCodeOperandKind kind) =>
        kind.ToString().Contains("_or_mem", StringComparison.Ordinal);

    private static void SetOperand(ref Instruction instruction, int operand, OpCodeOperandKind kind, bool memory)
    {
        const ushort selector = 0x08;
        switch (kind)
        {
            case OpCodeOperandKind.farbr2_2 or OpCodeOperandKind.farbr4_2:
                instruction.SetOpKind(operand, kind == OpCodeOperandKind.farbr2_2 ? OpKind.FarBranch16 : OpKind.FarBranch32);
                instruction.FarBranchSelector = selector;
                instruction.FarBranch32 = Machine.CodeBase;
                break;
            case OpCodeOperandKind.br16_1 or OpCodeOperandKind.br16_2 or OpCodeOperandKind.xbegin_2
                or OpCodeOperandKind.brdisp_2:
                instruction.SetOpKind(operand, OpKind.NearBranch16);
                instruction.NearBranch16 = (ushort)Machine.CodeBase;
                break;
            case OpCodeOperandKind.br32_1 or OpCodeOperandKind.br32_4 or OpCodeOperandKind.xbegin_4
                or OpCodeOperandKind.brdisp_4:
                instruction.SetOpKind(operand, OpKind.NearBranch32);
                instruction.NearBranch32 = Machine.CodeBase;
                break;
            case OpCodeOperandKind.seg_rSI:
                instruction.SetOpKind(operand, OpKind.MemorySegESI);
                break;
            case OpCodeOperandKind.es_rDI:
                instruction.SetOpKind(operand, OpKind.MemoryESEDI);
                break;
            case OpCodeOperandKind.seg_rDI:
                instruction.SetOpKind(operand, OpKind.MemorySegEDI);
                break;
            case OpCodeOperandKind.seg_rBX_al:
                SetMemory(ref instruction, operand, Register.EBX, Register.AL);
                break;
            case OpCodeOperandKind.mem_offs:
                SetMemory(ref instruction, operand, Register.None, Register.None);
                break;
            case OpCodeOperandKind.mem_vsib32x or OpCodeOperandKind.mem_vsib64x:
                SetMemory(ref instruction, operand, Register.ESI, Register.XMM3);
                break;
            case OpCodeOperandKind.mem_vsib32y or OpCodeOperandKind.mem_vsib64y:
                SetMemory(ref instruction, operand, Register.ESI, Register.YMM3);
                break;
            case OpCodeOperandKind.mem_vsib32z or OpCodeOperandKind.mem_vsib64z:
                SetMemory(ref instruction, operand, Register.ESI, Register.ZMM3);
                break;
            case OpCodeOperandKind.mem or OpCodeOperandKind.mem_mpx or OpCodeOperandKind.mem_mib or OpCodeOperandKind.sibmem:
                SetMemory(ref instruction, operand, Register.ESI, Register.None);
                break;
            case OpCodeOperandKind.imm8_const_1:
                SetImmediate(ref instruction, operand, OpKind.Immediate8, 1);
                break;
            case OpCodeOperandKind.imm8 or OpCodeOperandKind.imm4_m2z:
                // ENTER and EXTRQ have a second one.
                bool isSecond = operand > 0 && instruction.GetOpKind(operand - 1) is OpKind.Immediate8 or OpKind.Immediate16;
                SetImmediate(ref instruction, operand, isSecond ? OpKind.Immediate8_2nd : OpKind.Immediate8, 3);
                break;
            case OpCodeOperandKind.imm8sex16:
                SetImmediate(ref instruction, operand, OpKind.Immediate8to16, 3);
                break;
            case OpCodeOperandKind.imm8sex32:
                SetImmediate(ref instruction, operand, OpKind.Immediate8to32, 3);
                break;
            case OpCodeOperandKind.imm16:
                SetImmediate(ref instruction, operand, OpKind.Immediate16, 3);
                break;
            case OpCodeOperandKind.imm32:
                SetImmediate(ref instruction, operand, OpKind.Immediate32, 3);
                break;
            default:
                if (memory && IsRegisterOrMemory(kind))
                {
                    SetMemory(ref instruction, operand, Register.ESI, Register.None);
                }
                else
                {
                    instruction.SetOpKind(operand, OpKind.Register);
                    instruction.SetOpRegister(operand, RegisterOf(kind, operand));
                }

                break;
        }
    }

    /// <summary>A register of the right kind; operands that must differ do.</summary>
    private static Register RegisterOf(OpCodeOperandKind kind, int operand)
    {
        string name = kind.ToString();
        int end = name.IndexOf('_', StringComparison.Ordinal);
        Register first = (end < 0 ? name : name[..end]) switch
        {
            "r8" => Register.CL,
            "r16" => Register.CX,
            "r32" => Register.ECX,
            "mm" => Register.MM1,
            "xmm" or "xmmp3" => Register.XMM1,
            "ymm" => Register.YMM1,
            "zmm" or "zmmp3" => Register.ZMM1,
            "tmm" => Register.TMM1,
            "bnd" => Register.BND1,
            "k" or "kp1" => Register.K2,
            _ => Register.None,
        };
        if (first != Register.None)
        {
            return first + operand;
        }

        return kind switch
        {
            OpCodeOperandKind.seg_reg => Register.DS,
            OpCodeOperandKind.cr_reg => Register.CR0,
            OpCodeOperandKind.dr_reg => Register.DR0,
            OpCodeOperandKind.tr_reg => Register.TR6,
            OpCodeOperandKind.es => Register.ES,
            OpCodeOperandKind.cs => Register.CS,
            OpCodeOperandKind.ss => Register.SS,
            OpCodeOperandKind.ds => Register.DS,
            OpCodeOperandKind.fs => Register.FS,
            OpCodeOperandKind.gs => Register.GS,
            OpCodeOperandKind.al => Register.AL,
            OpCodeOperandKind.cl => Register.CL,
            OpCodeOperandKind.ax => Register.AX,
            OpCodeOperandKind.dx => Register.DX,
            OpCodeOperandKind.eax => Register.EAX,
            OpCodeOperandKind.st0 => Register.ST0,
            OpCodeOperandKind.sti_opcode => Register.ST1,
            _ => throw new InvalidOperationException($"There is no sample of an operand {kind}."),
        };
    }

    private static void SetMemory(ref Instruction instruction, int operand, Register @base, Register index)
    {
        instruction.SetOpKind(operand, OpKind.Memory);
        instruction.MemoryBase = @base;
        instruction.MemoryIndex = index;
        instruction.MemoryIndexScale = 1;
        if (@base == Register.None)
        {
            instruction.MemoryDisplacement64 = Machine.DataBase;
            instruction.MemoryDisplSize = sizeof(uint);
        }
    }

    private static void SetImmediate(ref Instruction instruction, int operand, OpKind kind, ulong value)
    {
        instruction.SetOpKind(operand, kind);
        instruction.SetImmediate(operand, value);
    }

    /// <summary>Takes bytes from the encoder.</summary>
    private sealed class ByteWriter : CodeWriter
    {
        private readonly List<byte> _bytes = [];

        public byte[] Bytes => [.. _bytes];

        public override void WriteByte(byte value) => _bytes.Add(value);
    }
}
