using Lguest.Boot.Images;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Boot.Loading;

/// <summary>What is to be started, once it is known what it is.</summary>
/// <param name="Kernel">The kernel.</param>
/// <param name="Abi">What kind of guest it is.</param>
/// <param name="InitrdPath">An initial RAM disk, or null for none.</param>
/// <param name="CommandLine">The kernel's command line; what isn't text in it as <see cref="ByteText"/> has it.</param>
/// <param name="RandomSeed">What the kernel's random numbers begin with, if it looks for that; may be empty, at most 256 bytes.</param>
public sealed record BootRequest(
    KernelImage Kernel, GuestAbi Abi, string? InitrdPath, string CommandLine, ReadOnlyMemory<byte> RandomSeed = default)
{
    /// <summary>Opens the initrd (<see cref="FileOpener"/>).</summary>
    public Func<string, Stream> OpenFile { get; init; } = FileOpener.Open;

    /// <summary>Hears what the user should know, though the guest can be started: a sentence without a full stop.</summary>
    public Action<string> Warn { get; init; } = _ => { };
}

/// <summary>Puts a guest into memory: kernel, initrd, boot parameters and what its way of starting needs.</summary>
public static class BootLoader
{
    /// <summary>The most bytes that a kernel's command line can have.</summary>
    public const int MostCommandLine = BootParameters.CommandLineSize - 1;

    /// <summary>Finds out how a kernel is going to be entered.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="abi">What kind of guest it is.</param>
    /// <exception cref="BootException">It can't be entered as guests of that kind are.</exception>
    public static BootPlan Plan(KernelImage kernel, GuestAbi abi) => MethodOf(abi).Plan(kernel);

    /// <summary>Loads a guest.</summary>
    /// <param name="request">What to load.</param>
    /// <param name="memory">The guest's memory, zeroed.</param>
    /// <returns>How to enter it.</returns>
    /// <exception cref="BootException">
    /// Something the user gave is missing, malformed, not for this machine, or doesn't fit. Memory holds anything then.
    /// </exception>
    public static KernelEntry Load(BootRequest request, IBootMemory memory)
    {
        byte[] commandLine = BootParameters.EncodeCommandLine(request.CommandLine);
        if (memory.Size < BootParameters.EndOfReservedMemory)
        {
            throw new BootException($"no kernel fits into {MemorySize.Format(memory.Size)} of memory: give the guest more, for instance 64m");
        }

        KernelImage kernel = request.Kernel;
        BootPlan plan = Plan(kernel, request.Abi);
        ulong high = memory.HighRam.Aggregate(0ul, (sum, range) => sum + range.Length);
        if (plan.MostMemory is { } most && memory.Size + high > most)
        {
            throw new BootException(
                $"{kernel.Description} can use at most {MemorySize.Format(most)} of memory (its page offset is 0x{plan.PageOffset:x}), "
                + $"not {MemorySize.Format(memory.Size + high)}: give the guest less");
        }

        if (high != 0 && kernel.Configuration?.Has(KernelConfiguration.PhysicalAddressExtension) == false)
        {
            request.Warn(
                $"{kernel.Description} is built without CONFIG_{KernelConfiguration.PhysicalAddressExtension}: of the guest's {MemorySize.Format(memory.Size + high)} of memory "
                + $"it uses at most {MemorySize.Format(memory.Size)}");
        }

        LoadedKernel loaded = KernelLoader.Load(kernel, memory);
        LoadedRange? initrd = request.InitrdPath is null ? null : Initrd.Load(request.InitrdPath, request.OpenFile, memory, loaded.End);
        if (initrd is not null && InitrdSupport.Missing(kernel, request.InitrdPath!, memory.Slice(initrd.Address, initrd.Length)) is { } missing)
        {
            request.Warn(missing);
        }

        BootParameters.Write(memory, commandLine, initrd, plan.MemoryMap(memory), plan.SetupHeader);
        if (plan.TakesRandomSeed && !request.RandomSeed.IsEmpty)
        {
            BootParameters.WriteRandomSeed(memory, request.RandomSeed.Span);
        }

        return plan.Prepare(memory, loaded, initrd?.Address ?? memory.Size);
    }

    private static IBootMethod MethodOf(GuestAbi abi) => abi.Boot switch
    {
        BootMethod.LguestSignature => new LguestBoot(),
        BootMethod.Subarchitecture => new SubarchitectureBoot(abi.PageTables),
        BootMethod.UnpagedSubarchitecture => new SubarchitectureBoot(null),
        BootMethod.Boot32 => new LinuxBoot(),
        _ => throw new ArgumentOutOfRangeException(nameof(abi), abi.Boot, "No kernel is entered so."),
    };
}
