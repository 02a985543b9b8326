using Iced.Intel;
using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Interpreter;

/// <summary>Decodes instructions with Iced and lowers them to operations, a block at a time.</summary>
internal sealed unsafe class BlockBuilder
{
    /// <summary>The most instructions in a block: enough that its entry is cheap, few enough to waste little.</summary>
    private const int MaxInstructions = 40;

    /// <summary>The longest instruction (SDM 2A, 2.3.11).</summary>
    private const int MaxInstructionLength = 15;

    /// <summary>The room a block may need.</summary>
    public static readonly int MaxBytes = sizeof(CodeBlock) + ((MaxInstructions + 1) * sizeof(Operation)) + 64;

    private readonly ByteWindow _bytes = new();
    private readonly Decoder _decoder32;
    private readonly Decoder _decoder16;
    private readonly byte[] _split = new byte[2 * MaxInstructionLength];

    public BlockBuilder()
    {
        _decoder32 = Decoder.Create(32, _bytes);
        _decoder16 = Decoder.Create(16, _bytes);
    }

    /// <summary>Builds a block in place. False when fetching its first instruction faults.</summary>
    public bool Build(CodeBlock* block, uint physical, byte* host, ExecutionMode mode, ref SecondPageSource second)
    {
        Decoder decoder = (mode & ExecutionMode.Code32) != 0 ? _decoder32 : _decoder16;
        uint inPage = PhysicalMemory.PageSize - (physical & PhysicalMemory.PageOffsetMask);
        Operation* operations = CodeBlock.Operations(block);
        *block = new CodeBlock { Physical = physical, Mode = mode, SecondPage = CodeBlock.NoPage };
        int count = 0;
        decoder.IP = 0;
        _bytes.Reset(host, (int)inPage);
        bool ended = false;
        while (!ended && count < MaxInstructions)
        {
            uint start = (uint)decoder.IP;
            decoder.Decode(out Instruction instruction);
            if (decoder.LastError == DecoderError.NoMoreBytes)
            {
                if (count > 0)
                {
                    break;
                }

                return BuildSplit(block, decoder, host, inPage, mode, ref second);
            }

            ended = Lower(instruction, decoder, start, mode, operations + count);
            count++;
            block->Length = (uint)decoder.IP;
        }

        Finish(block, operations, count);
        return true;
    }

    /// <summary>An instruction that goes on in the next page, or that is cut off there, is alone in its block.</summary>
    private bool BuildSplit(
        CodeBlock* block,
        Decoder decoder,
        byte* host,
        uint inPage,
        ExecutionMode mode,
        ref SecondPageSource second)
    {
        if (!second.TryGet(out byte* next, out uint page))
        {
            return false;
        }

        int tail = 0;
        if (next != MemoryAccess.NoMemory)
        {
            tail = MaxInstructionLength;
            new ReadOnlySpan<byte>(next, tail).CopyTo(_split.AsSpan((int)inPage));
        }
        else
        {
            tail = MaxInstructionLength;
            _split.AsSpan((int)inPage, tail).Fill(byte.MaxValue);
        }

        new ReadOnlySpan<byte>(host, (int)inPage).CopyTo(_split);
        fixed (byte* bytes = _split)
        {
            decoder.IP = 0;
            _bytes.Reset(bytes, (int)inPage + tail);
            decoder.Decode(out Instruction instruction);
            Operation* operations = CodeBlock.Operations(block);
            Lower(instruction, decoder, 0, mode, operations);
            block->Length = Math.Max((uint)decoder.IP, inPage + 1);
            block->SecondPage = page;
            Finish(block, operations, 1);
        }

        return true;
    }

    private static void Finish(CodeBlock* block, Operation* operations, int count)
    {
        operations[count] = default;
        operations[count].Handler = &BlockExit.FallThrough;
        operations[count].EipOffset = (ushort)block->Length;
        block->InstructionCount = count;
        block->EntryCost = count;
    }

    /// <summary>Lowers one instruction; true when nothing can follow it in its block.</summary>
    private bool Lower(in Instruction instruction, Decoder decoder, uint start, ExecutionMode mode, Operation* op)
    {
        *op = default;
        op->EipOffset = (ushort)start;
        op->Base = op->Index = StateOffset.Zero;
        if (instruction.IsInvalid)
        {
            // Iced gives up at the 15-byte limit as it does at an undefined opcode; the processor doesn't.
            op->Handler = IsTooLong(start, mode) ? &Undefined.TooLong : &Undefined.InvalidOpcode;
            return true;
        }

        return InstructionTable.Lower(instruction, new LoweringContext(mode, start), op);
    }

    private bool IsTooLong(uint start, ExecutionMode mode)
    {
        if (_bytes.Position - (int)start < MaxInstructionLength)
        {
            return false;
        }

        // Without a prefix that a later one overrides it means the same and is a byte shorter: an undefined opcode ends there,
        // and what is too long still wants more. No opcode is so long that there would be no such prefix.
        byte[] shorter = OverriddenPrefix.Remove(_bytes.Slice((int)start, MaxInstructionLength));
        var decoder = Decoder.Create((mode & ExecutionMode.Code32) != 0 ? 32 : 16, shorter);
        decoder.Decode(out Instruction _);
        return decoder.LastError == DecoderError.NoMoreBytes;
    }

    /// <summary>Feeds the decoder from memory.</summary>
    private sealed class ByteWindow : CodeReader
    {
        private byte* _start;
        private int _length;

        public int Position { get; private set; }

        public void Reset(byte* start, int length)
        {
            _start = start;
            _length = length;
            Position = 0;
        }

        public ReadOnlySpan<byte> Slice(int position, int length) => new(_start + position, length);

        public override int ReadByte() => Position < _length ? _start[Position++] : -1;
    }
}

/// <summary>What an instruction is lowered for.</summary>
/// <param name="Mode">What its block may rely on.</param>
/// <param name="Start">Its offset in the block.</param>
internal readonly record struct LoweringContext(ExecutionMode Mode, uint Start)
{
    /// <summary>Whether the default segments are flat.</summary>
    public bool IsFlat => (Mode & ExecutionMode.Flat) != 0;
}

/// <summary>Bytes that aren't an instruction.</summary>
internal static unsafe class Undefined
{
    /// <summary>#UD.</summary>
    public static Operation* InvalidOpcode(ProcessorState* s, Operation* op) =>
        Fault.Raise(s, op, ExceptionVector.InvalidOpcode);

    /// <summary>More than 15 bytes: #GP(0) (SDM 3A, 6.15).</summary>
    public static Operation* TooLong(ProcessorState* s, Operation* op) =>
        Fault.Raise(s, op, ExceptionVector.GeneralProtection);
}
