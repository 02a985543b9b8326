using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Backends;

/// <summary>The calls of the C library that .NET has nothing for. Linux only, but for read, write and poll.</summary>
internal static unsafe partial class SystemCalls
{
    /// <summary>A call was interrupted by a signal.</summary>
    public const int Eintr = 4;

    /// <summary>Nothing could be done without waiting.</summary>
    public const int Eagain = 11;

    /// <summary>Somebody else holds a lock (as F_OFD_SETLK may also say it).</summary>
    public const int Eacces = 13;

    /// <summary>poll: there is something to read.</summary>
    public const short PollIn = 1;

    /// <summary>poll: something can be written.</summary>
    public const short PollOut = 4;

    /// <summary>poll: there is urgent data to read.</summary>
    public const short PollUrgent = 2;

    /// <summary>poll: something is wrong with the descriptor.</summary>
    public const short PollError = 8;

    /// <summary>poll: the other end has hung up.</summary>
    public const short PollHangUp = 16;

    /// <summary>tcsetattr: at once.</summary>
    public const int TcsaNow = 0;

    /// <summary>SIGSTOP.</summary>
    public const int SigStop = 19;

    /// <summary>fcntl: duplicates a descriptor for this process alone.</summary>
    public const int FcntlDuplicateCloseOnExec = 1030;

    /// <summary>The first descriptor with no meaning of its own.</summary>
    public const int FirstFreeDescriptor = 3;

    /// <summary>fcntl: sets a lock that belongs to the open file, not to the process; never waits.</summary>
    public const int FcntlOfdSetLock = 37;

    /// <summary>pipe2: close both ends in programs that are started.</summary>
    public const int OpenCloseOnExec = 0x80000;

    /// <summary>open: for writing only.</summary>
    public const int OpenWriteOnly = 1;

    /// <summary>open: for reading and writing.</summary>
    public const int OpenReadWrite = 2;

    /// <summary>open: a terminal doesn't become this process's own.</summary>
    public const int OpenNoTerminal = 0x100;

    /// <summary>open: empties the file.</summary>
    public const int OpenTruncate = 0x200;

    /// <summary>open: fails where there is a file already.</summary>
    public const int OpenExclusive = 0x80;

    /// <summary>In the place of a folder's descriptor: paths begin at the current folder.</summary>
    public const int CurrentFolder = -100;

    /// <summary>posix_spawn: the child gets a session of its own.</summary>
    public const short SpawnSetSession = 0x80;

    /// <summary>More than either of the C library's opaque posix_spawn objects takes.</summary>
    public const int SpawnObjectSize = 1024;

    private const string Library = "libc";

    /// <summary>lseek's way of naming an offset.</summary>
    public enum Whence
    {
        /// <summary>From the end.</summary>
        End = 2,
    }

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int descriptor, byte* buffer, nint count);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int descriptor, byte* buffer, nint count);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollDescriptor* descriptors, nuint count, int timeoutMilliseconds);

    [LibraryImport(Library, EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport(Library, EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(SafeFileHandle file, long offset, Whence whence);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Fcntl(SafeFileHandle file, int command, FileLock* fileLock);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Fcntl(int descriptor, int command, int argument);

    [LibraryImport(Library, EntryPoint = "dup2", SetLastError = true)]
    public static partial int Duplicate(int descriptor, int number);

    [LibraryImport(Library, EntryPoint = "isatty", SetLastError = true)]
    public static partial int IsTerminal(int descriptor);

    [LibraryImport(Library, EntryPoint = "tcgetattr", SetLastError = true)]
    public static partial int GetTerminalSettings(int descriptor, TerminalSettings* settings);

    [LibraryImport(Library, EntryPoint = "tcsetattr", SetLastError = true)]
    public static partial int SetTerminalSettings(int descriptor, int when, TerminalSettings* settings);

    [LibraryImport(Library, EntryPoint = "tcgetpgrp", SetLastError = true)]
    public static partial int GetForegroundProcessGroup(int descriptor);

    [LibraryImport(Library, EntryPoint = "getpgrp")]
    public static partial int GetProcessGroup();

    [LibraryImport(Library, EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int process, int signal);

    [LibraryImport(Library, EntryPoint = "pipe2", SetLastError = true)]
    public static partial int Pipe(int* descriptors, int flags);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_init")]
    public static partial int SpawnActionsInit(void* actions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_destroy")]
    public static partial int SpawnActionsDestroy(void* actions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static partial int SpawnActionsDuplicate(void* actions, int from, int to);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SpawnActionsOpen(void* actions, int descriptor, string path, int flags, uint mode);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_init")]
    public static partial int SpawnAttributesInit(void* attributes);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_destroy")]
    public static partial int SpawnAttributesDestroy(void* attributes);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setflags")]
    public static partial int SpawnAttributesSetFlags(void* attributes, short flags);

    [LibraryImport(Library, EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Spawn(int* process, string path, void* actions, void* attributes, byte** arguments, byte** environment);
}

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollDescriptor
{
    public int Descriptor;
    public short Events;
    public short Returned;
}

/// <summary>struct flock of 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FileLock
{
    /// <summary>F_RDLCK: many may read.</summary>
    public const short Shared = 0;

    /// <summary>F_WRLCK: one may write.</summary>
    public const short Exclusive = 1;

    /// <summary>F_UNLCK: there is none.</summary>
    public const short None = 2;

    public short Type;
    public short Whence;
    public long Start;

    /// <summary>Bytes; 0 means up to the end, wherever that is.</summary>
    public long Length;

    /// <summary>Must be 0 for a lock of an open file.</summary>
    public int Process;
}

/// <summary>struct termios of Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TerminalSettings
{
    /// <summary>NCCS: control characters and the like.</summary>
    public const int ControlCharacterCount = 32;

    private const int MinimumCharacters = 6;
    private const int ReadTimeout = 5;

    // The flags that cfmakeraw(3) clears, and what it sets.
    private const uint InputProcessing = 0x5eb;
    private const uint OutputProcessing = 1;
    private const uint LocalProcessing = 0x804b;
    private const uint CharacterSizeAndParity = 0x130;
    private const uint EightBits = 0x30;

    public uint Input;
    public uint Output;
    public uint Control;
    public uint Local;
    public byte LineDiscipline;
    public fixed byte ControlCharacters[ControlCharacterCount];
    public uint InputSpeed;
    public uint OutputSpeed;

    /// <summary>The same terminal with every byte passed as it is, both ways, and no key with a meaning.</summary>
    public readonly TerminalSettings Raw()
    {
        TerminalSettings raw = this;
        raw.Input &= ~InputProcessing;
        raw.Output &= ~OutputProcessing;
        raw.Local &= ~LocalProcessing;
        raw.Control = (raw.Control & ~CharacterSizeAndParity) | EightBits;
        raw.ControlCharacters[MinimumCharacters] = 1;
        raw.ControlCharacters[ReadTimeout] = 0;
        return raw;
    }

    /// <summary>The form that stty(1) prints with -g, and takes.</summary>
    public override readonly string ToString()
    {
        var text = new System.Text.StringBuilder($"{Input:x}:{Output:x}:{Control:x}:{Local:x}");
        for (int i = 0; i < ControlCharacterCount; i++)
        {
            text.Append(':').Append(ControlCharacters[i].ToString("x", null));
        }

        return text.ToString();
    }
}
