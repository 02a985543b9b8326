using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>What an instruction makes of a packed destination and source.</summary>
/// <remarks>
/// MMX operands are in the low 64 bits, and only the low 64 bits of the result count. So what treats
/// each element on its own is the same for both register files. What takes or returns a vector is inlined
/// everywhere: how vectors travel between methods isn't fixed, so that nothing is compiled ahead of time that calls with one.
/// Nor is what is generic over a number, if there is a constraint that the runtime's own types have to meet.
/// </remarks>
internal interface IPackedOperation
{
    /// <summary>The new destination.</summary>
    static abstract Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source);
}

/// <summary>The same, for instructions that end in an immediate byte.</summary>
internal interface IPackedImmediateOperation
{
    /// <summary>The new destination.</summary>
    static abstract Vector128<byte> Execute(Vector128<byte> destination, Vector128<byte> source, byte immediate);
}

/// <summary>The handlers of packed instructions: one for each combination of operands, registers or memory.</summary>
internal static unsafe class PackedForms<TUnit, TDestination, TSource>
    where TUnit : struct, IPackedUnit
    where TDestination : struct, IPackedOperand
    where TSource : struct, IPackedOperand
{
    public static Operation* Execute<TOperation>(ProcessorState* s, Operation* op)
        where TOperation : struct, IPackedOperation
    {
        if (!TUnit.IsAvailable(s))
        {
            return TUnit.Raise(s, op);
        }

        byte* source = TSource.Source(s, op);
        if (source == null)
        {
            return null;
        }

        byte* destination = TDestination.Destination(s, op);
        if (destination == null)
        {
            return null;
        }

        TUnit.Enter(s);
        Vector128<byte> result = TOperation.Execute(TDestination.Load(destination), TSource.Load(source));
        TDestination.Store(s, destination, result);
        return Operation.Next(s, op);
    }

    public static Operation* ExecuteImmediate<TOperation>(ProcessorState* s, Operation* op)
        where TOperation : struct, IPackedImmediateOperation
    {
        if (!TUnit.IsAvailable(s))
        {
            return TUnit.Raise(s, op);
        }

        byte* source = TSource.Source(s, op);
        if (source == null)
        {
            return null;
        }

        TUnit.Enter(s);
        byte* destination = TDestination.Destination(s, op);
        Vector128<byte> result = TOperation.Execute(
            TDestination.Load(destination), TSource.Load(source), (byte)op->Immediate);
        TDestination.Store(s, destination, result);
        return Operation.Next(s, op);
    }
}

/// <summary>Which handler a kind of operation has, as a type: what stands between lowering and the forms.</summary>
internal unsafe interface IPackedHandler
{
    /// <summary>The handler for these operands.</summary>
    static abstract OperationHandler For<TUnit, TDestination, TSource>()
        where TUnit : struct, IPackedUnit
        where TDestination : struct, IPackedOperand
        where TSource : struct, IPackedOperand;
}

/// <summary>The handler of an operation without an immediate.</summary>
internal readonly unsafe struct Packed<TOperation> : IPackedHandler
    where TOperation : struct, IPackedOperation
{
    public static OperationHandler For<TUnit, TDestination, TSource>()
        where TUnit : struct, IPackedUnit
        where TDestination : struct, IPackedOperand
        where TSource : struct, IPackedOperand => &PackedForms<TUnit, TDestination, TSource>.Execute<TOperation>;
}

/// <summary>The handler of an operation with an immediate.</summary>
internal readonly unsafe struct PackedImmediate<TOperation> : IPackedHandler
    where TOperation : struct, IPackedImmediateOperation
{
    public static OperationHandler For<TUnit, TDestination, TSource>()
        where TUnit : struct, IPackedUnit
        where TDestination : struct, IPackedOperand
        where TSource : struct, IPackedOperand =>
        &PackedForms<TUnit, TDestination, TSource>.ExecuteImmediate<TOperation>;
}

/// <summary>Chooses the handler of a packed instruction by its operands.</summary>
internal static unsafe class PackedLowering<THandler>
    where THandler : struct, IPackedHandler
{
    /// <summary>An instruction on MMX or XMM registers, with the source in the same file or in memory of its size.</summary>
    public static Lowered LowerEither(in Instruction instruction, in LoweringContext context, Operation* op) =>
        IsMmx(instruction)
            ? Lower<MmxUnit, MmxOperand, MmxOperand, Memory64>(instruction, context, op)
            : Lower<SseUnit, XmmOperand, XmmOperand, AlignedMemory128>(instruction, context, op);

    /// <summary>An instruction on XMM registers, with a memory operand of the given kind.</summary>
    public static Lowered LowerXmm<TMemory>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TMemory : struct, IPackedMemory => Lower<SseUnit, XmmOperand, XmmOperand, TMemory>(instruction, context, op);

    /// <summary>Any instruction, given the types of its operands; one of them may be in memory instead.</summary>
    public static Lowered Lower<TUnit, TDestination, TSource, TMemory>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TUnit : struct, IPackedUnit
        where TDestination : struct, IPackedRegister
        where TSource : struct, IPackedRegister
        where TMemory : struct, IPackedMemory
    {
        int last = instruction.OpCount - 1;
        if (instruction.GetOpKind(last) == OpKind.Immediate8)
        {
            op->Immediate = instruction.Immediate8;
            last--;
        }

        // Shifts by an immediate have one register, which is destination and source.
        bool isStore = Operands.IsMemory(instruction, 0);
        bool isLoad = Operands.IsMemory(instruction, last);
        if (!isStore)
        {
            op->Register = TDestination.Encode(instruction.GetOpRegister(0));
        }

        if (!isLoad)
        {
            op->Register2 = TSource.Encode(instruction.GetOpRegister(last));
        }

        if (isStore || isLoad)
        {
            Operands.SetMemory(instruction, op);
            op->Handler = Operands.IsFlat(instruction, context)
                ? Select<TUnit, TDestination, TSource, MemoryOperand<TMemory, FlatAddressing>>(isStore)
                : Select<TUnit, TDestination, TSource, MemoryOperand<TMemory, SegmentedAddressing>>(isStore);
        }
        else
        {
            op->Handler = THandler.For<TUnit, TDestination, TSource>();
        }

        return Lowered.Continues;
    }

    private static bool IsMmx(in Instruction instruction) => instruction.Op0Register.IsMM();

    private static OperationHandler Select<TUnit, TDestination, TSource, TMemory>(bool isStore)
        where TUnit : struct, IPackedUnit
        where TDestination : struct, IPackedRegister
        where TSource : struct, IPackedRegister
        where TMemory : struct, IPackedOperand =>
        isStore ? THandler.For<TUnit, TMemory, TSource>() : THandler.For<TUnit, TDestination, TMemory>();
}
