using Lguest.Host.Bus;
using Lguest.Host.Virtio;
using Microsoft.Extensions.Logging;

namespace Lguest.Host;

/// <summary>What the host layer logs.</summary>
internal static partial class HostLog
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "the guest sent to key 0x{Key:x8}, where no device is; more of it won't be reported")]
    public static partial void NoDeviceAtKey(ILogger logger, uint key);

    [LoggerMessage(Level = LogLevel.Debug, Message = "device {Index} ({Type}) has key page 0x{Page:x8} and IRQ {Irq}")]
    public static partial void DevicePlaced(ILogger logger, int index, DeviceType type, uint page, int irq);

    [LoggerMessage(Level = LogLevel.Debug, Message = "virtio device {Index} ({Type}) has its first virtqueue at 0x{Ring:x8}, with IRQ {Irq}")]
    public static partial void VirtioDevicePlaced(ILogger logger, int index, VirtioType type, uint ring, int irq);
}
