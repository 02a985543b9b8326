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

    /// <summary>Ends the guest because of a fault that it can't go on from.</summary>
    /// <param name="fault">What and where.</param>
    /// <param name="eip">The guest's EIP.</param>
    public void End(GuestFaultException fault, uint eip)
    {
        string sentence = $"{fault.Message} (EIP 0x{eip:x8})";
        End(fault.IsDeath ? new GuestOutcome.Died(sentence) : new GuestOutcome.Killed(sentence));
    }
}
