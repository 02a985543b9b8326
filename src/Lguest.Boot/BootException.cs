namespace Lguest.Boot;

/// <summary>
/// A guest can't be started from what the user gave. The message is one sentence for that user: it names the
/// thing and the remedy.
/// </summary>
public sealed class BootException : Exception
{
    /// <summary>Makes one.</summary>
    /// <param name="message">The sentence, without a final full stop.</param>
    public BootException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one with what the host said.</summary>
    /// <param name="message">The sentence, without a final full stop.</param>
    /// <param name="innerException">What the host said.</param>
    public BootException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
