using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>LAR, LSL, VERR and VERW (SDM 3A, 5.10): what a selector would allow, asked without loading it.</summary>
internal static unsafe class SelectorQueries
{
    /// <summary>What LAR answers of a descriptor's second dword.</summary>
    private const uint AccessRightsMask = 0x00ff_ff00;

    /// <summary>A question.</summary>
    private interface IQuery
    {
        /// <summary>Whether LAR or LSL replaces its register.</summary>
        static abstract bool HasAnswer { get; }

        /// <summary>Whether ZF becomes 1; the answer counts only then.</summary>
        static abstract bool TryAnswer(in Descriptor descriptor, out uint answer);
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Lar:
                return LowerQuery<AccessRights>(instruction, op, 1);
            case Mnemonic.Lsl:
                return LowerQuery<SegmentLimit>(instruction, op, 1);
            case Mnemonic.Verr:
                return LowerQuery<VerifyRead>(instruction, op, 0);
            case Mnemonic.Verw:
                return LowerQuery<VerifyWrite>(instruction, op, 0);
            default:
                return Lowered.Undefined;
        }
    }

    private static Lowered LowerQuery<TQuery>(in Instruction instruction, Operation* op, int selectorOperand)
        where TQuery : struct, IQuery
    {
        bool is16 = TQuery.HasAnswer && Operands.Bits(instruction, 0) == 16;
        if (TQuery.HasAnswer)
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
        }

        if (Operands.IsMemory(instruction, selectorOperand))
        {
            Operands.SetMemory(instruction, op);
            op->Handler = is16 ? &Memory<TQuery, Size16> : &Memory<TQuery, Size32>;
        }
        else
        {
            op->Register2 = Operands.RegisterOffset(instruction, selectorOperand);
            op->Handler = is16 ? &Register<TQuery, Size16> : &Register<TQuery, Size32>;
        }

        return Lowered.Continues;
    }

    private static Operation* Register<TQuery, TSize>(ProcessorState* s, Operation* op)
        where TQuery : struct, IQuery
        where TSize : struct, IOperandSize =>
        TryAsk<TQuery, TSize>(s, op, (ushort)Size16.Load(Operands.Register(s, op->Register2))) ? Operation.Next(s, op) : null;

    private static Operation* Memory<TQuery, TSize>(ProcessorState* s, Operation* op)
        where TQuery : struct, IQuery
        where TSize : struct, IOperandSize
    {
        byte* source = SegmentedAddressing.Read(s, op, sizeof(ushort));
        return source != null && TryAsk<TQuery, TSize>(s, op, (ushort)Size16.Load(source)) ? Operation.Next(s, op) : null;
    }

    /// <summary>False only when reading the descriptor raised a page fault.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryAsk<TQuery, TSize>(ProcessorState* s, Operation* op, ushort selector)
        where TQuery : struct, IQuery
        where TSize : struct, IOperandSize
    {
        ExceptionInfo fault = default;
        bool found = DescriptorTables.TryFind(
            Processor.From(s), selector, out Descriptor descriptor, ref fault, out bool outside);
        if (!found && !outside)
        {
            Fault.Raise(s, op, fault);
            return false;
        }

        uint answer = 0;
        bool yes = found && IsVisible(s, selector, descriptor) && TQuery.TryAnswer(descriptor, out answer);
        if (yes && TQuery.HasAnswer)
        {
            TSize.Store(Operands.Register(s, op->Register), answer);
        }

        s->SetZero(yes);
        return true;
    }

    private static bool IsVisible(ProcessorState* s, ushort selector, in Descriptor descriptor) =>
        descriptor.IsConforming || Math.Max(s->Cpl, selector & Selector.RplMask) <= descriptor.Dpl;

    private readonly struct AccessRights : IQuery
    {
        public static bool HasAnswer => true;

        public static bool TryAnswer(in Descriptor descriptor, out uint answer)
        {
            answer = descriptor.High & AccessRightsMask;
            return descriptor.IsCodeOrData || descriptor.SystemType is SystemDescriptorType.AvailableTss16
                or SystemDescriptorType.Ldt or SystemDescriptorType.BusyTss16 or SystemDescriptorType.CallGate16
                or SystemDescriptorType.TaskGate or SystemDescriptorType.AvailableTss32
                or SystemDescriptorType.BusyTss32 or SystemDescriptorType.CallGate32;
        }
    }

    private readonly struct SegmentLimit : IQuery
    {
        public static bool HasAnswer => true;

        public static bool TryAnswer(in Descriptor descriptor, out uint answer)
        {
            answer = descriptor.Limit;
            return descriptor.IsCodeOrData || descriptor.SystemType is SystemDescriptorType.AvailableTss16
                or SystemDescriptorType.Ldt or SystemDescriptorType.BusyTss16 or SystemDescriptorType.AvailableTss32
                or SystemDescriptorType.BusyTss32;
        }
    }

    private readonly struct VerifyRead : IQuery
    {
        public static bool HasAnswer => false;

        public static bool TryAnswer(in Descriptor descriptor, out uint answer)
        {
            answer = 0;
            return descriptor.IsReadable;
        }
    }

    private readonly struct VerifyWrite : IQuery
    {
        public static bool HasAnswer => false;

        public static bool TryAnswer(in Descriptor descriptor, out uint answer)
        {
            answer = 0;
            return descriptor.IsWritableData;
        }
    }
}
