namespace Lguest.Devices.Disks;

/// <summary>A disk as a device front end sees it: bytes at offsets. It knows no bus.</summary>
/// <remarks>
/// Calls block, and fail with an <see cref="IOException"/> whose message is a sentence for the log; the
/// front end turns it into an I/O error in the guest. One caller at a time.
/// </remarks>
public interface IBlockBackend : IDisposable
{
    /// <summary>Size in bytes; not necessarily a multiple of 512. It never changes.</summary>
    ulong Length { get; }

    /// <summary>Whether <see cref="Write"/> always fails.</summary>
    bool IsReadOnly { get; }

    /// <summary>What the user called it, for messages.</summary>
    string Name { get; }

    /// <summary>Fills <paramref name="destination"/> from <paramref name="offset"/>, or fails: never a part.</summary>
    /// <exception cref="IOException">The range isn't all inside <see cref="Length"/>, or the host couldn't read it.</exception>
    void Read(ulong offset, Span<byte> destination);

    /// <summary>Does what <see cref="Read"/> does, if it can be done without waiting for anything.</summary>
    /// <returns>False when it can't: nothing is known then, and <paramref name="destination"/> may have been written to.</returns>
    bool TryRead(ulong offset, Span<byte> destination) => false;

    /// <summary>
    /// Writes <paramref name="source"/> at <paramref name="offset"/>. When it returns, the data survives the
    /// death of this process; <see cref="Flush"/> makes it survive a power cut.
    /// </summary>
    /// <exception cref="IOException">
    /// The back end is read-only, the range isn't all inside <see cref="Length"/>, or the host couldn't write it.
    /// </exception>
    void Write(ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Returns when all earlier writes are on stable storage.</summary>
    /// <exception cref="IOException">The host couldn't say so.</exception>
    void Flush();
}
