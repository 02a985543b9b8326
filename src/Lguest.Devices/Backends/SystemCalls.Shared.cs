using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Backends;

/// <summary>What memory shared with other processes needs of the C library.</summary>
internal static unsafe partial class SystemCalls
{
    /// <summary>A wait has taken as long as it may.</summary>
    public const int Etimedout = 110;

    /// <summary>The file system can't do that.</summary>
    public const int Eopnotsupp = 95;

    /// <summary>Not for a directory.</summary>
    public const int Eisdir = 21;

    /// <summary>Something in the path that must be a directory isn't.</summary>
    public const int Enotdir = 20;

    /// <summary>The file system is mounted read-only.</summary>
    public const int Erofs = 30;

    /// <summary>open: makes the file if it is missing.</summary>
    public const int OpenCreate = 0x40;

    /// <summary>fcntl: is there a lock that one of this open file would have to wait for?</summary>
    public const int FcntlOfdGetLock = 36;

    /// <summary>mmap: may be read.</summary>
    public const int ProtectionRead = 1;

    /// <summary>mmap: may be written.</summary>
    public const int ProtectionWrite = 2;

    /// <summary>mmap: what is written is in the file, for all to see.</summary>
    public const int MapShared = 1;

    /// <summary>mmap: takes no memory before it is used.</summary>
    public const int MapNoReserve = 0x4000;

    /// <summary>statx: of the descriptor itself.</summary>
    public const int StatusOfDescriptor = 0x1000;

    /// <summary>statx: of a symbolic link itself, and not of where it leads.</summary>
    public const int StatusOfLink = 0x100;

    /// <summary>statx: all that stat(2) says.</summary>
    public const uint StatusBasic = 0x7ff;

    private const int FutexWaitOperation = 0;
    private const int FutexWakeOperation = 1;

    private static readonly nint FutexNumber = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 202,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 98,
        _ => -1,
    };

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, uint mode);

    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Status(SafeFileHandle file, string path, int flags, uint mask, FileStatus* status);

    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Status(int folder, string path, int flags, uint mask, FileStatus* status);

    [LibraryImport(Library, EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int SetLength(SafeFileHandle file, long length);

    [LibraryImport(Library, EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport(Library, EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, long length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport(Library, EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, long length);

    /// <summary>Waits at a word until it is woken, by this process or another that shares the word.</summary>
    /// <param name="word">The word.</param>
    /// <param name="expected">Doesn't sleep when the word is another.</param>
    /// <param name="nanoseconds">How long at most.</param>
    public static void FutexWait(uint* word, uint expected, long nanoseconds)
    {
        const long PerSecond = 1_000_000_000;
        var limit = new TimeSpecification { Seconds = nanoseconds / PerSecond, Nanoseconds = nanoseconds % PerSecond };
        _ = Futex(FutexNumber, word, FutexWaitOperation, expected, &limit);
    }

    /// <summary>Wakes the threads that wait at a word.</summary>
    public static void FutexWake(uint* word) => _ = Futex(FutexNumber, word, FutexWakeOperation, int.MaxValue, null);

    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Futex(nint number, uint* word, nint operation, nuint value, TimeSpecification* limit);
}

/// <summary>struct timespec of 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimeSpecification
{
    public long Seconds;
    public long Nanoseconds;
}

/// <summary>struct statx: what is used of it.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    /// <summary>S_IFMT: the bits that say what it is.</summary>
    public const ushort KindMask = 0xf000;

    /// <summary>S_IFREG: a regular file.</summary>
    public const ushort RegularFile = 0x8000;

    /// <summary>S_IFDIR: a directory.</summary>
    public const ushort Folder = 0x4000;

    /// <summary>S_IFCHR: a character device.</summary>
    public const ushort CharacterDevice = 0x2000;

    /// <summary>S_IFIFO: a pipe.</summary>
    public const ushort Pipe = 0x1000;

    /// <summary>S_IFSOCK: a socket.</summary>
    public const ushort Socket = 0xc000;

    /// <summary>S_IFBLK: a block device.</summary>
    public const ushort BlockDevice = 0x6000;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(32)]
    public ulong Inode;

    [FieldOffset(40)]
    public ulong Length;

    /// <summary>When what is known of it last changed.</summary>
    [FieldOffset(96)]
    public FileTime Changed;

    /// <summary>When what is in it last changed.</summary>
    [FieldOffset(112)]
    public FileTime Modified;

    /// <summary>For a device: which.</summary>
    [FieldOffset(128)]
    public uint OwnMajor;

    [FieldOffset(132)]
    public uint OwnMinor;

    [FieldOffset(136)]
    public uint DeviceMajor;

    [FieldOffset(140)]
    public uint DeviceMinor;

    /// <summary>What it is.</summary>
    public readonly ushort Kind => (ushort)(Mode & KindMask);
}

/// <summary>struct statx_timestamp, without its padding.</summary>
/// <param name="Seconds">Since 1970.</param>
/// <param name="Nanoseconds">And so many more.</param>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal readonly record struct FileTime(long Seconds, uint Nanoseconds)
{
    /// <summary>The same, to the tick. What no calendar has is the end of it.</summary>
    public DateTimeOffset Moment
    {
        get
        {
            long ticks = Math.Clamp(Seconds, DateTimeOffset.MinValue.ToUnixTimeSeconds(), DateTimeOffset.MaxValue.ToUnixTimeSeconds()) * TimeSpan.TicksPerSecond;
            return DateTimeOffset.UnixEpoch.AddTicks(ticks).AddTicks(Nanoseconds / TimeSpan.NanosecondsPerTick);
        }
    }
}
