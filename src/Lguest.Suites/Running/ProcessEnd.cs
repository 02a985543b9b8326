namespace Lguest.Suites.Running;

/// <summary>How a run of lguest has ended.</summary>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="IsStopped">Whether it was ended because that was wanted.</param>
/// <param name="Words">What is to be said of it if it has left no report; null for the last that it said itself.</param>
public sealed record ProcessEnd(int ExitCode, bool IsStopped, string? Words = null);
