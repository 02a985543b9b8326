using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// A file in which guests meet, mapped into this process, and the locks on its bytes that say who is there. They end with
/// the process, however that ends.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class SharedFile : IDisposable
{
    private const uint OwnersOnly = 0x180;

    private readonly SafeFileHandle _file;
    private readonly nint _start;

    private SharedFile(string path, SafeFileHandle file, nint start, in FileStatus status)
    {
        Path = path;
        _file = file;
        _start = start;
        Identity = (status.DeviceMajor, status.DeviceMinor, status.Inode);
    }

    /// <summary>As the user wrote it.</summary>
    public string Path { get; }

    /// <summary>Which file it is, by whatever path.</summary>
    public (uint Major, uint Minor, ulong Inode) Identity { get; }

    /// <summary>What is in it.</summary>
    public SharedMemory Memory => new(_start);

    /// <summary>Opens a file, makes it if it is missing, and gives it its size.</summary>
    /// <exception cref="BackendException">It can't be had, or is something else.</exception>
    public static SharedFile Open(string path)
    {
        SafeFileHandle file = OpenFile(path);
        nint start = 0;
        try
        {
            FileStatus status = Check(file, path);
            Grow(file, path, status);
            start = SystemCalls.Map(
                0, SharedLayout.Length, SystemCalls.ProtectionRead | SystemCalls.ProtectionWrite,
                SystemCalls.MapShared | SystemCalls.MapNoReserve, file, 0);
            if (start == -1)
            {
                start = 0;
                throw Failure(path, $"cannot be mapped ({SystemCalls.LastError()}): give one on a local file system");
            }

            var opened = new SharedFile(path, file, start, status);
            opened.CheckContents();
            return opened;
        }
        catch
        {
            if (start != 0)
            {
                _ = SystemCalls.Unmap(start, SharedLayout.Length);
            }

            file.Dispose();
            throw;
        }
    }

    /// <summary>Locks a byte; false when somebody else has.</summary>
    public bool TryLock(long position)
    {
        var lockOfByte = new FileLock { Type = FileLock.Exclusive, Start = position, Length = 1 };
        return SystemCalls.Fcntl(_file, SystemCalls.FcntlOfdSetLock, &lockOfByte) == 0;
    }

    /// <summary>Unlocks a byte.</summary>
    public void Unlock(long position)
    {
        var lockOfByte = new FileLock { Type = FileLock.None, Start = position, Length = 1 };
        _ = SystemCalls.Fcntl(_file, SystemCalls.FcntlOfdSetLock, &lockOfByte);
    }

    /// <summary>Whether somebody else has locked a byte.</summary>
    public bool IsLocked(long position)
    {
        var lockOfByte = new FileLock { Type = FileLock.Exclusive, Start = position, Length = 1 };
        return SystemCalls.Fcntl(_file, SystemCalls.FcntlOfdGetLock, &lockOfByte) != 0 || lockOfByte.Type != FileLock.None;
    }

    /// <summary>Gets room on the disk for a part of the file: to find that there is none while writing to memory would be fatal.</summary>
    /// <returns>Null, or what the host said.</returns>
    public string? Allocate(long start, long length) =>
        SystemCalls.Allocate(_file, 0, start, length) == 0 || Marshal.GetLastPInvokeError() == SystemCalls.Eopnotsupp
            ? null
            : SystemCalls.LastError();

    /// <summary>A sentence about the file.</summary>
    public static BackendException Failure(string path, string what) => new($"the shared network '{path}' {what}");

    /// <inheritdoc />
    public void Dispose()
    {
        _ = SystemCalls.Unmap(_start, SharedLayout.Length);
        _file.Dispose();
    }

    private static SafeFileHandle OpenFile(string path)
    {
        const int Flags = SystemCalls.OpenReadWrite | SystemCalls.OpenCloseOnExec | SystemCalls.OpenNonBlocking;

        try
        {
            HostFile.CheckName(path);
        }
        catch (IOException e)
        {
            throw Failure(path, $"cannot be opened ({e.Message}): give another file");
        }

        // Where everybody may make files, the host refuses to "make" one that is there and somebody else's.
        int descriptor = SystemCalls.Open(path, Flags);
        if (descriptor < 0 && Marshal.GetLastPInvokeError() == SystemCalls.Enoent)
        {
            descriptor = SystemCalls.Open(path, Flags | SystemCalls.OpenCreate, OwnersOnly);
        }

        if (descriptor >= 0)
        {
            return new SafeFileHandle(descriptor, ownsHandle: true);
        }

        throw Failure(path, Marshal.GetLastPInvokeError() switch
        {
            SystemCalls.Enoent or SystemCalls.Enotdir => "is in a folder that does not exist: make the folder, or correct the path",
            SystemCalls.Eisdir => "is a directory: give a file",
            SystemCalls.Eacces or SystemCalls.Eperm or SystemCalls.Erofs =>
                "may not be written by this user: change its mode with chmod, or give another file",
            _ => $"cannot be opened ({SystemCalls.LastError()}): give another file",
        });
    }

    private static FileStatus Check(SafeFileHandle file, string path)
    {
        FileStatus status;
        if (SystemCalls.Status(file, string.Empty, SystemCalls.StatusOfDescriptor, SystemCalls.StatusBasic, &status) != 0)
        {
            throw Failure(path, $"cannot be examined ({SystemCalls.LastError()}): give another file");
        }

        if (status.Kind != FileStatus.RegularFile)
        {
            throw Failure(path, "is not a regular file: give one, or a path where there is none yet");
        }

        return status.Length is 0 or SharedLayout.PageSize or SharedLayout.Length ? status : throw IsSomethingElse(path);
    }

    private static void Grow(SafeFileHandle file, string path, in FileStatus status)
    {
        if (status.Length == SharedLayout.PageSize)
        {
            // A page of slots ends in four bytes that belong to none.
            Span<byte> end = stackalloc byte[SharedLayout.PageSize - (SharedLayout.AddressSlots * SharedLayout.AddressSize)];
            if (RandomAccess.Read(file, end, SharedLayout.PageSize - end.Length) != end.Length || end.ContainsAnyExcept((byte)0))
            {
                throw IsSomethingElse(path);
            }
        }

        if (status.Length < SharedLayout.Length && SystemCalls.SetLength(file, SharedLayout.Length) != 0)
        {
            throw Failure(path, $"cannot get its size ({SystemCalls.LastError()}): give one on another file system");
        }

        if (SystemCalls.Allocate(file, 0, 0, SharedLayout.Area(0)) != 0 && Marshal.GetLastPInvokeError() != SystemCalls.Eopnotsupp)
        {
            throw Failure(path, $"gets no room ({SystemCalls.LastError()}): make some, or give one on another file system");
        }
    }

    // Who comes first writes the header; all would write the same.
    private void CheckContents()
    {
        if (Interlocked.CompareExchange(ref Memory.Magic, SharedLayout.Magic, 0) is not (0 or SharedLayout.Magic))
        {
            throw IsSomethingElse(Path);
        }
    }

    private static BackendException IsSomethingElse(string path) =>
        Failure(path, "is something else, or was made by another version of lguest: give a file that is empty or missing");
}
