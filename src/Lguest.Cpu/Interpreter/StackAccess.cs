using System.Runtime.CompilerServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>The stack: SS and as much of ESP as SS.B says.</summary>
internal static unsafe class StackAccess<TAddressing>
    where TAddressing : struct, IAddressing
{
    /// <summary>Pushes, or raises and answers false with ESP untouched.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Push<TSize>(ProcessorState* s, Operation* op, uint value)
        where TSize : struct, IOperandSize => Push<TSize, TSize>(s, op, value);

    /// <summary>As <see cref="Push{TSize}"/>, but only a word is written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool PushSelector<TSize>(ProcessorState* s, Operation* op, uint value)
        where TSize : struct, IOperandSize => Push<TSize, Size16>(s, op, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Push<TSize, TWritten>(ProcessorState* s, Operation* op, uint value)
        where TSize : struct, IOperandSize
        where TWritten : struct, IOperandSize
    {
        uint mask = TAddressing.StackMask(s);
        uint top = (s->Esp - TSize.Bytes) & mask;
        byte* host = TAddressing.WriteAt(s, op, (int)SegmentName.Ss, top, TWritten.Bytes);
        if (host == null)
        {
            return false;
        }

        TWritten.Store(host, value);
        MemoryAccess.Complete(s, host);
        s->Esp = (s->Esp & ~mask) | top;
        return true;
    }

    /// <summary>Host address to read at a distance above the top, or null. ESP stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Peek(ProcessorState* s, Operation* op, uint distance, uint size) =>
        TAddressing.ReadAt(s, op, (int)SegmentName.Ss, (s->Esp + distance) & TAddressing.StackMask(s), size);

    /// <summary>Takes bytes off the top.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(ProcessorState* s, uint bytes)
    {
        uint mask = TAddressing.StackMask(s);
        s->Esp = (s->Esp & ~mask) | ((s->Esp + bytes) & mask);
    }
}
