using Lguest.Boot.Images;

namespace Lguest.Inspecting;

/// <summary>A driver that a kernel needs for a kind of device of lguest's.</summary>
/// <param name="Devices">What it drives.</param>
/// <param name="Options">What configures it, by dialect: each of them, where the kernel's configuration knows it.</param>
/// <param name="Functions">Functions in it that only it has.</param>
internal sealed record GuestDriver(string Devices, string[] Options, string[] Functions)
{
    /// <summary>All of them: those of the patch in images/linux, of 2.6.23, and of later lguests.</summary>
    public static IReadOnlyList<GuestDriver> All { get; } =
    [
        new("console", ["LGUEST_CONSOLE", "HVC_DRIVER", "VIRTIO_CONSOLE"], ["lguest_console_probe", "lguestcons_probe", "virtcons_probe"]),
        new("disks", ["LGUEST_BLOCK", "VIRTIO_BLK"], ["lguest_block_probe", "lguestblk_probe", "virtblk_probe"]),
        new("networks", ["LGUEST_NET", "VIRTIO_NET"], ["lguest_net_probe", "lguestnet_probe", "virtnet_probe"]),
    ];

    /// <summary>Whether a kernel has it: <c>yes</c>, <c>module</c> or <c>no</c>; null when the kernel doesn't tell.</summary>
    public string? In(KernelImage kernel)
    {
        const string Yes = "yes";
        const string Module = "module";
        const string No = "no";
        if (kernel.Configuration is { } configuration)
        {
            string?[] values = [.. Options.Select(option => configuration[option])];
            return values.Contains("y") ? Yes : values.Contains("m") ? Module : No;
        }

        return kernel.Symbols is { } symbols
            ? Functions.Any(function => symbols.TryFind(function, out _)) ? Yes : No
            : null;
    }
}
