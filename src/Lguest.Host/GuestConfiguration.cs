using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Saving;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Host;

/// <summary>Which clock a guest has.</summary>
public enum ClockKind
{
    /// <summary>The host's time.</summary>
    Real,

    /// <summary>Time made of executed instructions; idle waits are skipped. A run can be repeated exactly.</summary>
    Virtual,
}

/// <summary>What executes a guest's instructions. It sees no difference, but of speed.</summary>
public enum EngineKind
{
    /// <summary>The translator for hot code where the host has it, the interpreter for the rest.</summary>
    Auto,

    /// <summary>The interpreter for everything.</summary>
    Interpreter,

    /// <summary>The translator from each block's first execution on.</summary>
    Translator,
}

/// <summary>All that makes one guest.</summary>
public sealed record GuestConfiguration
{
    /// <summary>Bytes of RAM: a multiple of 4096, not 0, at most <see cref="MemoryLayout.MostRam"/>.</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>What kind of kernel it is.</summary>
    public GuestAbi Abi { get; init; } = KnownAbis.Linux2623;

    /// <summary>
    /// Its devices in the guest's order, the console last; no more than its bus has room for, and made for the bus that the ABI names. The guest owns
    /// and disposes them.
    /// </summary>
    public IReadOnlyList<IGuestDevice> Devices { get; init; } = [];

    /// <summary>Which clock it has.</summary>
    public ClockKind Clock { get; init; } = ClockKind.Real;

    /// <summary>
    /// The date at its start, not before 1970; null: the host's date with the real clock,
    /// <see cref="VirtualClock.DefaultDate"/> with the virtual one.
    /// </summary>
    public DateTimeOffset? Date { get; init; }

    /// <summary>Its number among the guests that it shares a network with: MAC addresses come from it.</summary>
    public ushort GuestId { get; init; } = 1;

    /// <summary>What executes its instructions.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Auto;

    /// <summary>
    /// What it goes on from, in place of a start; all else is as in <see cref="SavedState.Configuration"/>. Null for a guest that
    /// begins.
    /// </summary>
    public SavedState? SavedState { get; init; }

    /// <summary>Where its processor and memory come from and go to, for guests that go on, one after another, from one saved state; null for its own.</summary>
    public KeptProcessor? Kept { get; init; }

    /// <summary>Makes loggers for the host layer.</summary>
    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;
}
