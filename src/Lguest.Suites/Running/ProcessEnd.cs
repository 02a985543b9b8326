namespace Lguest.Suites.Running;

/// <summary>How a run of lguest has ended.</summary>
/// <param name="ExitCode">Its exit code; 128 and its number for a signal that has ended the process, or the worker that ran it.</param>
/// <param name="IsStopped">Whether it was ended because that was wanted.</param>
public sealed record ProcessEnd(int ExitCode, bool IsStopped);
