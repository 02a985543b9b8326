namespace Lguest.Results.Tap;

/// <summary>A test: a case, or a suite of them.</summary>
public sealed class TestNode
{
    private readonly List<TestNode> _children = [];

    internal TestNode(string name, long number)
    {
        Name = name;
        Number = number;
    }

    /// <summary>What it is called; unique among its siblings.</summary>
    public string Name { get; internal set; }

    /// <summary>Its number among its siblings, from 1 on.</summary>
    public long Number { get; }

    /// <summary>What became of it. That of a suite is a failure also when only one of its tests is.</summary>
    public TestStatus Status { get; internal set; } = TestStatus.Running;

    /// <summary>What was said of the result; empty if nothing was.</summary>
    public string Reason { get; internal set; } = string.Empty;

    /// <summary>What was printed while it ran: 64 KiB of the beginning and as much of the end.</summary>
    public string Output { get; internal set; } = string.Empty;

    /// <summary>The tests that it is made of; none for a case.</summary>
    public IReadOnlyList<TestNode> Children => _children;

    internal void Add(TestNode child) => _children.Add(child);

    internal void AddRange(IEnumerable<TestNode> children) => _children.AddRange(children);

    /// <summary>What a suite's tests say of it (ktap.rst: a test fails if any of its subtests does).</summary>
    internal void BubbleUp()
    {
        if (Status.IsFailure() || Status is TestStatus.Skipped or TestStatus.Todo or TestStatus.ExpectedFailure)
        {
            return;
        }

        if (_children.Find(child => child.Status.IsFailure()) is { } failed)
        {
            Status = failed.Status == TestStatus.TimedOut ? TestStatus.Failed : failed.Status;
            Reason = Reason.Length > 0 ? Reason : $"{failed.Name}: {failed.Status.ToWord()}";
        }
        else if (_children.Count > 0 && _children.TrueForAll(child => child.Status == TestStatus.Skipped))
        {
            Status = TestStatus.Skipped;
        }
    }
}
