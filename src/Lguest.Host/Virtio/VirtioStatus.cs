namespace Lguest.Host.Virtio;

/// <summary>Bits of a device's status that mean something to its host (virtio 1.0, 2.1).</summary>
internal static class VirtioStatus
{
    /// <summary>The driver is set up (DRIVER_OK).</summary>
    public const byte DriverReady = 4;

    /// <summary>The driver has agreed on features (FEATURES_OK, since virtio 1.0).</summary>
    public const byte FeaturesAgreed = 8;

    /// <summary>The device can't go on: the driver has to begin anew.</summary>
    public const byte NeedsReset = 0x40;
}
