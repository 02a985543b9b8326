namespace Lguest.Host;

/// <summary>
/// The guest has asked for something that can't be done: a structure outside its memory, a call it may not
/// make. The message says what and where, without a full stop; the run loop adds EIP and ends the guest.
/// </summary>
/// <remarks>It never crosses the processor's engines: hooks catch it and ask the run to stop.</remarks>
public sealed class GuestFaultException : Exception
{
    /// <summary>Makes a fault without a description.</summary>
    public GuestFaultException()
    {
    }

    /// <summary>Makes a fault.</summary>
    /// <param name="message">What and where, without a full stop.</param>
    public GuestFaultException(string message)
        : base(message)
    {
    }

    /// <summary>Makes a fault that another one led to.</summary>
    /// <param name="message">What and where, without a full stop.</param>
    /// <param name="innerException">What led here.</param>
    public GuestFaultException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Whether it is the kernel that is at an end by itself, as it would be on a machine, and no rule of the ABI that it broke.</summary>
    public bool IsDeath { get; init; }
}
