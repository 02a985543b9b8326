using System.Text.RegularExpressions;

namespace Lguest.Tests;

/// <summary>The documents name files; the files are there.</summary>
public sealed partial class TourTests
{
    public static TheoryData<string> Documents => ["README.md", "docs/tour.md", "docs/design.md", "docs/reference.md"];

    [Theory]
    [MemberData(nameof(Documents))]
    public void What_a_document_names_exists(string document)
    {
        string root = RepositoryRoot();
        IEnumerable<string> missing = PathPattern()
            .Matches(File.ReadAllText(Path.Combine(root, document)))
            .Select(match => match.Groups[1].Value)
            .Where(path => !Path.Exists(Path.Combine(root, path)));

        Assert.Empty(missing);
    }

    [Fact]
    public void The_tour_has_seven_parts_and_each_names_a_file()
    {
        string[] parts = File.ReadAllText(Path.Combine(RepositoryRoot(), "docs/tour.md")).Split("\n## ")[1..];

        Assert.Equal(7, parts.Length);
        Assert.All(parts, part => Assert.Matches(PathPattern(), part));
    }

    private static string RepositoryRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Lguest.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests run outside their repository.");
    }

    [GeneratedRegex("`((?:src|tests|docs|images)/[A-Za-z0-9_./-]+)`")]
    private static partial Regex PathPattern();
}
