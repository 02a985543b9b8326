namespace Lguest.Suites;

/// <summary>A suite can't be run or merged as it is given. The message is one sentence that names the thing and the remedy, without a full stop.</summary>
public sealed class SuiteException : Exception
{
    /// <summary>Makes one.</summary>
    public SuiteException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one.</summary>
    public SuiteException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
