using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>Hears how a suite gets on. Any thread may tell it.</summary>
public interface ISuiteProgress
{
    /// <summary>An attempt begins.</summary>
    /// <param name="boot">The boot.</param>
    /// <param name="attempt">From 1.</param>
    void Started(PlannedBoot boot, int attempt);

    /// <summary>A boot is over.</summary>
    /// <param name="result">What became of it.</param>
    void Finished(BootResult result);
}
