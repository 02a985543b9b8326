namespace Lguest.Devices.Backends;

/// <summary>
/// A back end can't be had as the user asked. The message is one sentence for that user: it names the thing
/// and the remedy.
/// </summary>
public sealed class BackendException : Exception
{
    /// <summary>Makes one.</summary>
    /// <param name="message">The sentence, without a final full stop.</param>
    public BackendException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one with what the host said.</summary>
    /// <param name="message">The sentence, without a final full stop.</param>
    /// <param name="innerException">What the host said.</param>
    public BackendException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
