using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>FXSAVE and FXRSTOR: the x87, MMX and SSE state as an image of 512 bytes (SDM 1, 10.5, and 2A, FXSAVE).</summary>
/// <remarks>
/// The first and the last bytes of the area are tried before anything is stored or loaded, so that a fault on
/// either of its two pages leaves all as it was. Without CR4.OSFXSR, where the manual allows much, the image ends before
/// the XMM registers.
/// </remarks>
internal static unsafe class SimdSave
{
    // Offsets in the image.
    private const int ControlOffset = 0;
    private const int StatusOffset = 2;
    private const int ValidOffset = 4;
    private const int LastOpcodeOffset = 6;
    private const int InstructionPointerOffset = 8;
    private const int DataPointerOffset = 16;
    private const int MxcsrOffset = 24;
    private const int MxcsrMaskOffset = 28;
    private const int X87Offset = 32;
    private const int XmmOffset = 160;

    /// <summary>Where what the processor uses ends; the rest is reserved, or software's own.</summary>
    public const int UsedBytes = XmmOffset + (Registers * RegisterBytes);

    private const int AreaBytes = 512;
    private const int Registers = 8;
    private const int RegisterBytes = 16;

    /// <summary>Each access is one of these, which lies in one page because the area is aligned.</summary>
    private const int ChunkBytes = 16;

    private const uint LastOpcodeMask = 0x7ff;

    // The bits of the x87 control word that can be written, and the one that is always set (SDM 1, figure 8-6).
    private const uint ControlWritable = 0x1f3f;
    private const uint ControlFixed = 0x40;

    // B and ES of the x87 status word: whether an exception that has happened isn't masked (SDM 1, 8.1.3.3).
    private const uint ExceptionBits = 0x3f;
    private const uint ErrorSummary = 0x8080;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fxsave:
                Operands.SetMemory(instruction, op);
                op->Handler = Operands.IsFlat(instruction, context) ? &Save<FlatAddressing> : &Save<SegmentedAddressing>;
                return Lowered.Continues;
            case Mnemonic.Fxrstor:
                Operands.SetMemory(instruction, op);
                op->Handler = Operands.IsFlat(instruction, context)
                    ? &Restore<FlatAddressing>
                    : &Restore<SegmentedAddressing>;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static Operation* Save<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing =>
        FloatingPointAccess.CheckFxsave(s, op) && TryStore<TAddressing>(s, op) ? Operation.Next(s, op) : null;

    private static Operation* Restore<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing =>
        FloatingPointAccess.CheckFxsave(s, op) && TryLoad<TAddressing>(s, op) ? Operation.Next(s, op) : null;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryStore<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        uint start = EffectiveAddress.Of(s, op);
        if (TAddressing.WriteAligned(s, op, ChunkBytes) == null
            || TAddressing.WriteAt(s, op, op->Segment, start + AreaBytes - ChunkBytes, ChunkBytes) == null)
        {
            return false;
        }

        byte* image = stackalloc byte[UsedBytes];
        Fill(s, image);
        int length = HasXmm(s) ? UsedBytes : XmmOffset;
        for (int offset = 0; offset < length; offset += ChunkBytes)
        {
            // Aligned, so never across two pages.
            byte* location = TAddressing.WriteAt(s, op, op->Segment, start + (uint)offset, ChunkBytes);
            Unsafe.CopyBlockUnaligned(location, image + offset, ChunkBytes);
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryLoad<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        uint start = EffectiveAddress.Of(s, op);
        if (TAddressing.ReadAligned(s, op, ChunkBytes) == null
            || TAddressing.ReadAt(s, op, op->Segment, start + AreaBytes - ChunkBytes, ChunkBytes) == null)
        {
            return false;
        }

        byte* image = stackalloc byte[UsedBytes];
        for (int offset = 0; offset < UsedBytes; offset += ChunkBytes)
        {
            byte* location = TAddressing.ReadAt(s, op, op->Segment, start + (uint)offset, ChunkBytes);
            Unsafe.CopyBlockUnaligned(image + offset, location, ChunkBytes);
        }

        uint mxcsr = *(uint*)(image + MxcsrOffset);
        if ((mxcsr & ~SseControl.MxcsrMask) != 0)
        {
            Fault.Raise(s, op, ExceptionVector.GeneralProtection);
            return false;
        }

        s->Mxcsr = mxcsr;
        TakeX87(s, image);
        if (HasXmm(s))
        {
            Unsafe.CopyBlockUnaligned(&s->Sse.Registers, image + XmmOffset, Registers * RegisterBytes);
        }

        return true;
    }

    private static bool HasXmm(ProcessorState* s) => (s->Cr4 & Cr4.Osfxsr) != 0;

    /// <summary>Makes the image of the state.</summary>
    public static void Fill(ProcessorState* s, byte* image)
    {
        X87State* x87 = &s->X87;
        Unsafe.InitBlockUnaligned(image, 0, UsedBytes);
        *(ushort*)(image + ControlOffset) = x87->Control;
        *(ushort*)(image + StatusOffset) = x87->Status;
        image[ValidOffset] = x87->Valid;
        *(ushort*)(image + LastOpcodeOffset) = x87->LastOpcode;
        *(uint*)(image + InstructionPointerOffset) = x87->InstructionPointer;
        *(uint*)(image + DataPointerOffset) = x87->DataPointer;
        *(uint*)(image + MxcsrOffset) = s->Mxcsr;
        *(uint*)(image + MxcsrMaskOffset) = SseControl.MxcsrMask;
        for (int i = 0; i < Registers; i++)
        {
            // ST(0) first, wherever it is.
            Float80 register = x87->Registers[(Top(x87->Status) + i) % Registers];
            byte* slot = image + X87Offset + (i * RegisterBytes);
            *(ulong*)slot = register.Significand;
            *(ushort*)(slot + sizeof(ulong)) = register.SignExponent;
        }

        Unsafe.CopyBlockUnaligned(image + XmmOffset, &s->Sse.Registers, Registers * RegisterBytes);
    }

    /// <summary>Takes all of an image, but for bits that can't be set.</summary>
    public static void Take(ProcessorState* s, byte* image)
    {
        s->Mxcsr = *(uint*)(image + MxcsrOffset) & SseControl.MxcsrMask;
        TakeX87(s, image);
        Unsafe.CopyBlockUnaligned(&s->Sse.Registers, image + XmmOffset, Registers * RegisterBytes);
    }

    private static void TakeX87(ProcessorState* s, byte* image)
    {
        X87State* x87 = &s->X87;
        uint control = (*(ushort*)(image + ControlOffset) & ControlWritable) | ControlFixed;
        uint status = *(ushort*)(image + StatusOffset) & ~ErrorSummary;
        bool hasError = (status & ~control & ExceptionBits) != 0;
        x87->Control = (ushort)control;
        x87->Status = (ushort)(status | (hasError ? ErrorSummary : 0));
        x87->Valid = image[ValidOffset];
        x87->LastOpcode = (ushort)(*(ushort*)(image + LastOpcodeOffset) & LastOpcodeMask);
        x87->InstructionPointer = *(uint*)(image + InstructionPointerOffset);
        x87->DataPointer = *(uint*)(image + DataPointerOffset);
        for (int i = 0; i < Registers; i++)
        {
            byte* slot = image + X87Offset + (i * RegisterBytes);
            x87->Registers[(Top(x87->Status) + i) % Registers] =
                new Float80(*(ushort*)(slot + sizeof(ulong)), *(ulong*)slot);
        }
    }

    private static int Top(ushort status) => (status >> 11) & 7;
}
