namespace Lguest.Cpu.Tests.Vendors;

/// <summary>Something that was tried on processors of more than one vendor.</summary>
/// <param name="Row">The row of the table.</param>
/// <param name="Name">The instruction and what it finds.</param>
/// <param name="OnHost">Tries it on the host's processor, and says what came of it; null where that can't be tried.</param>
/// <param name="OnOurs">The same on ours.</param>
internal sealed record VendorCase(string Row, string Name, Func<string?> OnHost, Func<string> OnOurs)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<VendorCase> All { get; } =
        [.. AlignmentCases.All, .. LengthCases.All, .. FloatingPointCases.All, .. LegacyCases.All];

    /// <inheritdoc />
    public override string ToString() => $"{Row}: {Name}";
}
