namespace Lguest.Cpu.Protection;

/// <summary>
/// The frame and the target of an exception or interrupt that a host delivers in place of the processor: see
/// <see cref="Processor.TryEnterGate"/>.
/// </summary>
public readonly record struct GateEntry
{
    /// <summary>The handler's code segment; its RPL becomes the privilege level.</summary>
    public ushort CodeSelector { get; init; }

    /// <summary>The handler's offset in that segment.</summary>
    public uint Offset { get; init; }

    /// <summary>Whether SS and ESP are loaded from below, and the old ones pushed.</summary>
    public bool SwitchStack { get; init; }

    /// <summary>The new SS, when the stack is switched; its RPL must be the code segment's.</summary>
    public ushort StackSelector { get; init; }

    /// <summary>The new ESP, when the stack is switched.</summary>
    public uint StackPointer { get; init; }

    /// <summary>The image of EFLAGS in the frame.</summary>
    public uint PushedEflags { get; init; }

    /// <summary>The error code in the frame, if the frame has one.</summary>
    public uint? ErrorCode { get; init; }

    /// <summary>Flags that are 0 in the handler (system flags, not arithmetic ones).</summary>
    public uint ClearEflags { get; init; }
}
