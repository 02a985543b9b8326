using Lguest.Devices.Backends;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Disks;

/// <summary>What a guest counts disks in.</summary>
internal static class Sectors
{
    /// <summary>Bytes of one.</summary>
    public const uint Size = 512;

    /// <summary>Counts those of a disk, and says what is over.</summary>
    /// <exception cref="BackendException">There is none, or more than 32 bits can count.</exception>
    public static uint Count(IBlockBackend disk, ILogger logger)
    {
        (ulong sectors, ulong rest) = Math.DivRem(disk.Length, Size);
        if (sectors == 0)
        {
            throw new BackendException(
                $"disk image '{disk.Name}' has {disk.Length} bytes, less than a sector of {Size}: give it a size, for example with `truncate -s 64M`");
        }

        if (sectors > uint.MaxValue)
        {
            throw new BackendException(
                $"disk image '{disk.Name}' has {disk.Length} bytes, and a guest's disk at most {(ulong)uint.MaxValue * Size}, a sector less than 2 TiB: give a smaller one");
        }

        if (rest > 0)
        {
            DiskLog.PartOfSector(logger, disk.Name, rest);
        }

        return (uint)sectors;
    }
}
