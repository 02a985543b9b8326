using System.Security.Cryptography;
using Lguest.Boot;
using Lguest.Devices.Backends;

namespace Lguest.Running;

/// <summary>
/// What was made of files: a process that runs one guest after another makes it once, and anew of a file that has changed.
/// </summary>
internal sealed class KnownFiles
{
    /// <summary>More than a suite has.</summary>
    private const int Most = 256;

    private readonly Dictionary<(FileVersion Version, Type Kind), object> _known = [];

    /// <summary>What a file is known by, or is now, for as long as it stays as it is.</summary>
    /// <typeparam name="T">What is made of it: there is one of a kind.</typeparam>
    /// <param name="version">The file, before anything was read; null if that says nothing.</param>
    /// <param name="make">Makes it.</param>
    public T Of<T>(FileVersion? version, Func<T> make)
        where T : class
    {
        if (version is not null && _known.TryGetValue((version, typeof(T)), out object? known))
        {
            return (T)known;
        }

        T made = make();
        if (version is not null)
        {
            if (_known.Count == Most)
            {
                _known.Clear();
            }

            _known.Add((version, typeof(T)), made);
        }

        return made;
    }

    /// <summary>The same of a file that is opened once: by the time that it is read, its path may lead to another.</summary>
    /// <param name="path">The file.</param>
    /// <param name="make">Makes it of what is in the file.</param>
    /// <inheritdoc cref="Hash" />
    public T Of<T>(string path, Func<Stream, T> make)
        where T : class
    {
        using FileStream file = HostFile.OpenForReading(path);
        return Of(HostFile.VersionOf(file.SafeFileHandle), () => make(file));
    }

    /// <summary>The SHA-256 of a file, in hexadecimal.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    /// <exception cref="BootException">The host has nothing to make one with.</exception>
    public string Hash(string path)
    {
        HashLibrary.Require();
        return Of(path, file => new Sha256(Convert.ToHexStringLower(SHA256.HashData(file)))).Hex;
    }

    private sealed record Sha256(string Hex);
}
