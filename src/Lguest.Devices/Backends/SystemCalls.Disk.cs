using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Backends;

/// <content>What disks need of the C library.</content>
internal static unsafe partial class SystemCalls
{
    /// <summary>preadv2, pwritev2: fail rather than wait (RWF_NOWAIT).</summary>
    public const int WithoutWaiting = 8;

    /// <summary>In the place of an offset: where the file is.</summary>
    public const long Here = -1;

    /// <summary>open: makes a file without a name in a folder (O_TMPFILE).</summary>
    public static int OpenUnnamed { get; } =
        RuntimeInformation.ProcessArchitecture is Architecture.Arm or Architecture.Arm64 ? 0x404000 : 0x410000;

    [LibraryImport(Library, EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int RemoveName(string path);

    [LibraryImport(Library, EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint ReadVector(SafeFileHandle file, MemoryVector* vectors, int count, long offset, int flags);

    [LibraryImport(Library, EntryPoint = "pwritev2", SetLastError = true)]
    public static partial nint WriteVector(int descriptor, MemoryVector* vectors, int count, long offset, int flags);

    /// <summary><c>struct iovec</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct MemoryVector
    {
        /// <summary>Where the memory is.</summary>
        public byte* Start;

        /// <summary>Bytes.</summary>
        public nint Length;
    }
}
