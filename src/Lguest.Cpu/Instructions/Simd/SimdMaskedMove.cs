using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>
/// MASKMOVQ and MASKMOVDQU (SDM 1, 10.4.6.1): stores those bytes of a register to [EDI] whose mask byte has its bit 7 set.
/// </summary>
/// <remarks>Bytes that aren't stored can fault too, as processors have it, even if they are all.</remarks>
internal static unsafe class SimdMaskedMove
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Maskmovq: return Lower<MmxUnit, MmxOperand, Memory64>(instruction, context, op);
            case Mnemonic.Maskmovdqu: return Lower<SseUnit, XmmOperand, UnalignedMemory128>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Lower<TUnit, TRegister, TMemory>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TUnit : struct, IPackedUnit
        where TRegister : struct, IPackedRegister
        where TMemory : struct, IPackedMemory
    {
        bool address16 = instruction.Op0Kind == OpKind.MemorySegDI;
        op->Base = StateOffset.Edi;
        op->Scale = address16 ? Operation.Address16 : (byte)0;
        op->Segment = StateOffset.OfSegment(instruction.MemorySegment);
        op->Register = TRegister.Encode(instruction.Op1Register);
        op->Register2 = TRegister.Encode(instruction.Op2Register);
        op->Handler = Operands.IsFlat(instruction, context) && !address16
            ? &Execute<TUnit, TRegister, TMemory, FlatAddressing>
            : &Execute<TUnit, TRegister, TMemory, SegmentedAddressing>;
        return Lowered.Continues;
    }

    private static Operation* Execute<TUnit, TRegister, TMemory, TAddressing>(ProcessorState* s, Operation* op)
        where TUnit : struct, IPackedUnit
        where TRegister : struct, IPackedRegister
        where TMemory : struct, IPackedMemory
        where TAddressing : struct, IAddressing
    {
        if (!TUnit.IsAvailable(s))
        {
            return TUnit.Raise(s, op);
        }

        byte* location = TAddressing.Modify(s, op, TMemory.Bytes);
        if (location == null)
        {
            return null;
        }

        Vector128<byte> mask = TRegister.Load(TRegister.Source(s, op));
        Vector128<byte> value = TRegister.Load(TRegister.Destination(s, op));
        Vector128<byte> chosen = Vector128.LessThan(mask.AsSByte(), Vector128<sbyte>.Zero).AsByte();
        TMemory.Store(location, Vector128.ConditionalSelect(chosen, value, TMemory.Load(location)));
        MemoryAccess.Complete(s, location);
        TUnit.Enter(s);
        return Operation.Next(s, op);
    }
}
