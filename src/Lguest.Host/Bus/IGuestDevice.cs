namespace Lguest.Host.Bus;

/// <summary>The front end of a device: what makes a back end a device of the guest's bus.</summary>
/// <remarks>
/// All methods are called on the processor's thread, and none while another is in progress. Back ends' threads do no
/// more than ask for attention.
/// </remarks>
public interface IGuestDevice : IDisposable
{
    /// <summary>
    /// Whether what the guest sees of it can be the same in another run with virtual time. Else the world outside has a say,
    /// and time can't run ahead of it: idle waits aren't skipped.
    /// </summary>
    bool CanRepeat => true;

    /// <summary>
    /// What the guest takes it for, in words. A saved state goes on with devices of the same kinds only, so this names all that the
    /// guest has seen and that may not change.
    /// </summary>
    string Kind { get; }

    /// <summary>
    /// What must survive in a saved state, but for the device's pages: text of its own making. What the back end has in hand is
    /// finished first.
    /// </summary>
    string Save() => string.Empty;

    /// <summary>Takes what <see cref="Save"/> gave, once its pages are restored and before the guest runs.</summary>
    void Restore(string saved)
    {
    }

    /// <summary>
    /// Looks whether there is anything to do: the guest has run for a while, or somebody asked for attention.
    /// </summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    void Service();

    /// <summary>A moment has come that the device asked for.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    void OnDue();
}
