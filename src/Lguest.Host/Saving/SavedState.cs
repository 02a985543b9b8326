using System.IO.Hashing;
using Lguest.Cpu.Memory;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Host.Saving;

/// <summary>
/// A guest that <see cref="Guest.Save"/> has written into a file. Any number of guests can be made of it, also at once: each maps
/// its RAM privately.
/// </summary>
/// <remarks>
/// There is no promise between versions: only the very build of lguest that wrote a file reads it. What devices have at
/// their far ends isn't in it: the same disk, with the same contents, is for the caller to bring.
/// </remarks>
public sealed class SavedState
{
    // Devices are below it: RAM that is above isn't written by them.
    private const ulong KeysEnd = 1ul << 32;

    private readonly string _name;
    private readonly SafeFileHandle _file;
    private readonly long _ramStart;

    private SavedState(string name, SafeFileHandle file, long ramStart, SavedStateDescription description, GuestAbi abi)
    {
        _name = name;
        _file = file;
        _ramStart = ramStart;
        Description = description;
        Abi = abi;
    }

    /// <summary>What kind of kernel it is.</summary>
    public GuestAbi Abi { get; }

    /// <summary>Bytes of RAM.</summary>
    public ulong MemoryBytes => Description.MemoryBytes;

    /// <summary>Which clock it has.</summary>
    public ClockKind Clock => Description.Clock;

    /// <summary>How long it has lived by its clock, in nanoseconds.</summary>
    public ulong Nanoseconds => Description.Host.Clock.Now;

    /// <summary>What whoever saved it wanted to find again.</summary>
    public IReadOnlyList<SavedFact> Facts => Description.Facts;

    /// <summary>All of it but RAM.</summary>
    internal SavedStateDescription Description { get; }

    /// <summary>RAM, where it is in the file.</summary>
    internal RamImage Image
    {
        get
        {
            var offsets = new Dictionary<RamRegion, long>();
            long offset = _ramStart;
            foreach (SavedRegion region in Description.Regions)
            {
                offsets.Add(new RamRegion(region.Address, region.Length), offset);
                offset += (long)region.Length;
            }

            return new RamImage(_file, offsets);
        }
    }

    /// <summary>Reads a saved state.</summary>
    /// <param name="file">Open for reading, and kept open and unchanged by the caller as long as guests run from it.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="verifyMemory">Whether to look at every byte of RAM too: for 64 MiB some milliseconds.</param>
    /// <exception cref="SavedStateException">It is something else, of another version, or damaged.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static SavedState Read(SafeFileHandle file, string name, bool verifyMemory = true)
    {
        long length = RandomAccess.GetLength(file);
        Span<byte> start = stackalloc byte[SavedStateHeader.Size];
        start = start[..RandomAccess.Read(file, start, 0)];
        if (SavedStateHeader.TryRead(start, length, out SavedStateHeader header) is { } wrong)
        {
            throw Failure(name, wrong);
        }

        SavedStateDescription description = ReadDescription(file, name, header);
        GuestAbi abi = KnownAbis.All.FirstOrDefault(known => known.Name == description.Dialect)
            ?? throw Failure(name, $"is of a guest of the kind '{description.Dialect}', which this lguest does not have");
        if (!abi.Cpuid.Leaves.SequenceEqual(description.Cpuid))
        {
            throw Failure(name, "is of a guest with another processor: save the guest again");
        }

        var state = new SavedState(name, file, header.RamStart, description, abi);
        if (verifyMemory)
        {
            state.VerifyMemory();
        }

        return state;
    }

    /// <summary>What a guest is to be made of that goes on from here.</summary>
    /// <param name="devices">Devices of the same kinds, in the same order. The guest owns and disposes them.</param>
    public GuestConfiguration Configuration(IReadOnlyList<IGuestDevice> devices) => new()
    {
        MemoryBytes = MemoryBytes,
        Abi = Abi,
        Clock = Description.Clock,
        Date = Description.Date,
        GuestId = Description.GuestId,
        Devices = devices,
        SavedState = this,
    };

    /// <summary>Sees that a guest's devices are those that it had.</summary>
    /// <exception cref="SavedStateException">They aren't.</exception>
    internal void CheckDevices(IReadOnlyList<IGuestDevice> devices)
    {
        string had = List(Description.Devices.Select(device => device.Kind));
        string has = List(devices.Select(device => device.Kind));
        if (had != has)
        {
            throw Failure(_name, $"is of a guest with other devices: it had {had}, and here is {has}");
        }
    }

    /// <summary>Copies RAM from the file once more, as far as making the guest has written to it.</summary>
    /// <param name="memory">The guest's.</param>
    /// <param name="from">The first address that may have been written.</param>
    internal void CopyRam(PhysicalMemory memory, ulong from)
    {
        long offset = _ramStart;
        foreach (SavedRegion region in Description.Regions)
        {
            if (from < region.Address + region.Length && region.Address < KeysEnd)
            {
                ulong begin = Math.Max(from, region.Address);
                Span<byte> bytes = memory.Span(begin, (uint)(region.Address + region.Length - begin));
                RandomAccess.Read(_file, bytes, offset + (long)(begin - region.Address));
            }

            offset += (long)region.Length;
        }
    }

    private static SavedStateDescription ReadDescription(SafeFileHandle file, string name, in SavedStateHeader header)
    {
        if (header.DescriptionLength < 0 || header.RamStart > header.FileLength)
        {
            throw Failure(name, SavedStateHeader.Damaged);
        }

        byte[] bytes = new byte[header.DescriptionLength];
        RandomAccess.Read(file, bytes, SavedStateHeader.Size);
        return XxHash128.HashToUInt128(bytes) == header.DescriptionHash ? SavedStateFormat.Read(bytes) : throw Failure(name, SavedStateHeader.Damaged);
    }

    private static SavedStateException Failure(string name, string what) => new($"the saved state '{name}' {what}");

    private static string List(IEnumerable<string> kinds) => string.Join(", ", kinds.DefaultIfEmpty("none"));

    private void VerifyMemory()
    {
        byte[] piece = new byte[SavedStateWriter.Piece];
        long start = _ramStart;
        foreach (SavedRegion region in Description.Regions)
        {
            string hash = SavedStateWriter.Hash(region.Length, (offset, length) =>
            {
                int read = RandomAccess.Read(_file, piece.AsSpan(0, length), start + (long)offset);
                return piece.AsSpan(0, read);
            });
            if (hash != region.Hash)
            {
                throw Failure(_name, SavedStateHeader.Damaged);
            }

            start += (long)region.Length;
        }
    }
}
