namespace Lguest.Host.Saving;

/// <summary>A saved state that can't be used, or a guest that can't be saved. The message is a sentence for the user.</summary>
public sealed class SavedStateException : Exception
{
    /// <summary>Makes one without a sentence.</summary>
    public SavedStateException()
    {
    }

    /// <summary>Makes one.</summary>
    /// <param name="message">What and why, without a full stop.</param>
    public SavedStateException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one that something else led to.</summary>
    /// <param name="message">What and why, without a full stop.</param>
    /// <param name="innerException">What led here.</param>
    public SavedStateException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
