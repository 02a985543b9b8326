using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>
/// Hints, fences and everything else that changes nothing a single processor without caches could see.
/// </summary>
/// <remarks>
/// Encodings that later processors gave a meaning (ENDBR, RDSSP, CLDEMOTE, BNDxx, PREFETCHW) were no-operations
/// before, and are where CPUID doesn't claim them.
/// </remarks>
internal static unsafe class NoOperations
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Nop:
            case Mnemonic.Reservednop:
            case Mnemonic.Pause:
            case Mnemonic.Lfence:
            case Mnemonic.Mfence:
            case Mnemonic.Sfence:
            case Mnemonic.Prefetch:
            case Mnemonic.Prefetchw:
            case Mnemonic.Prefetchwt1:
            case Mnemonic.Prefetchnta:
            case Mnemonic.Prefetcht0:
            case Mnemonic.Prefetcht1:
            case Mnemonic.Prefetcht2:
            case Mnemonic.Prefetchit0:
            case Mnemonic.Prefetchit1:
            case Mnemonic.Endbr32:
            case Mnemonic.Endbr64:
            case Mnemonic.Rdsspd:
            case Mnemonic.Cldemote:
                op->Handler = &Nothing;
                return Lowered.Continues;
            case Mnemonic.Clflush:
                Operands.SetMemory(instruction, op);
                op->Handler = &FlushLine;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static Operation* Nothing(ProcessorState* s, Operation* op) => Operation.Next(s, op);

    /// <summary>
    /// CLFLUSH faults as a load of one byte would, but that it may name a line of a segment that can only be executed
    /// (SDM 2A, CLFLUSH); and that is all.
    /// </summary>
    private static Operation* FlushLine(ProcessorState* s, Operation* op)
    {
        ref SegmentRegister segment = ref s->Segment(op->Segment);
        uint offset = EffectiveAddress.Of(s, op);
        if (!SegmentCheck.IsWithinLimit(segment, offset, 1))
        {
            return SegmentCheck.Raise(s, op, op->Segment);
        }

        return OperandAccess.Read(s, op, segment.Base + offset, 1) == null ? null : Operation.Next(s, op);
    }
}
