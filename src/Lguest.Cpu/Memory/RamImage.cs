using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Cpu.Memory;

/// <summary>A stretch of RAM.</summary>
/// <param name="Address">Physical, a multiple of 4096.</param>
/// <param name="Length">Bytes, a multiple of 4096, not 0.</param>
public readonly record struct RamRegion(ulong Address, ulong Length);

/// <summary>The contents of all RAM, in a file.</summary>
/// <param name="file">Open for reading, also as long as memory is made of it. Nobody may change it meanwhile, or cut it off.</param>
/// <param name="offsets">Where each region is in the file: a multiple of 4096.</param>
public sealed class RamImage(SafeFileHandle file, IReadOnlyDictionary<RamRegion, long> offsets)
{
    internal MemoryMappedFile Map() =>
        MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.CopyOnWrite, HandleInheritability.None, leaveOpen: true);

    internal long OffsetOf(RamRegion region) => offsets.TryGetValue(region, out long offset)
        ? offset
        : throw new ArgumentException($"The image has no RAM at 0x{region.Address:x8} of 0x{region.Length:x} bytes.", nameof(region));
}
