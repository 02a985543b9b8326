namespace Lguest.Devices.Backends;

/// <summary>Which file, and in which state: as long as two are the same, so is what is in it, unless somebody has set a clock back.</summary>
public sealed record FileVersion
{
    private const int Half = 32;

    internal FileVersion(in FileStatus status) =>
        Status = (((ulong)status.DeviceMajor << Half) | status.DeviceMinor, status.Inode, status.Length, status.Modified, status.Changed);

    private (ulong Device, ulong Inode, ulong Length, FileTime Modified, FileTime Changed) Status { get; }
}
