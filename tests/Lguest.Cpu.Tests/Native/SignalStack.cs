using System.Runtime.InteropServices;

namespace Lguest.Cpu.Tests.Native;

/// <summary>The stack that signal handlers of the current thread run on.</summary>
internal static unsafe partial class SignalStack
{
    private const int Disabled = 2;

    /// <summary>Whether it isn't the thread's own.</summary>
    public static bool IsThere()
    {
        Description current;
        return ChangeStack(null, &current) == 0 && (current.Flags & Disabled) == 0;
    }

    [LibraryImport("libc", EntryPoint = "sigaltstack")]
    private static partial int ChangeStack(Description* stack, Description* previous);

    // stack_t.
    [StructLayout(LayoutKind.Sequential)]
    private struct Description
    {
        public readonly nint Start;
        public int Flags;
        public readonly nuint Length;
    }
}
