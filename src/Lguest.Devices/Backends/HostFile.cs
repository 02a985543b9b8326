using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Backends;

/// <summary>Opens the user's files, by open(2) where there is one.</summary>
/// <remarks>
/// The framework's own way asks for a lock (flock(2)), and is refused while somebody else has it. And it puts the name of the
/// current folder before a path, which fails in a folder whose name isn't text.
/// </remarks>
public static class HostFile
{
    /// <summary>rw-rw-rw-, less what the user's umask takes away.</summary>
    private const uint UsualMode = 0x1b6;

    /// <summary>Opens a file, or a pipe, for reading. A pipe is waited for until somebody opens it for writing.</summary>
    /// <param name="path">As the user wrote it.</param>
    /// <exception cref="FileNotFoundException">It doesn't exist.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    /// <exception cref="IOException">It is a directory, or the host can't.</exception>
    public static FileStream OpenForReading(string path)
    {
        SafeFileHandle file = Open(path, FileAccess.Read);
        try
        {
            // No buffer: whoever reads files whole has no use for one.
            return new FileStream(file, FileAccess.Read, bufferSize: 0);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Creates a file for writing, or empties one that is there. A pipe is waited for until somebody reads from it.</summary>
    /// <inheritdoc cref="OpenForReading" />
    public static SafeFileHandle Create(string path) => OperatingSystem.IsLinux()
        ? Open(path, SystemCalls.OpenWriteOnly | SystemCalls.OpenCreate | SystemCalls.OpenTruncate)
        : File.OpenHandle(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite);

    /// <summary>Whether there is something by that path.</summary>
    public static bool Exists(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return Path.Exists(path);
        }

        try
        {
            StatusOf(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Whether a file can be read again from its start, and has something in it: no pipe, no device, no folder.</summary>
    /// <inheritdoc cref="OpenForReading" />
    public static bool CanBeReadAgain(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return new FileInfo(path).Length > 0;
        }

        FileStatus status = StatusOf(path);
        return status.Kind == FileStatus.RegularFile && status.Length > 0;
    }

    /// <summary>What a file is at this moment.</summary>
    /// <param name="file">Open.</param>
    /// <returns>
    /// Null if nothing follows from it: for what isn't a regular file, on hosts that don't say it, and shortly after a change, when another could
    /// have the same time.
    /// </returns>
    /// <exception cref="IOException">The host says nothing.</exception>
    public static FileVersion? VersionOf(SafeFileHandle file)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        // Nobody sets the time of the last change, so it shows how finely this file system tells times.
        FileStatus status = StatusOf(file);
        TimeSpan uncertain = status.Changed.Nanoseconds == 0 ? TimeSpan.FromSeconds(2) : TimeSpan.FromMilliseconds(100);
        DateTimeOffset changed = status.Changed.Moment > status.Modified.Moment ? status.Changed.Moment : status.Modified.Moment;
        bool isOld = TimeProvider.System.GetUtcNow() - changed > uncertain;
        return status.Kind == FileStatus.RegularFile && isOld ? new FileVersion(status) : null;
    }

    /// <summary>Opens a file that is there.</summary>
    /// <inheritdoc cref="OpenForReading" />
    internal static SafeFileHandle Open(string path, FileAccess access)
    {
        if (!OperatingSystem.IsLinux())
        {
            return File.OpenHandle(path, FileMode.Open, access, FileShare.ReadWrite);
        }

        SafeFileHandle file = Open(path, access == FileAccess.Read ? 0 : SystemCalls.OpenReadWrite);
        if (StatusOf(file).Kind == FileStatus.Folder)
        {
            file.Dispose();
            throw Failure(SystemCalls.Eisdir);
        }

        return file;
    }

    /// <summary>Opens a file with flags of open(2).</summary>
    /// <inheritdoc cref="OpenForReading" />
    internal static SafeFileHandle Open(string path, int flags, uint mode = UsualMode)
    {
        CheckName(path);
        int descriptor = SystemCalls.Open(path, flags | SystemCalls.OpenCloseOnExec | SystemCalls.OpenNoTerminal, mode);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Failure(Marshal.GetLastPInvokeError());
    }

    /// <summary>Writes bytes, all of them.</summary>
    /// <exception cref="IOException">The host couldn't, for any of its reasons: the framework has other exceptions for some.</exception>
    internal static void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        try
        {
            RandomAccess.Write(file, bytes, offset);
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw new IOException("the file would become too large", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Whether something is a regular file, which can be opened without waiting for anybody.</summary>
    public static bool IsRegular(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return File.Exists(path);
        }

        try
        {
            return StatusOf(path).Kind == FileStatus.RegularFile;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Whether there is a Unix socket by that path: no link to one, and nothing else. Nothing is opened for it.</summary>
    public static bool IsSocket(string path)
    {
        try
        {
            return OperatingSystem.IsLinux() && StatusOf(path, SystemCalls.StatusOfLink).Kind == FileStatus.Socket;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>What the host says of an open file. Linux only.</summary>
    /// <exception cref="IOException">It says nothing.</exception>
    internal static unsafe FileStatus StatusOf(SafeFileHandle file)
    {
        FileStatus status;
        return SystemCalls.Status(file, string.Empty, SystemCalls.StatusOfDescriptor, SystemCalls.StatusBasic, &status) == 0
            ? status
            : throw Failure(Marshal.GetLastPInvokeError());
    }

    /// <summary>What the host says of a file that needn't be opened for it. Linux only.</summary>
    /// <inheritdoc cref="OpenForReading" />
    internal static unsafe FileStatus StatusOf(string path, int flags = 0)
    {
        CheckName(path);
        FileStatus status;
        return SystemCalls.Status(SystemCalls.CurrentFolder, path, flags, SystemCalls.StatusBasic, &status) == 0
            ? status
            : throw Failure(Marshal.GetLastPInvokeError());
    }

    /// <summary>Sees that a path is text. A byte that isn't is a surrogate without its other half, of which the C library would get something else.</summary>
    /// <exception cref="IOException">It isn't.</exception>
    internal static void CheckName(string path)
    {
        for (int i = 0; i < path.Length; i++)
        {
            if (char.IsSurrogatePair(path, i))
            {
                i++;
            }
            else if (char.IsSurrogate(path[i]))
            {
                throw new IOException("its name is not UTF-8; a link to it can have another");
            }
        }
    }

    // The framework's exceptions for these errors, and its place for their numbers.
    private static Exception Failure(int error)
    {
        string message = Marshal.GetPInvokeErrorMessage(error);
        return error switch
        {
            SystemCalls.Enoent or SystemCalls.Enotdir => new FileNotFoundException(message),
            SystemCalls.Eacces or SystemCalls.Eperm => new UnauthorizedAccessException(message),
            _ => new IOException(message, error),
        };
    }
}
