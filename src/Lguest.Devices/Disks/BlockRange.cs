namespace Lguest.Devices.Disks;

/// <summary>What every disk checks of a request.</summary>
internal static class BlockRange
{
    /// <summary>Sees that a range is all inside a disk.</summary>
    /// <exception cref="IOException">It isn't.</exception>
    public static void CheckRange(this IBlockBackend disk, ulong offset, int length)
    {
        if (offset > disk.Length || (ulong)length > disk.Length - offset)
        {
            throw new IOException($"'{disk.Name}' has {disk.Length} bytes, and {length} at byte {offset} are not all among them");
        }
    }
}
