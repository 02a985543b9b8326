namespace Lguest.Host;

/// <summary>How the guest ended. Of several ends that are reported, the first counts.</summary>
public sealed class GuestEnding
{
    /// <summary>How the guest ended; null while it hasn't.</summary>
    public GuestOutcome? Outcome { get; private set; }

    /// <summary>Whether the guest is over.</summary>
    public bool IsOver => Outcome is not null;

    /// <summary>Ends the guest, unless it is over already.</summary>
    public void End(GuestOutcome outcome) => Outcome ??= outcome;

    /// <summary>Ends the guest because it did what it may not.</summary>
    /// <param name="sentence">What and where, without a full stop.</param>
    /// <param name="eip">The guest's EIP.</param>
    public void Kill(string sentence, uint eip) => End(new GuestOutcome.Killed($"{sentence} (EIP 0x{eip:x8})"));
}
