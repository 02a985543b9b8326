using Lguest.Suites.Yaml;

namespace Lguest.Suites.Plans;

/// <summary>A suite as its file describes it.</summary>
/// <param name="Path">The file, as the user named it.</param>
/// <param name="Name">What it is called in results.</param>
/// <param name="Sha256">The hash of the file, in hexadecimal.</param>
/// <param name="Matrix">What each test is multiplied by.</param>
/// <param name="Tests">In the file's order, with the defaults in them.</param>
public sealed record SuiteFile(string Path, string Name, string Sha256, IReadOnlyList<MatrixAxis> Matrix, IReadOnlyList<SuiteTest> Tests);

/// <summary>One dimension of a suite's matrix.</summary>
/// <param name="Name">"kernel", "cmdline", "memory" or "seed".</param>
/// <param name="Values">In the file's order.</param>
public sealed record MatrixAxis(string Name, IReadOnlyList<AxisValue> Values);

/// <summary>A value of a dimension.</summary>
/// <param name="Name">What boots with it are called after.</param>
/// <param name="Settings">What it means for a boot.</param>
public sealed record AxisValue(string Name, BootSettings Settings);

/// <summary>A test of a suite.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Place">Where it is in the file.</param>
/// <param name="Settings">What its boots are like, before the matrix.</param>
/// <param name="Only">Of some dimensions, the values that it is for; all others it is for as a whole.</param>
public sealed record SuiteTest(string Name, TextPlace Place, BootSettings Settings, IReadOnlyDictionary<string, IReadOnlyList<string>> Only);
