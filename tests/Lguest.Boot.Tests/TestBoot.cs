using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Boot.Tests;

/// <summary>What became of a kernel.</summary>
/// <param name="Abi">What it was found to be.</param>
/// <param name="Entry">How it is entered.</param>
internal sealed record LoadedGuest(GuestAbi Abi, KernelEntry Entry);

/// <summary>All that is done to a kernel before it runs.</summary>
internal static class TestBoot
{
    public static LoadedGuest Load(
        string kernel, IBootMemory memory, string? initrd = null, string commandLine = "", ReadOnlyMemory<byte> randomSeed = default)
    {
        using KernelImage image = KernelImage.Open(kernel);
        return Load(image, memory, initrd, commandLine, randomSeed);
    }

    public static LoadedGuest Load(
        KernelImage image, IBootMemory memory, string? initrd = null, string commandLine = "", ReadOnlyMemory<byte> randomSeed = default)
    {
        GuestAbi abi = Dialect.Detect(image).Abi;
        return new LoadedGuest(abi, BootLoader.Load(new BootRequest(image, abi, initrd, commandLine, randomSeed), memory));
    }
}
