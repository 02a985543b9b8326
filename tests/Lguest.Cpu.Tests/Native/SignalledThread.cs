using System.Runtime.InteropServices;

namespace Lguest.Cpu.Tests.Native;

/// <summary>A thread that gets signals while it works.</summary>
internal static partial class SignalledThread
{
    private const int TgkillCall = 234;
    private const int GettidCall = 186;

    /// <summary>Runs some work on a thread of its own, and sends that thread signals meanwhile.</summary>
    /// <param name="signal">One that has a handler.</param>
    /// <param name="count">How many are sent.</param>
    /// <param name="work">The work. It asks its argument whether to go on; the first signal comes after the first such question.</param>
    /// <param name="onSent">Called after each, with how many have been sent.</param>
    /// <returns>How many were sent.</returns>
    public static int Run(int signal, int count, Action<Func<bool>> work, Action<int> onSent)
    {
        nint thread = 0;
        bool isOver = false;
        var worker = new Thread(() => work(() =>
        {
            if (thread == 0)
            {
                Volatile.Write(ref thread, SystemCall(GettidCall, 0, 0, 0));
            }

            return !Volatile.Read(ref isOver);
        }));
        worker.Start();
        while (Volatile.Read(ref thread) == 0)
        {
            Thread.Yield();
        }

        int sent = 0;
        while (sent < count && SystemCall(TgkillCall, Environment.ProcessId, thread, signal) == 0)
        {
            sent++;
            onSent(sent);
        }

        Volatile.Write(ref isOver, true);
        worker.Join();
        return sent;
    }

    // glibc has no function for these in old versions.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third);
}
