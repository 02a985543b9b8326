using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>Decodes instructions with Iced and lowers them to operations, a block at a time.</summary>
internal sealed unsafe class BlockBuilder
{
    /// <summary>The most instructions in a block: enough that its entry is cheap, few enough to waste little.</summary>
    private const int MaxInstructions = 40;

    /// <summary>The longest instruction (SDM 2A, 2.3.11).</summary>
    private const int MaxInstructionLength = 15;

    /// <summary>The room a block may need.</summary>
    public static readonly int MaxBytes = sizeof(CodeBlock) + ((MaxInstructions + CodeBlock.ExtraOperations) * sizeof(Operation)) + 64;

    private readonly ByteWindow _bytes = new();
    private readonly Decoder _decoder32;
    private readonly Decoder _decoder16;
    private readonly byte[] _split = new byte[2 * MaxInstructionLength];

    public BlockBuilder()
    {
        _decoder32 = Decoder.Create(32, _bytes);
        _decoder16 = Decoder.Create(16, _bytes);
    }

    /// <summary>Offsets in a page at which an instruction is always the first of its block; null for none.</summary>
    public bool[]? EndsBefore { get; set; }

    /// <summary>Builds a block in place. False when fetching its first instruction faults.</summary>
    public bool Build(CodeBlock* block, uint page, uint offset, byte* host, ExecutionMode mode, ref SecondPageSource second)
    {
        Decoder decoder = (mode & ExecutionMode.Code32) != 0 ? _decoder32 : _decoder16;
        uint inPage = PhysicalMemory.PageSize - offset;
        Operation* operations = CodeBlock.Operations(block);
        *block = new CodeBlock { Page = page, Offset = offset, Mode = mode, SecondPage = CodeBlock.NoPage };
        int count = 0;
        decoder.IP = 0;
        _bytes.Reset(host, (int)inPage);
        bool ended = false;
        int most = (mode & ExecutionMode.Single) != 0 ? 1 : MaxInstructions;
        while (!ended && count < most)
        {
            uint start = (uint)decoder.IP;
            if (count > 0 && start < inPage && EndsBefore is { } ends && ends[offset + start])
            {
                break;
            }

            decoder.Decode(out Instruction instruction);
            uint length = instruction.IsInvalid ? UndefinedLength(start, mode) : (uint)instruction.Length;
            if (start + length > inPage)
            {
                if (count > 0)
                {
                    break;
                }

                return BuildSplit(block, decoder, host, inPage, mode, ref second);
            }

            ended = Lower(instruction, start, mode, operations + count);
            count++;
            block->Length = start + length;
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

        Span<byte> tail = _split.AsSpan((int)inPage, MaxInstructionLength);
        if (next != MemoryAccess.NoMemory)
        {
            new ReadOnlySpan<byte>(next, MaxInstructionLength).CopyTo(tail);
        }
        else
        {
            tail.Fill(byte.MaxValue);
        }

        new ReadOnlySpan<byte>(host, (int)inPage).CopyTo(_split);
        fixed (byte* bytes = _split)
        {
            decoder.IP = 0;
            _bytes.Reset(bytes, (int)inPage + MaxInstructionLength);
            decoder.Decode(out Instruction instruction);
            Operation* operations = CodeBlock.Operations(block);
            Lower(instruction, 0, mode, operations);
            block->Length = instruction.IsInvalid ? UndefinedLength(0, mode) : (uint)instruction.Length;
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
        block->Entry = operations;
    }

    /// <summary>Lowers one instruction; true when nothing can follow it in its block.</summary>
    private bool Lower(in Instruction instruction, uint start, ExecutionMode mode, Operation* op)
    {
        *op = default;
        op->EipOffset = (ushort)start;
        op->Base = op->Index = StateOffset.Zero;
        if (instruction.IsInvalid)
        {
            op->Handler = Measure(start, mode) > MaxInstructionLength ? &Undefined.TooLong : &Undefined.InvalidOpcode;
            return true;
        }

        return InstructionTable.Lower(instruction, new LoweringContext(mode, start), op);
    }

    /// <summary>How much is fetched of what isn't an instruction, or is too long for one.</summary>
    private uint UndefinedLength(uint start, ExecutionMode mode) => (uint)Math.Min(Measure(start, mode), MaxInstructionLength);

    private int Measure(uint start, ExecutionMode mode) =>
        InstructionLength.Measure(_bytes.From((int)start, MaxInstructionLength), (mode & ExecutionMode.Code32) != 0);
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
