using System.Runtime.InteropServices;

namespace Lguest.Devices.Backends;

/// <content>What a process is and may do.</content>
internal static unsafe partial class SystemCalls
{
    /// <summary>This process has as many files open as it may.</summary>
    public const int Emfile = 24;

    /// <summary>The host has as many files open as it may.</summary>
    public const int Enfile = 23;

    /// <summary>Not with these arguments.</summary>
    public const int Einval = 22;

    /// <summary>There is no such call.</summary>
    public const int Enosys = 38;

    /// <summary>fcntl: what becomes of a descriptor in programs that are started.</summary>
    public const int FcntlGetDescriptorFlags = 1;

    /// <summary>SIGXFSZ: a file would become larger than this process may make one.</summary>
    public const int SigFileTooLarge = 25;

    /// <summary>SIG_IGN.</summary>
    public const nint SignalIgnored = 1;

    /// <summary>SIGKILL.</summary>
    public const int SigKill = 9;

    /// <summary>SIGTERM.</summary>
    public const int SigTerminate = 15;

    /// <summary>PR_SET_PDEATHSIG: the signal that this process gets when the thread that made it has ended.</summary>
    public const int ProcessControlParentDeath = 1;

    /// <summary>RLIMIT_FSIZE.</summary>
    public const int LimitOfFileSize = 1;

    /// <summary>RLIMIT_NOFILE.</summary>
    public const int LimitOfDescriptors = 7;

    /// <summary>RLIM_INFINITY.</summary>
    public const ulong NoLimit = ulong.MaxValue;

    [LibraryImport(Library, EntryPoint = "getrlimit")]
    public static partial int GetLimit(int resource, ResourceLimit* limit);

    [LibraryImport(Library, EntryPoint = "signal")]
    public static partial nint Signal(int signal, nint handler);

    [LibraryImport(Library, EntryPoint = "prctl")]
    public static partial int ProcessControl(int what, nint value);

    [LibraryImport(Library, EntryPoint = "getppid")]
    public static partial int Parent();

    /// <summary><c>struct rlimit</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceLimit
    {
        /// <summary>What holds.</summary>
        public ulong Current;

        /// <summary>To what the process may raise it.</summary>
        public ulong Most;
    }
}
