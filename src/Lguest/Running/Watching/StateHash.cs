using System.Buffers.Binary;
using System.Security.Cryptography;
using Lguest.Cpu.Memory;
using Lguest.Host;
using Lguest.Running.Saving;

namespace Lguest.Running.Watching;

/// <summary>
/// The hash of a guest's memory and processor: of the number and the hash of each page that isn't zero, and of the processor. So pages that nobody has
/// touched cost little, and those of a saved guest that nobody has written since are hashed once for all that go on from it.
/// </summary>
internal static class StateHash
{
    private static readonly byte[] Zero = [];

    /// <summary>The SHA-256, in hexadecimal.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="saved">What is known of the saved guest that it was; null for one that has booted.</param>
    public static string Of(Guest guest, SavedPages? saved)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> number = stackalloc byte[sizeof(uint)];
        foreach (MemoryRange ram in (IEnumerable<MemoryRange>)[guest.Layout.LowRam, .. guest.Layout.HighRam])
        {
            WrittenPages? written = saved is null ? null : guest.PhysicalMemory.FindWritten(ram.Start, ram.End - ram.Start);
            for (ulong start = ram.Start; start < ram.End; start += PhysicalMemory.PageSize)
            {
                uint page = (uint)(start / PhysicalMemory.PageSize);
                byte[] own = written?.Has(start) == false ? OfSaved(guest, page, saved!) : OfPage(guest, page);
                if (own != Zero)
                {
                    BinaryPrimitives.WriteUInt32LittleEndian(number, page);
                    hash.AppendData(number);
                    hash.AppendData(own);
                }
            }
        }

        hash.AppendData(guest.Processor.Save());
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static byte[] OfSaved(Guest guest, uint page, SavedPages saved)
    {
        if (saved.Hash(page) is not { } hash)
        {
            hash = OfPage(guest, page);
            saved.Keep(page, hash);
        }

        return hash;
    }

    private static byte[] OfPage(Guest guest, uint page)
    {
        ReadOnlySpan<byte> bytes = guest.PhysicalMemory.Span((ulong)page * PhysicalMemory.PageSize, PhysicalMemory.PageSize);
        return bytes.ContainsAnyExcept((byte)0) ? SHA256.HashData(bytes) : Zero;
    }
}
