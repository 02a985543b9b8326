namespace Lguest.Running.Debugging;

/// <summary>Who keeps a guest from running, and what is said to others who want something of it meanwhile.</summary>
/// <remarks>The processor's thread takes and releases it; any may look.</remarks>
internal sealed class GuestHold
{
    private volatile string? _sentence;

    /// <summary>What to say to who wants something of the guest; null while it runs.</summary>
    public string? Sentence => _sentence;

    /// <summary>Takes the guest.</summary>
    /// <param name="sentence">Who has it, and how it goes on.</param>
    /// <returns>Gives it back.</returns>
    public IDisposable Take(string sentence)
    {
        _sentence = sentence;
        return new Holder(this);
    }

    private sealed class Holder(GuestHold hold) : IDisposable
    {
        public void Dispose() => hold._sentence = null;
    }
}
