using System.Runtime.InteropServices;

namespace Lguest.Cpu.Translator;

/// <summary>
/// Room for translated code: one piece of memory that is mapped twice, to be written at one address and executed at another.
/// No address is ever both.
/// </summary>
internal sealed unsafe partial class ExecutableMemory : IDisposable
{
    private const uint CloseOnExec = 1;
    private const uint Executable = 0x10;
    private const int Read = 1;
    private const int Write = 2;
    private const int Execute = 4;
    private const int Shared = 1;

    private ExecutableMemory(byte* writable, byte* executable, int size)
    {
        Writable = writable;
        ExecuteOffset = executable - writable;
        Size = size;
    }

    /// <summary>Where it is written.</summary>
    public byte* Writable { get; private set; }

    /// <summary>From an address where it is written to the one where it executes.</summary>
    public long ExecuteOffset { get; }

    /// <summary>Bytes. The host gives them as they are first written.</summary>
    public int Size { get; }

    /// <summary>Maps it, or answers null where the host has no such memory, or refuses it (seccomp, SELinux).</summary>
    public static ExecutableMemory? TryCreate(int size)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return null;
        }

        // A kernel before 6.3 doesn't know MFD_EXEC, which later ones may insist on.
        int descriptor = CreateMemory("lguest-translated", CloseOnExec | Executable);
        if (descriptor < 0)
        {
            descriptor = CreateMemory("lguest-translated", CloseOnExec);
        }

        if (descriptor < 0)
        {
            return null;
        }

        byte* writable = null;
        byte* executable = null;
        if (Truncate(descriptor, size) == 0)
        {
            writable = MapOrNull(size, Read | Write, descriptor);
            executable = MapOrNull(size, Read | Execute, descriptor);
        }

        _ = Close(descriptor);
        if (writable != null && executable != null)
        {
            return new ExecutableMemory(writable, executable, size);
        }

        UnmapUnlessNull(writable, size);
        UnmapUnlessNull(executable, size);
        return null;
    }

    public void Dispose()
    {
        if (Writable != null)
        {
            UnmapUnlessNull(Writable + ExecuteOffset, Size);
            UnmapUnlessNull(Writable, Size);
            Writable = null;
        }
    }

    private static byte* MapOrNull(int size, int protection, int descriptor)
    {
        byte* address = Map(null, (nuint)size, protection, Shared, descriptor, 0);
        return (nint)address == -1 ? null : address;
    }

    private static void UnmapUnlessNull(byte* address, int size)
    {
        if (address != null)
        {
            _ = Unmap(address, (nuint)size);
        }
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateMemory(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate")]
    private static partial int Truncate(int descriptor, long length);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial byte* Map(void* address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
