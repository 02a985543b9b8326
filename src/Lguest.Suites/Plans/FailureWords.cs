namespace Lguest.Suites.Plans;

/// <summary>The first words of fingerprints that aren't of a kernel's complaint, which begin with the complaint's class.</summary>
public static class FailureWords
{
    /// <summary>A test of the guest's test output: <c>test/SUITE.NAME</c>.</summary>
    public const string Test = "test";

    /// <summary>Test output that can't be right, or is missing.</summary>
    public const string TestOutput = "test-output";

    /// <summary>The guest's own status: <c>status/7</c>.</summary>
    public const string Status = "status";

    /// <summary>A limit: <c>limit/max-guest-time</c>.</summary>
    public const string Limit = "limit";

    /// <summary>Something that was expected, or forbidden.</summary>
    public const string Expectation = "expectation";

    /// <summary>A restart.</summary>
    public const string Restart = "restart";

    /// <summary>A death of which the kernel's log says nothing.</summary>
    public const string Died = "died";

    /// <summary>A breach of the ABI.</summary>
    public const string Abi = "abi";

    /// <summary>Another end than that of the same boot from its start.</summary>
    public const string ColdCheck = "cold-check";

    /// <summary>lguest itself.</summary>
    public const string Lguest = "lguest";

    private static readonly string[] All = [Test, TestOutput, Status, Limit, Expectation, Restart, Died, Abi, ColdCheck, Lguest];

    /// <summary>Whether a fingerprint is one of a kernel's complaint.</summary>
    public static bool IsComplaint(string fingerprint) => !All.Contains(fingerprint.Split('/')[0]);
}
