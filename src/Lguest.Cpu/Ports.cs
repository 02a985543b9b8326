namespace Lguest.Cpu;

/// <summary>The machine's side of IN and OUT.</summary>
public interface IPortHandler
{
    /// <summary>Answers IN (and INS): the value in the low <paramref name="size"/> bytes.</summary>
    /// <param name="port">0 to 65535.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    uint Read(ushort port, int size);

    /// <summary>Takes OUT (and OUTS).</summary>
    /// <param name="port">0 to 65535.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <param name="value">The low <paramref name="size"/> bytes count.</param>
    void Write(ushort port, int size, uint value);
}

/// <summary>A bus with nothing on it: reads are all ones, writes go nowhere.</summary>
public sealed class OpenBus : IPortHandler
{
    /// <summary>The only one needed.</summary>
    public static OpenBus Instance { get; } = new();

    /// <inheritdoc />
    public uint Read(ushort port, int size) => uint.MaxValue;

    /// <inheritdoc />
    public void Write(ushort port, int size, uint value)
    {
    }
}

/// <summary>The clock behind RDTSC.</summary>
public interface ITimeStampClock
{
    /// <summary>The counter's value at an instruction.</summary>
    /// <param name="retired">Instructions retired before the one that asks.</param>
    ulong Read(ulong retired);
}

/// <summary>Sees instructions before they execute.</summary>
public interface IInstructionTracer
{
    /// <summary>
    /// Called before the instruction at CS:EIP executes, with the state as it finds it.
    /// </summary>
    /// <param name="processor">The processor.</param>
    /// <param name="code">The instruction's bytes, as far as they could be fetched (15 at most).</param>
    void OnInstruction(Processor processor, ReadOnlySpan<byte> code);
}

/// <summary>Events counted since reset.</summary>
public sealed class ProcessorStatistics
{
    /// <summary>Page faults raised, those that a hook dealt with included.</summary>
    public ulong PageFaults { get; internal set; }

    /// <summary>Exceptions raised of any kind, INT n included.</summary>
    public ulong Exceptions { get; internal set; }

    /// <summary>Blocks of code decoded.</summary>
    public ulong BlocksDecoded { get; internal set; }

    /// <summary>Blocks dropped because their bytes were written.</summary>
    public ulong BlocksInvalidated { get; internal set; }

    /// <summary>Page walks.</summary>
    public ulong PageWalks { get; internal set; }

    /// <summary>Counts from 0 again.</summary>
    internal void Clear() => PageFaults = Exceptions = BlocksDecoded = BlocksInvalidated = PageWalks = 0;
}
