namespace Lguest.Results.Reports;

/// <summary>A report can't be written; the message is for the user, without a full stop.</summary>
public sealed class ReportException : Exception
{
    /// <summary>Makes one.</summary>
    public ReportException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one.</summary>
    public ReportException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
