using Lguest.Cpu;
using Lguest.Cpu.Memory;

namespace Lguest.Host.Saving;

/// <summary>
/// Keeps the processor and the memory of a guest that went on from a saved state, for the next that goes on from the same: its memory is mapped
/// already, and code that no guest has written over is decoded and translated already. Nothing else of a guest stays.
/// </summary>
public sealed class KeptProcessor : IDisposable
{
    private Processor? _processor;
    private EngineKind _engine;

    /// <inheritdoc />
    public void Dispose() => Free(Take(_engine));

    /// <summary>Gives it away, as new.</summary>
    /// <param name="engine">What is to execute the guest.</param>
    /// <returns>Null if there is none.</returns>
    internal Processor? Take(EngineKind engine)
    {
        Processor? processor = _processor;
        _processor = null;
        if (engine == _engine)
        {
            return processor;
        }

        Free(processor);
        return null;
    }

    /// <summary>Takes it from a guest that is over.</summary>
    /// <param name="processor">Its processor, with its memory.</param>
    /// <param name="engine">What has executed the guest.</param>
    internal void Keep(Processor processor, EngineKind engine)
    {
        Dispose();
        if (TryRenew(processor.Memory))
        {
            processor.Renew();
            _processor = processor;
            _engine = engine;
        }
        else
        {
            Free(processor);
        }
    }

    /// <summary>A guest that is over has its result: that the host has no room to keep its memory takes nothing from it.</summary>
    private static bool TryRenew(PhysicalMemory memory)
    {
        try
        {
            return memory.TryRenew();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            return false;
        }
    }

    private static void Free(Processor? processor)
    {
        processor?.Dispose();
        processor?.Memory.Dispose();
    }
}
