using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Disks;

/// <summary>What disks log.</summary>
internal static partial class DiskLog
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "disk image '{Name}' has {Bytes} bytes after its last whole sector of 512, which the guest does not get")]
    public static partial void PartOfSector(ILogger logger, string name, ulong bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Name}: an I/O error for the guest at byte {Offset}: {Reason}; more of them won't be reported")]
    public static partial void BlockError(ILogger logger, string name, ulong offset, string reason);
}
