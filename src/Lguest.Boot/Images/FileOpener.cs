namespace Lguest.Boot.Images;

/// <summary>
/// How a kernel or an initrd is opened: for reading, and without a buffer, as headers are read whole, and segments straight
/// into the guest's memory. This is the framework's way; a host may have a better one.
/// </summary>
public static class FileOpener
{
    /// <summary>The number of the exception that is thrown for a directory: Linux's EISDIR.</summary>
    public const int IsDirectory = 21;

    /// <summary>Opens a file.</summary>
    /// <exception cref="IOException">It is a directory (<see cref="IsDirectory"/>), isn't there, or the host can't.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public static Stream Open(string path) => Directory.Exists(path)
        ? throw new IOException("is a directory", IsDirectory)
        : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
}
