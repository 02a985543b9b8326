using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>LGDT, LIDT, LLDT, LTR and the instructions that store those registers (SDM 3A, 2.4 and 2.8.1).</summary>
internal static unsafe class DescriptorTableRegisters
{
    private const uint BaseOffset = 2;

    /// <summary>What a 16-bit operand size keeps of a base.</summary>
    private const uint Base24 = 0x00ff_ffff;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Lgdt_m1632_16:
            case Code.Lgdt_m1632:
                return LowerLoad(instruction, op, &LoadGlobal);
            case Code.Lidt_m1632_16:
            case Code.Lidt_m1632:
                return LowerLoad(instruction, op, &LoadInterrupt);
            case Code.Sgdt_m1632_16:
            case Code.Sgdt_m1632:
                return LowerStore(instruction, op, &StoreGlobal);
            case Code.Sidt_m1632_16:
            case Code.Sidt_m1632:
                return LowerStore(instruction, op, &StoreInterrupt);
            default:
                break;
        }

        switch (instruction.Mnemonic)
        {
            case Mnemonic.Lldt:
                return LowerSelector(instruction, op, &LoadLocalRegister, &LoadLocalMemory);
            case Mnemonic.Ltr:
                return LowerSelector(instruction, op, &LoadTaskRegister, &LoadTaskMemory);
            case Mnemonic.Sldt:
                return LowerSelector(
                    instruction,
                    op,
                    Is16(instruction) ? &StoreLocalRegister<Size16> : &StoreLocalRegister<Size32>,
                    &StoreLocalMemory);
            case Mnemonic.Str:
                return LowerSelector(
                    instruction,
                    op,
                    Is16(instruction) ? &StoreTaskRegister<Size16> : &StoreTaskRegister<Size32>,
                    &StoreTaskMemory);
            default:
                return Lowered.Undefined;
        }
    }

    private static bool Is16(in Instruction instruction) =>
        Operands.IsRegister(instruction, 0) && Operands.Bits(instruction, 0) == 16;

    private static Lowered LowerLoad(in Instruction instruction, Operation* op, OperationHandler handler)
    {
        Operands.SetMemory(instruction, op);
        op->Immediate = instruction.Code is Code.Lgdt_m1632_16 or Code.Lidt_m1632_16 ? Base24 : uint.MaxValue;
        op->Handler = handler;
        return Lowered.EndsBlock;
    }

    private static Lowered LowerStore(in Instruction instruction, Operation* op, OperationHandler handler)
    {
        Operands.SetMemory(instruction, op);
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Lowered LowerSelector(
        in Instruction instruction, Operation* op, OperationHandler register, OperationHandler memory)
    {
        if (Operands.IsMemory(instruction, 0))
        {
            Operands.SetMemory(instruction, op);
            op->Handler = memory;
        }
        else
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            op->Handler = register;
        }

        return Lowered.Continues;
    }

    private static Operation* LoadGlobal(ProcessorState* s, Operation* op) => LoadTable(s, op, isGlobal: true);

    private static Operation* LoadInterrupt(ProcessorState* s, Operation* op) => LoadTable(s, op, isGlobal: false);

    private static Operation* LoadTable(ProcessorState* s, Operation* op, bool isGlobal)
    {
        if (!SystemInstructions.IsPrivileged(s, op))
        {
            return null;
        }

        uint address = EffectiveAddress.Of(s, op);
        byte* source = SegmentedAddressing.ReadAt(s, op, op->Segment, address, sizeof(ushort));
        if (source == null)
        {
            return null;
        }

        uint limit = Size16.Load(source);
        source = SegmentedAddressing.ReadAt(s, op, op->Segment, BaseAddress(op, address), sizeof(uint));
        if (source == null)
        {
            return null;
        }

        var table = new DescriptorTableRegister { Base = Size32.Load(source) & op->Immediate, Limit = limit };
        if (isGlobal)
        {
            s->Gdtr = table;
        }
        else
        {
            s->Idtr = table;
        }

        return BlockExit.Leave(s, op);
    }

    private static Operation* StoreGlobal(ProcessorState* s, Operation* op) => StoreTable(s, op, s->Gdtr);

    private static Operation* StoreInterrupt(ProcessorState* s, Operation* op) => StoreTable(s, op, s->Idtr);

    /// <summary>All six bytes are checked before the first is written. With 16-bit operands all of the base is stored, too.</summary>
    private static Operation* StoreTable(ProcessorState* s, Operation* op, in DescriptorTableRegister table)
    {
        uint address = EffectiveAddress.Of(s, op);
        byte* limit = SegmentedAddressing.WriteAt(s, op, op->Segment, address, sizeof(ushort));
        if (limit == null)
        {
            return null;
        }

        // The scratch holds one operand: the limit is written last, after its address is asked for again.
        byte* start = SegmentedAddressing.WriteAt(s, op, op->Segment, BaseAddress(op, address), sizeof(uint));
        if (start == null)
        {
            return null;
        }

        Size32.Store(start, table.Base);
        MemoryAccess.Complete(s, start);
        limit = SegmentedAddressing.WriteAt(s, op, op->Segment, address, sizeof(ushort));
        Size16.Store(limit, table.Limit);
        MemoryAccess.Complete(s, limit);
        return Operation.Next(s, op);
    }

    private static uint BaseAddress(Operation* op, uint address)
    {
        uint offset = address + BaseOffset;
        return (op->Scale & Operation.Address16) != 0 ? (ushort)offset : offset;
    }

    private static Operation* LoadLocalRegister(ProcessorState* s, Operation* op) =>
        SystemInstructions.IsPrivileged(s, op)
            ? LoadLocal(s, op, (ushort)Size16.Load(Operands.Register(s, op->Register)))
            : null;

    private static Operation* LoadLocalMemory(ProcessorState* s, Operation* op)
    {
        byte* source = SystemInstructions.IsPrivileged(s, op) ? SegmentedAddressing.Read(s, op, sizeof(ushort)) : null;
        return source == null ? null : LoadLocal(s, op, (ushort)Size16.Load(source));
    }

    private static Operation* LoadTaskRegister(ProcessorState* s, Operation* op) =>
        SystemInstructions.IsPrivileged(s, op)
            ? LoadTask(s, op, (ushort)Size16.Load(Operands.Register(s, op->Register)))
            : null;

    private static Operation* LoadTaskMemory(ProcessorState* s, Operation* op)
    {
        byte* source = SystemInstructions.IsPrivileged(s, op) ? SegmentedAddressing.Read(s, op, sizeof(ushort)) : null;
        return source == null ? null : LoadTask(s, op, (ushort)Size16.Load(source));
    }

    private static Operation* LoadLocal(ProcessorState* s, Operation* op, ushort selector) =>
        TryLoadLocal(s, op, selector) ? Operation.Next(s, op) : null;

    private static Operation* LoadTask(ProcessorState* s, Operation* op, ushort selector) =>
        TryLoadTask(s, op, selector) ? Operation.Next(s, op) : null;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryLoadLocal(ProcessorState* s, Operation* op, ushort selector)
    {
        ExceptionInfo fault = default;
        if (!TryReadLocal(Processor.From(s), selector, ExceptionVector.GeneralProtection, out SegmentRegister ldtr, ref fault))
        {
            Fault.Raise(s, op, fault);
            return false;
        }

        s->Ldtr = ldtr;
        return true;
    }

    /// <summary>Loads what LLDT, or a task switch, puts into LDTR.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="selector">Null gives a table without descriptors; any other must lie in the GDT.</param>
    /// <param name="vector">#GP, or #TS in a task switch, where a table that isn't present raises it too.</param>
    /// <param name="ldtr">The register, when the answer is true.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryReadLocal(
        Processor processor, ushort selector, int vector, out SegmentRegister ldtr, ref ExceptionInfo fault)
    {
        ldtr = new SegmentRegister { Selector = selector };
        if ((selector & Selector.TableIndicator) != 0)
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(selector));
            return false;
        }

        if (Selector.IsNull(selector))
        {
            return true;
        }

        if (!DescriptorTables.TryRead(processor, selector, vector, out Descriptor descriptor, ref fault))
        {
            return false;
        }

        if (descriptor.IsCodeOrData || descriptor.SystemType != SystemDescriptorType.Ldt)
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(selector));
            return false;
        }

        if (!descriptor.IsPresent)
        {
            bool inTaskSwitch = vector == ExceptionVector.InvalidTss;
            fault = ExceptionInfo.Of(
                inTaskSwitch ? vector : ExceptionVector.SegmentNotPresent, Selector.ErrorCode(selector));
            return false;
        }

        ldtr = descriptor.ToRegister(selector);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryLoadTask(ProcessorState* s, Operation* op, ushort selector)
    {
        ExceptionInfo fault = default;
        Processor processor = Processor.From(s);
        if (!TryReadTask(processor, selector, out Descriptor descriptor, ref fault)
            || !DescriptorTables.TryMarkBusy(processor, selector, busy: true, ref descriptor, ref fault))
        {
            Fault.Raise(s, op, fault);
            return false;
        }

        s->Tr = descriptor.ToRegister(selector);
        return true;
    }

    private static bool TryReadTask(
        Processor processor, ushort selector, out Descriptor descriptor, ref ExceptionInfo fault)
    {
        descriptor = default;
        if (Selector.IsNull(selector))
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        if ((selector & Selector.TableIndicator) != 0)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        if (!DescriptorTables.TryRead(processor, selector, ExceptionVector.GeneralProtection, out descriptor, ref fault))
        {
            return false;
        }

        if (descriptor.IsCodeOrData
            || descriptor.SystemType is not (SystemDescriptorType.AvailableTss16 or SystemDescriptorType.AvailableTss32))
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, Selector.ErrorCode(selector));
            return false;
        }

        if (!descriptor.IsPresent)
        {
            fault = ExceptionInfo.Of(ExceptionVector.SegmentNotPresent, Selector.ErrorCode(selector));
            return false;
        }

        return true;
    }

    private static Operation* StoreLocalRegister<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
    {
        TSize.Store(Operands.Register(s, op->Register), s->Ldtr.Selector);
        return Operation.Next(s, op);
    }

    private static Operation* StoreTaskRegister<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
    {
        TSize.Store(Operands.Register(s, op->Register), s->Tr.Selector);
        return Operation.Next(s, op);
    }

    private static Operation* StoreLocalMemory(ProcessorState* s, Operation* op) => StoreSelector(s, op, s->Ldtr.Selector);

    private static Operation* StoreTaskMemory(ProcessorState* s, Operation* op) => StoreSelector(s, op, s->Tr.Selector);

    private static Operation* StoreSelector(ProcessorState* s, Operation* op, ushort selector)
    {
        byte* destination = SegmentedAddressing.Write(s, op, sizeof(ushort));
        if (destination == null)
        {
            return null;
        }

        Size16.Store(destination, selector);
        MemoryAccess.Complete(s, destination);
        return Operation.Next(s, op);
    }
}
