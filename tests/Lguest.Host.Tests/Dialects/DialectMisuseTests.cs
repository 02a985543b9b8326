namespace Lguest.Host.Tests.Dialects;

/// <summary>For each dialect kernels that do what none should: each ends as it is said, or goes on.</summary>
public sealed class DialectMisuseTests
{
    public static TheoryData<string> VirtioNames => [.. KnownDialects.All.Where(each => each.Devices != DeviceKind.Dma).Select(each => each.Id)];

    [Theory]
    [MemberData(nameof(KnownDialects.Names), MemberType = typeof(KnownDialects))]
    public void Calls_that_cannot_be_end_the_guest_with_a_sentence(string id) => TryAll(id, CallMisuse.Of);

    [Theory]
    [MemberData(nameof(VirtioNames))]
    public void Virtqueues_that_cannot_be_end_the_guest_with_a_sentence(string id) => TryAll(id, QueueMisuse.Of);

    private static void TryAll(string id, Func<Dialect, IEnumerable<Misuse>> all)
    {
        Dialect dialect = KnownDialects.Named(id);
        string[] wrong = [.. all(dialect).Select(each => each.Try(dialect)).OfType<string>()];
        Assert.True(wrong.Length == 0, string.Join('\n', wrong));
    }
}
