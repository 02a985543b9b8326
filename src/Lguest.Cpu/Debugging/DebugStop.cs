namespace Lguest.Cpu.Debugging;

/// <summary>What stopped the processor for its debugger.</summary>
public enum DebugStopKind
{
    /// <summary>The next instruction has a breakpoint. It hasn't executed.</summary>
    Instruction,

    /// <summary>The last instruction, or step of a REP, has read watched bytes.</summary>
    Read,

    /// <summary>The last instruction, or step of a REP, has written watched bytes, and perhaps read them too.</summary>
    Write,

    /// <summary>An exception has been delivered: its handler's first instruction comes next.</summary>
    Exception,
}

/// <summary>A stop for the debugger.</summary>
/// <param name="Kind">What it is for.</param>
/// <param name="Address">
/// Linear: of the instruction, or of the first byte that a watchpoint has of those that were accessed. For an exception, its vector.
/// </param>
public readonly record struct DebugStop(DebugStopKind Kind, uint Address);

/// <summary>Bytes to watch.</summary>
/// <param name="Address">Linear address of the first.</param>
/// <param name="Length">How many, at least 1.</param>
/// <param name="OnRead">Whether reading them counts.</param>
/// <param name="OnWrite">Whether writing them counts.</param>
public readonly record struct Watchpoint(uint Address, uint Length, bool OnRead, bool OnWrite);
