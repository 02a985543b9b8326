namespace Lguest.Suites.Plans;

/// <summary>All boots of a suite.</summary>
public static class SuitePlan
{
    private const int MostBoots = 100_000;

    /// <summary>Multiplies each test by the matrix. The last dimension changes fastest.</summary>
    /// <exception cref="SuiteException">There is none, or there are too many.</exception>
    public static IReadOnlyList<PlannedBoot> Of(SuiteFile suite)
    {
        var boots = new List<PlannedBoot>();
        foreach (SuiteTest test in suite.Tests)
        {
            foreach (List<(string Axis, AxisValue Value)> combination in Combinations(suite.Matrix, test, 0))
            {
                if (boots.Count == MostBoots)
                {
                    throw new SuiteException($"'{suite.Path}' has more than {MostBoots} boots: make several suites of it");
                }

                string suffix = combination.Count > 0 ? $"[{string.Join(',', combination.Select(choice => $"{choice.Axis}={choice.Value.Name}"))}]" : string.Empty;
                boots.Add(new PlannedBoot(
                    boots.Count,
                    test.Name + suffix,
                    test.Name,
                    test.Place,
                    [.. combination.Select(choice => KeyValuePair.Create(choice.Axis, choice.Value.Name))],
                    combination.Aggregate(test.Settings, (settings, choice) => choice.Value.Settings.Over(settings))));
            }
        }

        return boots.Count > 0 ? boots : throw new SuiteException($"'{suite.Path}' has no boots: a dimension of its matrix, or its list of tests, is empty");
    }

    private static IEnumerable<List<(string Axis, AxisValue Value)>> Combinations(IReadOnlyList<MatrixAxis> matrix, SuiteTest test, int from)
    {
        if (from == matrix.Count)
        {
            yield return [];
            yield break;
        }

        MatrixAxis axis = matrix[from];
        IReadOnlyList<string>? only = test.Only.GetValueOrDefault(axis.Name);
        foreach (AxisValue value in axis.Values.Where(value => only is null || only.Contains(value.Name)))
        {
            foreach (List<(string Axis, AxisValue Value)> rest in Combinations(matrix, test, from + 1))
            {
                yield return [(axis.Name, value), .. rest];
            }
        }
    }
}
