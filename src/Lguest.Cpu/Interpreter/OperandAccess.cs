using System.Runtime.CompilerServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// How operations reach memory by linear address. Each function answers with a host address to read
/// or write through, or null after it has raised the fault; the caller then just returns null.
/// </summary>
/// <remarks>
/// The fast path is one compare: the tag of the entry for the first byte against the page of the last,
/// which differ when there is no translation, when a slow bit is set, and when the access leaves its
/// page. <see cref="MemoryAccess"/> has the slow path. Whoever writes calls <see cref="MemoryAccess.Complete"/> afterwards.
/// </remarks>
internal static unsafe class OperandAccess
{
    /// <summary>Host address to read <paramref name="size"/> bytes (16 at most) from, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Read(ProcessorState* s, Operation* op, uint linear, uint size)
    {
        TlbEntry* entry = TranslationBuffer.ReadEntry(s->Tlb, linear);
        return entry->Tag == ((linear + size - 1) & ~PhysicalMemory.PageOffsetMask)
            ? entry->Addend + linear
            : FindSlowly(s, op, linear, size, AccessKind.Read);
    }

    /// <summary>Host address to write <paramref name="size"/> bytes (16 at most), or null. What is there may be anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Write(ProcessorState* s, Operation* op, uint linear, uint size)
    {
        TlbEntry* entry = TranslationBuffer.WriteEntry(s->Tlb, linear);
        return entry->Tag == ((linear + size - 1) & ~PhysicalMemory.PageOffsetMask)
            ? entry->Addend + linear
            : FindSlowly(s, op, linear, size, AccessKind.Write);
    }

    /// <summary>Host address to read and then write <paramref name="size"/> bytes (16 at most), or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Modify(ProcessorState* s, Operation* op, uint linear, uint size)
    {
        TlbEntry* entry = TranslationBuffer.WriteEntry(s->Tlb, linear);
        return entry->Tag == ((linear + size - 1) & ~PhysicalMemory.PageOffsetMask)
            ? entry->Addend + linear
            : FindSlowly(s, op, linear, size, AccessKind.Modify);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte* FindSlowly(ProcessorState* s, Operation* op, uint linear, uint size, AccessKind kind)
    {
        byte* host = MemoryAccess.Find(s, linear, size, kind);
        if (host == null)
        {
            Fault.RaiseDescribed(s, op);
        }

        return host;
    }
}
