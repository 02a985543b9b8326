using Iced.Intel;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>LDMXCSR and STMXCSR (SDM 1, 10.2.3).</summary>
internal static unsafe class SseControl
{
    /// <summary>The bits of MXCSR that exist, DAZ included: what FXSAVE stores as MXCSR_MASK.</summary>
    public const uint MxcsrMask = 0xffff;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Ldmxcsr:
                Operands.SetMemory(instruction, op);
                op->Handler = Operands.IsFlat(instruction, context) ? &Load<FlatAddressing> : &Load<SegmentedAddressing>;
                return Lowered.Continues;
            case Mnemonic.Stmxcsr:
                Operands.SetMemory(instruction, op);
                op->Handler = Operands.IsFlat(instruction, context) ? &Store<FlatAddressing> : &Store<SegmentedAddressing>;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static Operation* Load<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        if (!FloatingPointAccess.IsSseAvailable(s))
        {
            return FloatingPointAccess.RaiseSse(s, op);
        }

        uint* source = (uint*)TAddressing.Read(s, op, sizeof(uint));
        if (source == null)
        {
            return null;
        }

        if ((*source & ~MxcsrMask) != 0)
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        s->Mxcsr = *source;
        return Operation.Next(s, op);
    }

    private static Operation* Store<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        if (!FloatingPointAccess.IsSseAvailable(s))
        {
            return FloatingPointAccess.RaiseSse(s, op);
        }

        byte* destination = TAddressing.Write(s, op, sizeof(uint));
        if (destination == null)
        {
            return null;
        }

        *(uint*)destination = s->Mxcsr;
        MemoryAccess.Complete(s, destination);
        return Operation.Next(s, op);
    }
}
