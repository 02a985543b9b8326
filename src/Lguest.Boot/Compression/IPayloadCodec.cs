namespace Lguest.Boot.Compression;

/// <summary>Unpacks the kernel inside a bzImage.</summary>
internal interface IPayloadCodec
{
    /// <summary>Unpacks a payload; what follows it is ignored.</summary>
    /// <param name="payload">A seekable stream, positioned at the magic.</param>
    /// <param name="limit">Bytes after which to stop: no kernel is larger.</param>
    /// <returns>The contents, or null when there are more than <paramref name="limit"/> bytes.</returns>
    /// <exception cref="InvalidDataException">The payload is corrupt or truncated.</exception>
    MemoryStream? Unpack(Stream payload, long limit);
}
