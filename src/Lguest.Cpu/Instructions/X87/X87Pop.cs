using System.Runtime.CompilerServices;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>How many registers an instruction pops when it is done, as a type.</summary>
internal unsafe interface IX87Pop
{
    /// <summary>Pops them.</summary>
    static abstract void Pop(ProcessorState* s);
}

/// <summary>None.</summary>
internal readonly unsafe struct Keep : IX87Pop
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pop(ProcessorState* s)
    {
    }
}

/// <summary>One.</summary>
internal readonly unsafe struct PopOne : IX87Pop
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pop(ProcessorState* s) => X87Stack.Pop(s);
}

/// <summary>Two.</summary>
internal readonly unsafe struct PopTwo : IX87Pop
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pop(ProcessorState* s)
    {
        X87Stack.Pop(s);
        X87Stack.Pop(s);
    }
}
