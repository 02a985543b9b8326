namespace Lguest.Suites.Plans;

/// <summary>A failure that is known, and doesn't count until somebody has had the time to mend it.</summary>
/// <param name="Fingerprint">Which: the fingerprint of a complaint or of another failure, as results have it.</param>
/// <param name="Issue">Where it is being worked on.</param>
/// <param name="Until">The last day on which it doesn't count, UTC; null for ever.</param>
public sealed record KnownFailure(string Fingerprint, string Issue, DateOnly? Until)
{
    /// <summary>Whether it counts again.</summary>
    /// <param name="today">The day, UTC.</param>
    public bool HasExpired(DateOnly today) => Until < today;
}
