namespace Lguest.Insight.Symbols;

/// <summary>Symbols can't be read; the message is for the user, without a full stop.</summary>
public sealed class SymbolException : Exception
{
    /// <summary>Makes one.</summary>
    public SymbolException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one.</summary>
    public SymbolException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
