using System.Runtime.InteropServices;

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// A few pages that are either writable or executable, never both. The one file that asks the system for
/// executable memory.
/// </summary>
internal static unsafe partial class ExecutableArena
{
    /// <summary>Bytes of a page, and of what is handed out at a time.</summary>
    public const int PageSize = 4096;

    private const int Pages = 256;
    private const int ProtectRead = 1;
    private const int ProtectWrite = 2;
    private const int ProtectExecute = 4;
    private const int MapPrivate = 2;
    private const int MapAnonymousLinux = 0x20;
    private const int MapAnonymousMac = 0x1000;
    private const int Map32Bit = 0x40;
    private const int MapNoReserve = 0x4000;
    private const int ProtectNone = 0;
    private const uint CommitAndReserve = 0x3000;
    private const uint PageReadWrite = 0x04;
    private const uint PageExecuteRead = 0x20;

    private static readonly Lock Gate = new();
    private static readonly Stack<nint> Free = new();

    static ExecutableArena()
    {
        const nuint length = Pages * PageSize;
        Start = OperatingSystem.IsWindows()
            ? VirtualAlloc(0, length, CommitAndReserve, PageReadWrite)
            : Map(0, length, ProtectRead | ProtectWrite, MapPrivate | Anonymous, -1, 0);
        if (Start is 0 or -1)
        {
            throw new InvalidOperationException($"No memory for code: error {Marshal.GetLastPInvokeError()}.");
        }

        for (int page = Pages - 1; page >= 0; page--)
        {
            Free.Push(Start + page * PageSize);
        }
    }

    /// <summary>Address of the first page.</summary>
    public static nint Start { get; }

    /// <summary>Address after the last page.</summary>
    public static nint End => Start + Pages * PageSize;

    private static int Anonymous => OperatingSystem.IsMacOS() ? MapAnonymousMac : MapAnonymousLinux;

    /// <summary>Hands out a page.</summary>
    public static nint Rent()
    {
        lock (Gate)
        {
            return Free.Pop();
        }
    }

    /// <summary>Takes a page back.</summary>
    public static void Return(nint page)
    {
        lock (Gate)
        {
            Free.Push(page);
        }
    }

    /// <summary>Replaces what a page holds, from its start, and leaves it executable.</summary>
    public static void Write(nint page, ReadOnlySpan<byte> code)
    {
        Protect(page, writable: true);
        code.CopyTo(new Span<byte>((void*)page, PageSize));
        Protect(page, writable: false);
    }

    /// <summary>Reserves addresses below 2 GiB, which nobody may touch yet, on Linux.</summary>
    /// <returns>0 if there are none.</returns>
    public static nint ReserveLow(nint wanted, nuint length)
    {
        nint start = Map(wanted, length, ProtectNone, MapPrivate | MapAnonymousLinux | Map32Bit | MapNoReserve, -1, 0);
        return start == -1 ? 0 : start;
    }

    /// <summary>Opens pages for data that are only read, or also written.</summary>
    public static void OpenForData(nint start, nuint length, bool writable)
    {
        if (ChangeProtection(start, length, writable ? ProtectRead | ProtectWrite : ProtectRead) != 0)
        {
            throw new InvalidOperationException($"Memory can't be opened: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    private static void Protect(nint page, bool writable)
    {
        bool done = OperatingSystem.IsWindows()
            ? VirtualProtect(page, PageSize, writable ? PageReadWrite : PageExecuteRead, out _)
            : ChangeProtection(page, PageSize, ProtectRead | (writable ? ProtectWrite : ProtectExecute)) == 0;
        if (!done)
        {
            throw new InvalidOperationException(
                $"Memory can't be made executable: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int ChangeProtection(nint address, nuint length, int protection);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint VirtualAlloc(nint address, nuint size, uint type, uint protection);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool VirtualProtect(nint address, nuint size, uint protection, out uint previous);
}
