namespace Lguest.Results.Reports;

/// <summary>A file that is written whole or not at all: whoever reads it never sees half of one, nor an old one cut short.</summary>
/// <remarks>
/// It is written beside the place where it belongs, brought to the disk, and renamed. What can't be replaced (a pipe,
/// <c>/dev/stdout</c>) is written as it is. A link stays, and what it points to is replaced.
/// </remarks>
public sealed class WholeFile
{
    private const string Devices = "/dev/";
    private const string SharedMemory = "/dev/shm/";

    private readonly string _given;
    private readonly string _path;
    private readonly bool _isReplaced;

    private WholeFile(string given, string path, bool isReplaced)
    {
        _given = given;
        _path = path;
        _isReplaced = isReplaced;
    }

    /// <summary>Sees whether a file can be written, before there is anything to write. It isn't changed.</summary>
    /// <param name="path">Where it is to be.</param>
    /// <exception cref="ReportException">It can't.</exception>
    public static WholeFile At(string path)
    {
        if (path.Length == 0)
        {
            throw new ReportException("a report needs the name of a file");
        }

        return Guard(path, () =>
        {
            string full = Path.GetFullPath(path);
            if (full.StartsWith(Devices, StringComparison.Ordinal) && !full.StartsWith(SharedMemory, StringComparison.Ordinal))
            {
                using FileStream device = Open(full);
                return new WholeFile(path, full, isReplaced: false);
            }

            string target = new FileInfo(full).LinkTarget is null ? full : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
            if (Directory.Exists(target))
            {
                throw new ReportException($"'{path}' is a directory: give the name of a file");
            }

            bool exists = File.Exists(target);
            if (exists)
            {
                using FileStream existing = Open(target);
                if (!existing.CanSeek)
                {
                    return new WholeFile(path, target, isReplaced: false);
                }
            }

            // Its own name may be one that the file system doesn't take.
            string trial = exists ? TemporaryBeside(target) : target;
            new FileStream(trial, FileMode.CreateNew, FileAccess.Write).Dispose();
            File.Delete(trial);
            return new WholeFile(path, target, isReplaced: true);
        });
    }

    /// <summary>Writes it.</summary>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="ReportException">It couldn't be written: what was there before still is.</exception>
    public void Write(Action<Stream> write) => Guard(_given, () =>
    {
        if (_isReplaced)
        {
            Replace(write);
        }
        else
        {
            using FileStream stream = Open(_path);
            write(stream);
        }

        return true;
    });

    private void Replace(Action<Stream> write)
    {
        string temporary = TemporaryBeside(_path);
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
                if (!OperatingSystem.IsWindows() && File.Exists(_path))
                {
                    File.SetUnixFileMode(stream.SafeFileHandle, File.GetUnixFileMode(_path));
                }
            }

            File.Move(temporary, _path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    // For reading too: a pipe that nobody reads yet would block else.
    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (UnauthorizedAccessException)
        {
            return new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        }
    }

    private static string TemporaryBeside(string path) =>
        Path.Combine(Path.GetDirectoryName(path) ?? "/", $".lguest-{Guid.NewGuid():n}.tmp");

    private static T Guard<T>(string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (DirectoryNotFoundException e)
        {
            throw new ReportException($"'{path}' can't be written: its directory doesn't exist", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new ReportException($"'{path}' can't be written: this user may not write there", e);
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            throw new ReportException($"'{path}' can't be written: {e.Message.TrimEnd('.')}", e);
        }
    }
}
