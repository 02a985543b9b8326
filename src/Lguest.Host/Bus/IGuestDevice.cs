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
    /// Looks whether there is anything to do: the guest has run for a while, or somebody asked for attention.
    /// </summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    void Service();

    /// <summary>A moment has come that the device asked for.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    void OnDue();
}
