using Lguest.Boot.Compression;
using Lguest.Boot.Images;

namespace Lguest.Boot.Loading;

/// <summary>Whether a kernel can unpack an initrd: its configuration tells, or its symbols do.</summary>
public static class InitrdSupport
{
    private const string Initrd = "BLK_DEV_INITRD";

    // Until then, gzip was all there was, and nothing to configure.
    private static readonly KernelRelease FirstWithChoice = new(2, 6, 30);

    /// <summary>The compressions that a kernel can unpack an initrd from, in the words of its configuration; null when nobody knows.</summary>
    public static IReadOnlyList<string>? Compressions(KernelImage kernel) => kernel.Configuration is null && kernel.Symbols is null
        ? null
        : [.. CompressionFormat.All.Where(format => CanUnpack(kernel, format) == true).Select(format => format.Name)];

    /// <summary>Says in a sentence what a kernel lacks for an initrd; null when it lacks nothing, or nothing is known of it.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="path">The initrd, as the user named it.</param>
    /// <param name="contents">Its contents.</param>
    internal static string? Missing(KernelImage kernel, string path, ReadOnlySpan<byte> contents)
    {
        // Of one that isn't compressed nothing is asked: to read a configuration takes milliseconds.
        if (CompressionFormat.Of(contents) is not { } compression)
        {
            return null;
        }

        if (kernel.Configuration?.Has(Initrd) == false)
        {
            return $"initrd '{path}' will not be used, because {kernel.Description} was built without CONFIG_{Initrd}: "
                + "build it with that, or use --block";
        }

        return CanUnpack(kernel, compression) != false
            ? null
            : $"initrd '{path}' is compressed with {compression.Name}, which {kernel.Description} was built without "
                + $"(CONFIG_RD_{compression.Name.ToUpperInvariant()}): {Remedy(kernel)}";
    }

    private static string Remedy(KernelImage kernel)
    {
        IReadOnlyList<string> choices = Compressions(kernel) ?? [];
        return choices.Count > 0 ? $"compress it with {string.Join(" or ", choices)}, or not at all" : "don't compress it";
    }

    // Null: nobody knows.
    private static bool? CanUnpack(KernelImage kernel, CompressionFormat compression)
    {
        if (kernel.Release is { } release && release < FirstWithChoice)
        {
            return compression == CompressionFormat.Gzip;
        }

        return kernel.Configuration is { } configuration
            ? configuration.Has($"RD_{compression.Name.ToUpperInvariant()}")
            : kernel.Symbols?.TryFind(compression.KernelFunction, out _);
    }
}
