using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>From Iced's operands to an operation's.</summary>
internal static unsafe class Operands
{
    /// <summary>8, 16 or 32: the size of a register or memory operand.</summary>
    public static int Bits(in Instruction instruction, int operand) =>
        (IsMemory(instruction, operand) ? instruction.MemorySize.GetSize() : instruction.GetOpRegister(operand).GetSize()) * 8;

    /// <summary>Whether the memory operand can go without its segment.</summary>
    public static bool IsFlat(in Instruction instruction, in LoweringContext context) =>
        context.IsFlat && IsFlatSegment(instruction.MemorySegment) && !HasAddress16(instruction);

    /// <summary>Whether all bytes of a segment can be read and written in <see cref="ExecutionMode.Flat"/>: those of CS can't be written.</summary>
    public static bool IsFlatSegment(Register segment) =>
        segment is not (Iced.Intel.Register.CS or Iced.Intel.Register.FS or Iced.Intel.Register.GS);

    /// <summary>Fills in the memory operand.</summary>
    public static void SetMemory(in Instruction instruction, Operation* op)
    {
        op->Base = OffsetOrZero(instruction.MemoryBase);
        op->Index = OffsetOrZero(instruction.MemoryIndex);
        op->Scale = (byte)(BitOperations.Log2((uint)instruction.MemoryIndexScale) | (HasAddress16(instruction) ? Operation.Address16 : 0));
        op->Displacement = instruction.MemoryDisplacement32;
        op->Segment = StateOffset.OfSegment(instruction.MemorySegment);
    }

    /// <summary>The state's offset of a register operand.</summary>
    public static byte RegisterOffset(in Instruction instruction, int operand) =>
        StateOffset.Of(instruction.GetOpRegister(operand));

    /// <summary>Whether an operand is in memory.</summary>
    public static bool IsMemory(in Instruction instruction, int operand) =>
        instruction.GetOpKind(operand) == OpKind.Memory;

    /// <summary>Whether an operand is a general register.</summary>
    public static bool IsRegister(in Instruction instruction, int operand) =>
        instruction.GetOpKind(operand) == OpKind.Register;

    /// <summary>A general register in the state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Register(ProcessorState* s, byte offset) => (byte*)s + offset;

    /// <summary>Whether its addresses have 16 bits: what a memory operand names, or what a string instruction implies.</summary>
    public static bool HasAddress16(in Instruction instruction) =>
        instruction.MemoryDisplSize == 2
        || instruction.MemoryBase.IsGPR16()
        || instruction.MemoryIndex.IsGPR16()
        || IsStringAddress16(instruction.Op0Kind)
        || IsStringAddress16(instruction.Op1Kind);

    private static bool IsStringAddress16(OpKind kind) => kind is OpKind.MemorySegSI or OpKind.MemorySegDI or OpKind.MemoryESDI;

    private static byte OffsetOrZero(Register register) =>
        register == default ? StateOffset.Zero : StateOffset.Of(register);
}
