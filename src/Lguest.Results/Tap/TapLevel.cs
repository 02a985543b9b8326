namespace Lguest.Results.Tap;

/// <summary>One level of nested test output, while it is being read: a list of results, all with the same prefix.</summary>
/// <param name="prefix">What stands before each of its lines.</param>
internal sealed class TapLevel(string prefix)
{
    private readonly HashSet<long> _seen = [];

    /// <summary>What stands before each of its lines.</summary>
    public string Prefix => prefix;

    /// <summary>Whether the kernel's own rules hold here: each result has a number.</summary>
    public bool IsKtap { get; set; }

    /// <summary>The names of its results.</summary>
    public UniqueNames Names { get; init; } = new();

    /// <summary>Whether there was nothing yet but a version line and comments.</summary>
    public bool IsFresh => Plan is null && Cases.Count == 0;

    /// <summary>Whether nothing said that a list of results begins: its suite's results just came.</summary>
    public bool IsImplicit { get; init; }

    /// <summary>The name that its own header gives it, which is that of the result that closes it.</summary>
    public string? Name { get; set; }

    /// <summary>How many results were announced; null while that isn't known.</summary>
    public long? Plan { get; set; }

    /// <summary>Why nothing was planned.</summary>
    public string PlanReason { get; set; } = string.Empty;

    /// <summary>The test that said last that it runs; null if none did since the last result.</summary>
    public string? RunningName { get; set; }

    /// <summary>Results of a nested list that were read and still wait for the result that they belong to.</summary>
    public List<TestNode> Orphans { get; } = [];

    /// <summary>Whether such a list planned nothing, and why.</summary>
    public string? OrphansSkipped { get; set; }

    /// <summary>Whether a nested list was read whose suite has no result yet.</summary>
    public bool HasOrphans => Orphans.Count > 0 || OrphansSkipped is not null;

    /// <summary>The results so far.</summary>
    public List<TestNode> Cases { get; } = [];

    /// <summary>The number that the next result should have.</summary>
    public long Next { get; private set; } = 1;

    /// <summary>Whether it bailed out: what comes now isn't read.</summary>
    public bool BailedOut { get; set; }

    /// <summary>What was printed since the last result.</summary>
    public BoundedText Output { get; } = new();

    /// <summary>Whether all that was planned has its result.</summary>
    public bool IsComplete => Plan is { } plan && Next > plan;

    /// <summary>Marks a number as taken.</summary>
    /// <returns>What is wrong with it; null if nothing is.</returns>
    public string? Take(long number)
    {
        string? error = null;
        if (!_seen.Add(number))
        {
            error = $"number {number} comes twice";
        }
        else if (number != Next)
        {
            error = $"number {number} comes where {Next} should";
        }
        else if (Plan is { } plan && plan > 0 && number > plan)
        {
            error = $"number {number} goes beyond the plan of {plan}";
        }

        if (number > 0 && number < long.MaxValue)
        {
            Next = Math.Max(Next, number + 1);
        }

        return error;
    }

    /// <summary>The planned numbers that no result had, at most so many.</summary>
    public IEnumerable<long> Missing(int most)
    {
        long found = 0;
        for (long number = 1; number <= (Plan ?? 0) && found < most; number++)
        {
            if (!_seen.Contains(number))
            {
                found++;
                yield return number;
            }
        }
    }

    /// <summary>How many planned numbers no result had.</summary>
    public long MissingCount => Plan is { } plan ? plan - _seen.Count(number => number <= plan && number > 0) : 0;
}
