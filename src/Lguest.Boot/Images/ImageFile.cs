using System.Diagnostics.CodeAnalysis;

namespace Lguest.Boot.Images;

/// <summary>A file that goes into the guest's memory at start: a kernel or an initrd, read in place.</summary>
internal sealed class ImageFile : IDisposable
{
    private Stream _stream;

    /// <summary>Takes an opened image.</summary>
    /// <param name="description">What it is and what the user called it, to begin a sentence with.</param>
    /// <param name="stream">Its bytes; seekable. The image closes it.</param>
    public ImageFile(string description, Stream stream)
    {
        Description = description;
        _stream = stream;
        Length = stream.Length;
    }

    /// <summary>What begins every sentence about this image: <c>kernel 'vmlinux'</c>.</summary>
    public string Description { get; }

    /// <summary>Size in bytes; more than 0 for an image from <see cref="Open"/>.</summary>
    public long Length { get; }

    /// <summary>Opens a file, or a pipe, which is read to its end.</summary>
    /// <param name="kind">"kernel" or "initrd".</param>
    /// <param name="path">The file.</param>
    /// <param name="expected">What the file should be, to end a sentence with.</param>
    /// <param name="open">Opens it (<see cref="FileOpener"/>).</param>
    /// <exception cref="BootException">It is missing, a directory, unreadable or empty.</exception>
    public static ImageFile Open(string kind, string path, string expected, Func<string, Stream> open)
    {
        string description = $"{kind} '{path}'";
        ImageFile? image = null;
        try
        {
            image = new ImageFile(description, Seekable(open(path)));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BootException($"{description} does not exist: give the path of {expected}", e);
        }
        catch (IOException e) when (e.HResult == FileOpener.IsDirectory)
        {
            throw new BootException($"{description} is a directory: give the path of {expected}", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new BootException($"{description} may not be read by this user: change its mode with chmod, or run lguest as its owner", e);
        }
        catch (Exception e) when (e is IOException or NotSupportedException or ArgumentException)
        {
            throw Unreadable(description, e);
        }

        if (image.Length > 0)
        {
            return image;
        }

        image.Dispose();
        throw new BootException($"{description} is empty: give the path of {expected}");
    }

    /// <summary>Reads a whole range, or nothing.</summary>
    /// <returns>False when the image ends before the range does.</returns>
    /// <exception cref="BootException">The host couldn't read it.</exception>
    public bool TryRead(long offset, Span<byte> destination)
    {
        if (offset < 0 || destination.Length > Length - offset)
        {
            return false;
        }

        try
        {
            _stream.Position = offset;
            _stream.ReadExactly(destination);
            return true;
        }
        catch (EndOfStreamException)
        {
            return false;
        }
        catch (IOException e)
        {
            throw Unreadable(Description, e);
        }
    }

    /// <summary>Ends the boot because the image stops before something it promised.</summary>
    [DoesNotReturn]
    public void ThrowTruncated(string missing) =>
        throw new BootException($"{Description} is truncated: {missing} goes beyond the end of the file; copy or build it again");

    /// <summary>Closes the file, and lets go of what is in memory of it.</summary>
    public void Dispose()
    {
        _stream.Dispose();
        _stream = Stream.Null;
    }

    private static Stream Seekable(Stream file)
    {
        if (file.CanSeek)
        {
            return file;
        }

        using (file)
        {
            var copy = new MemoryStream();
            file.CopyTo(copy);
            return copy;
        }
    }

    private static BootException Unreadable(string description, Exception cause) =>
        new($"{description} cannot be read: {cause.Message.TrimEnd('.')}", cause);
}
