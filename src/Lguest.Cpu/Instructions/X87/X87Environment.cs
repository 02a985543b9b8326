using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>FNSTENV, FLDENV, FNSAVE, FRSTOR, in their 32-bit and 16-bit protected-mode forms (SDM 1, 8.1.10).</summary>
/// <remarks>The selectors in them are 0 and aren't looked at, as CPUID says.</remarks>
internal static unsafe class X87Environment
{
    private const uint RegisterBytes = 10;
    private const int EmptyTag = 3;
    private const uint LastOpcodeMask = 0x7ff;
    private const uint UnusedHalf = 0xffff_0000;
    private const uint AllMasked = 0x3f;

    // The fields, in units of a word or a doubleword.
    private const uint ControlField = 0;
    private const uint StatusField = 1;
    private const uint TagField = 2;
    private const uint InstructionPointerField = 3;
    private const uint InstructionSelectorField = 4;
    private const uint DataPointerField = 5;
    private const uint DataSelectorField = 6;
    private const uint Fields = 7;

    /// <summary>The operand-size attribute, as a type.</summary>
    private interface IForm
    {
        /// <summary>Bytes of a field.</summary>
        static abstract uint FieldBytes { get; }
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Fnstenv_m14byte: return With(instruction, context, op, &StoreEnvironment<Form16>);
            case Code.Fnstenv_m28byte: return With(instruction, context, op, &StoreEnvironment<Form32>);
            case Code.Fldenv_m14byte: return With(instruction, context, op, &LoadEnvironment<Form16>);
            case Code.Fldenv_m28byte: return With(instruction, context, op, &LoadEnvironment<Form32>);
            case Code.Fnsave_m94byte: return With(instruction, context, op, &Save<Form16>);
            case Code.Fnsave_m108byte: return With(instruction, context, op, &Save<Form32>);
            case Code.Frstor_m94byte: return With(instruction, context, op, &Restore<Form16>);
            case Code.Frstor_m108byte: return With(instruction, context, op, &Restore<Form32>);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered With(
        in Instruction instruction,
        in LoweringContext context,
        Operation* op,
        delegate*<ProcessorState*, Operation*, Operation*> handler)
    {
        X87Operands.SetMemory(instruction, context, op);
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Operation* StoreEnvironment<TForm>(ProcessorState* s, Operation* op)
        where TForm : struct, IForm
    {
        uint length = Fields * TForm.FieldBytes;
        if (!FloatingPointAccess.CheckX87(s, op) || !TryMap<TForm>(s, op, length, AccessKind.Write, out LinearRange area))
        {
            return null;
        }

        WriteEnvironment<TForm>(s, area);
        area.Complete(Processor.From(s));
        s->X87.Control |= (ushort)AllMasked;
        X87Error.Summarize(s);
        return Operation.Next(s, op);
    }

    private static Operation* LoadEnvironment<TForm>(ProcessorState* s, Operation* op)
        where TForm : struct, IForm
    {
        uint length = Fields * TForm.FieldBytes;
        if (!X87Stack.CanExecute(s, op) || !TryMap<TForm>(s, op, length, AccessKind.Read, out LinearRange area))
        {
            return null;
        }

        ReadEnvironment<TForm>(s, area);
        return Operation.Next(s, op);
    }

    private static Operation* Save<TForm>(ProcessorState* s, Operation* op)
        where TForm : struct, IForm
    {
        uint start = Fields * TForm.FieldBytes;
        uint length = start + X87Stack.Registers * RegisterBytes;
        if (!FloatingPointAccess.CheckX87(s, op) || !TryMap<TForm>(s, op, length, AccessKind.Write, out LinearRange area))
        {
            return null;
        }

        WriteEnvironment<TForm>(s, area);
        for (int i = 0; i < X87Stack.Registers; i++)
        {
            Float80 value = *X87Stack.At(s, i);
            uint offset = start + (uint)i * RegisterBytes;
            area.WriteUInt32(offset, (uint)value.Significand);
            area.WriteUInt32(offset + sizeof(uint), (uint)(value.Significand >> 32));
            area.WriteUInt16(offset + sizeof(ulong), value.SignExponent);
        }

        area.Complete(Processor.From(s));
        X87Control.Reset(s);
        return Operation.Next(s, op);
    }

    private static Operation* Restore<TForm>(ProcessorState* s, Operation* op)
        where TForm : struct, IForm
    {
        uint start = Fields * TForm.FieldBytes;
        uint length = start + X87Stack.Registers * RegisterBytes;
        if (!X87Stack.CanExecute(s, op) || !TryMap<TForm>(s, op, length, AccessKind.Read, out LinearRange area))
        {
            return null;
        }

        ReadEnvironment<TForm>(s, area);
        for (int i = 0; i < X87Stack.Registers; i++)
        {
            uint offset = start + (uint)i * RegisterBytes;
            ulong significand = area.ReadUInt32(offset) | (ulong)area.ReadUInt32(offset + sizeof(uint)) << 32;
            *X87Stack.At(s, i) = new Float80(area.ReadUInt16(offset + sizeof(ulong)), significand);
        }

        return Operation.Next(s, op);
    }

    private static void WriteEnvironment<TForm>(ProcessorState* s, in LinearRange area)
        where TForm : struct, IForm
    {
        X87State* x87 = &s->X87;
        Write<TForm>(area, ControlField, x87->Control | UnusedHalf);
        Write<TForm>(area, StatusField, x87->Status | UnusedHalf);
        Write<TForm>(area, TagField, TagWord(s) | UnusedHalf);
        Write<TForm>(area, InstructionPointerField, x87->InstructionPointer);
        Write<TForm>(area, InstructionSelectorField, (uint)x87->LastOpcode << 16);
        Write<TForm>(area, DataPointerField, x87->DataPointer);
        Write<TForm>(area, DataSelectorField, UnusedHalf);
    }

    private static void ReadEnvironment<TForm>(ProcessorState* s, in LinearRange area)
        where TForm : struct, IForm
    {
        X87State* x87 = &s->X87;
        x87->Control = X87Control.Normalize(Read<TForm>(area, ControlField));
        x87->Status = (ushort)Read<TForm>(area, StatusField);
        x87->Valid = ValidFromTagWord(Read<TForm>(area, TagField));
        x87->InstructionPointer = Read<TForm>(area, InstructionPointerField);
        x87->LastOpcode = (ushort)((Read<TForm>(area, InstructionSelectorField) >> 16) & LastOpcodeMask);
        x87->DataPointer = Read<TForm>(area, DataPointerField);
        X87Error.Summarize(s);
    }

    // Two bits for each physical register: valid, zero, special, empty.
    private static uint TagWord(ProcessorState* s)
    {
        uint tags = 0;
        for (int physical = 0; physical < X87Stack.Registers; physical++)
        {
            Float80 value = ((Float80*)&s->X87.Registers)[physical];
            uint tag = ((s->X87.Valid >> physical) & 1) == 0
                ? EmptyTag
                : value.Class switch
                {
                    NumberClass.Normal => 0u,
                    NumberClass.Zero => 1u,
                    _ => 2u,
                };
            tags |= tag << (2 * physical);
        }

        return tags;
    }

    // Only whether a register is empty counts; what else its tag says, the value itself knows better.
    private static byte ValidFromTagWord(uint tags)
    {
        uint valid = 0;
        for (int physical = 0; physical < X87Stack.Registers; physical++)
        {
            bool isEmpty = ((tags >> (2 * physical)) & EmptyTag) == EmptyTag;
            valid |= (isEmpty ? 0u : 1u) << physical;
        }

        return (byte)valid;
    }

    private static void Write<TForm>(in LinearRange area, uint field, uint value)
        where TForm : struct, IForm
    {
        if (TForm.FieldBytes == sizeof(uint))
        {
            area.WriteUInt32(field * sizeof(uint), value);
        }
        else
        {
            area.WriteUInt16(field * sizeof(ushort), (ushort)value);
        }
    }

    private static uint Read<TForm>(in LinearRange area, uint field)
        where TForm : struct, IForm =>
        TForm.FieldBytes == sizeof(uint)
            ? area.ReadUInt32(field * sizeof(uint))
            : area.ReadUInt16(field * sizeof(ushort));

    /// <summary>Finds the area in memory; false after the fault has been raised.</summary>
    private static bool TryMap<TForm>(
        ProcessorState* s, Operation* op, uint length, AccessKind kind, out LinearRange area)
        where TForm : struct, IForm
    {
        area = default;
        ref SegmentRegister segment = ref s->Segment(op->Segment);
        uint offset = EffectiveAddress.Of(s, op);
        bool allowed = kind == AccessKind.Write
            ? SegmentCheck.IsWritable(segment, offset, length)
            : SegmentCheck.IsReadable(segment, offset, length);
        if (!allowed)
        {
            SegmentCheck.Raise(s, op, op->Segment);
            return false;
        }

        uint linear = segment.Base + offset;
        if (!LinearRange.TryMap(s, linear, length, kind, s->Cpl == 3, out area, ref s->Exception))
        {
            Fault.Raise(s, op, s->Exception);
            return false;
        }

        if (s->Tlb == s->EmptyTlb && (linear & (TForm.FieldBytes - 1)) != 0)
        {
            Fault.Raise(s, op, ExceptionVector.AlignmentCheck);
            return false;
        }

        return true;
    }

    private readonly struct Form16 : IForm
    {
        public static uint FieldBytes => sizeof(ushort);
    }

    private readonly struct Form32 : IForm
    {
        public static uint FieldBytes => sizeof(uint);
    }
}
