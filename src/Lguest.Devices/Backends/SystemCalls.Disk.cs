using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Backends;

/// <content>Reading what the host has in memory.</content>
internal static unsafe partial class SystemCalls
{
    /// <summary>preadv2: fail rather than wait for the disk.</summary>
    public const int ReadWithoutWaiting = 8;

    [LibraryImport(Library, EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint ReadVector(SafeFileHandle file, MemoryVector* vectors, int count, long offset, int flags);

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
