using System.Numerics;

namespace Lguest.Host.Traps;

/// <summary>
/// IRQs 0 to 31: which are pending, and when one may reach the guest. Raising one twice before it is delivered
/// is raising it once. The lowest goes first.
/// </summary>
public sealed class InterruptController
{
    /// <summary>IRQ lines of a guest.</summary>
    public const int Lines = 32;

    private readonly LguestData _data;
    private readonly GuestClock _clock;
    private readonly ulong[] _delivered = new ulong[Lines];

    /// <summary>Makes a controller with nothing pending.</summary>
    /// <param name="data">Has the guest's mask.</param>
    /// <param name="clock">Gives the date that is refreshed with each interrupt.</param>
    public InterruptController(LguestData data, GuestClock clock)
    {
        _data = data;
        _clock = clock;
    }

    /// <summary>Bit n is set while IRQ n is pending.</summary>
    public uint Pending { get; private set; }

    /// <summary>How often each IRQ was delivered.</summary>
    public IReadOnlyList<ulong> Delivered => _delivered;

    /// <summary>Whether the guest sleeps until an interrupt can be delivered.</summary>
    public bool IsHalted { get; set; }

    /// <summary>The state to save.</summary>
    public InterruptState State
    {
        get => new(Pending, IsHalted);
        set => (Pending, IsHalted) = (value.Pending, value.IsHalted);
    }

    /// <summary>Makes an IRQ pending.</summary>
    /// <param name="irq">0 to 31.</param>
    public void Raise(int irq)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)irq, (uint)Lines, nameof(irq));
        Pending |= 1u << irq;
    }

    /// <summary>Whether the guest blocks an IRQ. One that hasn't said where its mask is blocks none.</summary>
    public bool IsBlocked(int irq) => _data.IsPresent && (_data.BlockedInterrupts & (1u << irq)) != 0;

    /// <summary>Whether something is pending that the guest could be waiting for: worth looking again soon.</summary>
    public bool IsWaiting(TrapPolicy traps) => (Pending & traps.OpenLines) != 0;

    /// <summary>Whether something is pending that the guest doesn't block, though it may have interrupts switched off.</summary>
    public bool HasUnblocked(TrapPolicy traps) => Candidates(traps) != 0;

    /// <summary>Whether an interrupt can be delivered now.</summary>
    public bool CanDeliver(TrapPolicy traps) => HasUnblocked(traps) && traps.AcceptsInterrupts;

    /// <summary>Delivers the lowest IRQ that can be delivered now, if any.</summary>
    /// <exception cref="GuestFaultException">The handler can't be entered.</exception>
    public bool TryDeliver(TrapPolicy traps)
    {
        if (!CanDeliver(traps))
        {
            return false;
        }

        int irq = BitOperations.TrailingZeroCount(Candidates(traps));
        Pending &= ~(1u << irq);
        _delivered[irq]++;
        _data.WriteWallClock(_clock.WallTime);
        traps.EnterInterrupt(irq);
        return true;
    }

    private uint Candidates(TrapPolicy traps) =>
        Pending == 0 || !_data.IsPresent ? 0 : Pending & ~_data.BlockedInterrupts & traps.OpenLines;
}

/// <summary>The saved state of interrupts.</summary>
/// <param name="Pending">Bit n is set while IRQ n is pending.</param>
/// <param name="IsHalted">Whether the guest sleeps.</param>
public sealed record InterruptState(uint Pending, bool IsHalted);
