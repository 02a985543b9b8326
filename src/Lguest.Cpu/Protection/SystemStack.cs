using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>
/// Frames that the processor builds and takes apart itself, on a stack that may not be the current one. A frame is
/// pushed whole or not at all.
/// </summary>
internal static unsafe class SystemStack
{
    /// <summary>As much of ESP as a stack segment uses.</summary>
    public static uint Mask(in SegmentRegister stack) => stack.IsDefault32 ? uint.MaxValue : ushort.MaxValue;

    /// <summary>ESP with its used part replaced.</summary>
    public static uint Replace(in SegmentRegister stack, uint old, uint value)
    {
        uint mask = Mask(stack);
        return (old & ~mask) | (value & mask);
    }

    /// <summary>Pushes words.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="stack">The stack's segment.</param>
    /// <param name="esp">The stack's pointer; on success, the new one.</param>
    /// <param name="words">In the order they are pushed.</param>
    /// <param name="size">Bytes of a word: 2 or 4.</param>
    /// <param name="user">Checked as CPL 3.</param>
    /// <param name="errorCode">For #SS, when the segment has no room.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryPush(
        Processor processor,
        in SegmentRegister stack,
        ref uint esp,
        ReadOnlySpan<uint> words,
        uint size,
        bool user,
        uint errorCode,
        ref ExceptionInfo fault)
    {
        uint mask = Mask(stack);
        uint length = (uint)words.Length * size;
        uint top = (esp - length) & mask;
        bool wraps = (ulong)top + length - 1 > mask;
        TlbEntry* tables = user ? processor.StatePointer->UserTlb : processor.StatePointer->SupervisorTlb;
        byte* known = wraps ? null : TranslationBuffer.FindWrite(tables, stack.Base + top, length);
        if (known != null && size == sizeof(uint) && SegmentCheck.IsWritable(stack, top, length))
        {
            for (int i = 0; i < words.Length; i++)
            {
                ((uint*)known)[words.Length - 1 - i] = words[i];
            }
        }
        else if (!wraps && SegmentCheck.IsWritable(stack, top, length)
            && LinearRange.TryMap(
                processor.StatePointer, stack.Base + top, length, AccessKind.Write, user, out LinearRange range, ref fault))
        {
            for (int i = 0; i < words.Length; i++)
            {
                Write(range, length - ((uint)(i + 1) * size), size, words[i]);
            }

            range.Complete(processor);
        }
        else if (!TryPushEach(processor, stack, esp, words, size, user, errorCode, ref fault))
        {
            return false;
        }

        esp = (esp & ~mask) | top;
        return true;
    }

    /// <summary>As <see cref="TryPush"/>, for an instruction on the current stack: alignment counts too.</summary>
    public static bool TryPushAligned(
        Processor processor, ref uint esp, ReadOnlySpan<uint> words, uint size, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        uint first = (esp - size) & Mask(s->Ss);
        if (SegmentCheck.IsWritable(s->Ss, first, size) && IsMisaligned(s, s->Ss.Base + first, size, ref fault))
        {
            return false;
        }

        return TryPush(processor, s->Ss, ref esp, words, size, user: s->Cpl == 3, 0, ref fault);
    }

    /// <summary>Reads a word at a distance above a stack pointer, for an instruction: alignment counts.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="stack">The stack's segment.</param>
    /// <param name="esp">The stack's pointer.</param>
    /// <param name="distance">Bytes above it.</param>
    /// <param name="size">Bytes of the word: 2 or 4.</param>
    /// <param name="user">Checked as CPL 3.</param>
    /// <param name="value">The word.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TryPeek(
        Processor processor,
        in SegmentRegister stack,
        uint esp,
        uint distance,
        uint size,
        bool user,
        out uint value,
        ref ExceptionInfo fault)
    {
        value = 0;
        uint offset = (esp + distance) & Mask(stack);
        if (!SegmentCheck.IsReadable(stack, offset, size))
        {
            fault = ExceptionInfo.Of(ExceptionVector.StackSegment, 0);
            return false;
        }

        ProcessorState* s = processor.StatePointer;
        if (IsMisaligned(s, stack.Base + offset, size, ref fault))
        {
            return false;
        }

        byte* known = TranslationBuffer.FindRead(user ? s->UserTlb : s->SupervisorTlb, stack.Base + offset, size);
        if (known != null)
        {
            value = size == sizeof(ushort) ? *(ushort*)known : *(uint*)known;
            return true;
        }

        if (!LinearRange.TryMap(s, stack.Base + offset, size, AccessKind.Read, user, out LinearRange range, ref fault))
        {
            return false;
        }

        value = size == sizeof(ushort) ? range.ReadUInt16(0) : range.ReadUInt32(0);
        return true;
    }

    /// <summary>
    /// The slow way, for a stack that wraps, and to find the first word that can't be pushed: its fault is the one that
    /// is raised. Every word is tried before the first is written.
    /// </summary>
    private static bool TryPushEach(
        Processor processor,
        in SegmentRegister stack,
        uint esp,
        ReadOnlySpan<uint> words,
        uint size,
        bool user,
        uint errorCode,
        ref ExceptionInfo fault)
    {
        uint mask = Mask(stack);
        for (int pass = 0; pass < 2; pass++)
        {
            for (int i = 0; i < words.Length; i++)
            {
                uint offset = (esp - ((uint)(i + 1) * size)) & mask;
                if (!SegmentCheck.IsWritable(stack, offset, size))
                {
                    fault = ExceptionInfo.Of(ExceptionVector.StackSegment, errorCode);
                    return false;
                }

                if (!LinearRange.TryMap(
                    processor.StatePointer,
                    stack.Base + offset,
                    size,
                    AccessKind.Write,
                    user,
                    out LinearRange range,
                    ref fault))
                {
                    return false;
                }

                if (pass == 1)
                {
                    Write(range, 0, size, words[i]);
                    range.Complete(processor);
                }
            }
        }

        return true;
    }

    /// <summary>Whether a word is #AC (SDM 3A, 6.15, interrupt 17).</summary>
    private static bool IsMisaligned(ProcessorState* s, uint linear, uint size, ref ExceptionInfo fault)
    {
        bool isMisaligned = s->ChecksAlignment && (linear & (size - 1)) != 0;
        if (isMisaligned)
        {
            fault = ExceptionInfo.Of(ExceptionVector.AlignmentCheck, 0);
        }

        return isMisaligned;
    }

    private static void Write(in LinearRange range, uint offset, uint size, uint value)
    {
        if (size == sizeof(ushort))
        {
            range.WriteUInt16(offset, (ushort)value);
        }
        else
        {
            range.WriteUInt32(offset, value);
        }
    }
}
