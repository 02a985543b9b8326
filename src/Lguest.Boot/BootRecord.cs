using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Boot;

/// <summary>How a guest that is in memory is to be entered.</summary>
/// <param name="Method">Which way, and so by which ABI.</param>
/// <param name="Entry">Where, with what that way needs.</param>
public sealed record BootRecord(BootMethod Method, KernelEntry Entry);

/// <summary>What the user wants started.</summary>
/// <param name="KernelPath">A vmlinux or bzImage.</param>
/// <param name="InitrdPath">An initial RAM disk, or null for none.</param>
/// <param name="CommandLine">The kernel's command line; what isn't text in it as <see cref="ByteText"/> has it.</param>
/// <param name="RandomSeed">What the kernel's random numbers begin with, if it looks for that; may be empty, at most 256 bytes.</param>
public sealed record BootRequest(string KernelPath, string? InitrdPath, string CommandLine, ReadOnlyMemory<byte> RandomSeed = default)
{
    /// <summary>The number of the exception that <see cref="OpenFile"/> throws for a directory: Linux's EISDIR.</summary>
    public const int IsDirectory = 21;

    /// <summary>Opens a file for reading, without a buffer: headers are read whole, and segments straight into the guest's memory.</summary>
    public Func<string, Stream> OpenFile { get; init; } = path => Directory.Exists(path)
        ? throw new IOException("is a directory", IsDirectory)
        : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
}
