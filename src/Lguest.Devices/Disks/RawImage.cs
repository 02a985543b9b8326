using System.Runtime.InteropServices;
using Lguest.Devices.Backends;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Disks;

/// <summary>
/// A disk whose bytes are those of a regular file or of a block device. It keeps the size it had, and is locked
/// as long as it is open: one guest may write it, or many read it.
/// </summary>
/// <remarks>
/// The lock is an open-file-description lock on the whole file (fcntl(2), F_OFD_SETLK): it ends with the process
/// however that ends, and holds between two disks of one process too. On hosts other than Linux there is none.
/// </remarks>
public sealed class RawImage : IBlockBackend
{
    private readonly SafeFileHandle _file;

    private RawImage(string name, SafeFileHandle file, ulong length, bool readOnly)
    {
        Name = name;
        _file = file;
        Length = length;
        IsReadOnly = readOnly;
    }

    /// <inheritdoc />
    public ulong Length { get; }

    /// <inheritdoc />
    public bool IsReadOnly { get; }

    /// <inheritdoc />
    public string Name { get; }

    /// <summary>Opens and locks an image.</summary>
    /// <param name="path">A regular file or a block device.</param>
    /// <param name="readOnly">Opens it for reading only: it is never written then, and others may read it too.</param>
    /// <exception cref="BackendException">
    /// It is missing, a directory, empty, something without a size, not accessible to this user, or in use.
    /// </exception>
    public static RawImage Open(string path, bool readOnly = false)
    {
        string description = $"disk image '{path}'";
        SafeFileHandle file = OpenFile(path, description, readOnly);
        try
        {
            long length = MeasureLength(file);
            if (length == 0)
            {
                throw new BackendException($"{description} is empty: give it a size, for example with `truncate -s 64M`, and a file system");
            }

            Lock(file, description, readOnly);
            return new RawImage(path, file, (ulong)length, readOnly);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public void Read(ulong offset, Span<byte> destination)
    {
        this.CheckRange(offset, destination.Length);
        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(_file, destination, (long)offset);
            if (read == 0)
            {
                throw new IOException($"'{Name}' has become shorter than it was: nothing could be read at byte {offset}");
            }

            destination = destination[read..];
            offset += (ulong)read;
        }
    }

    /// <summary>Reads what the host has in memory. Where it can't tell, it is as if that were nothing.</summary>
    public unsafe bool TryRead(ulong offset, Span<byte> destination)
    {
        this.CheckRange(offset, destination.Length);
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        fixed (byte* start = destination)
        {
            var vector = new SystemCalls.MemoryVector { Start = start, Length = destination.Length };
            return SystemCalls.ReadVector(_file, &vector, 1, (long)offset, SystemCalls.WithoutWaiting) == destination.Length;
        }
    }

    /// <inheritdoc />
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        if (IsReadOnly)
        {
            throw new IOException($"'{Name}' is open for reading only");
        }

        this.CheckRange(offset, source.Length);
        HostFile.Write(_file, source, (long)offset);
    }

    /// <inheritdoc />
    public void Flush()
    {
        if (!IsReadOnly)
        {
            RandomAccess.FlushToDisk(_file);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _file.Dispose();

    private static SafeFileHandle OpenFile(string path, string description, bool readOnly)
    {
        try
        {
            // To open a pipe would be to wait for its other end.
            if (OperatingSystem.IsLinux() && HostFile.StatusOf(path).Kind is not (FileStatus.RegularFile or FileStatus.BlockDevice or FileStatus.Folder))
            {
                throw new BackendException($"{description} is neither a regular file nor a block device: give one of these");
            }

            return HostFile.Open(path, readOnly ? FileAccess.Read : FileAccess.ReadWrite);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BackendException(
                $"{description} does not exist: make it, for example with `truncate -s 64M` and `mke2fs -F`, or correct the path", e);
        }
        catch (UnauthorizedAccessException e)
        {
            string access = readOnly ? "read" : "written";
            throw new BackendException($"{description} may not be {access} by this user: change its mode with chmod, or give a copy of it", e);
        }
        catch (IOException e) when (e.HResult == SystemCalls.Eisdir)
        {
            throw new BackendException($"{description} is a directory: give a file or a block device", e);
        }
        catch (Exception e) when (e is IOException or NotSupportedException or ArgumentException)
        {
            throw new BackendException($"{description} cannot be opened ({e.Message.TrimEnd('.')}): give another file or block device", e);
        }
    }

    // A block device has its size only where its end is; RandomAccess.GetLength says 0.
    private static long MeasureLength(SafeFileHandle file) =>
        OperatingSystem.IsLinux() ? SystemCalls.Seek(file, 0, SystemCalls.Whence.End) : RandomAccess.GetLength(file);

    private static unsafe void Lock(SafeFileHandle file, string description, bool readOnly)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        var wholeFile = new FileLock { Type = readOnly ? FileLock.Shared : FileLock.Exclusive };
        if (SystemCalls.Fcntl(file, SystemCalls.FcntlOfdSetLock, &wholeFile) == 0)
        {
            return;
        }

        int error = Marshal.GetLastPInvokeError();
        if (error is SystemCalls.Eagain or SystemCalls.Eacces)
        {
            throw new BackendException($"{description} is in use by another guest, or named twice: stop that guest, or give a copy of the image");
        }

        throw new BackendException(
            $"{description} cannot be locked ({Marshal.GetPInvokeErrorMessage(error)}): give a copy on a local file system");
    }
}
