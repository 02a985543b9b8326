using System.Text.RegularExpressions;

namespace Lguest.Tests;

/// <summary>The documents name files; the files are there.</summary>
public sealed partial class TourTests
{
    public static TheoryData<string> Documents => ["README.md", "docs/tour.md", "docs/design.md", "docs/reference.md", "docs/suites.md", "docs/ci.md"];

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

    [Fact]
    public void The_tour_names_every_folder_of_the_sources()
    {
        string root = RepositoryRoot();
        string tour = File.ReadAllText(Path.Combine(root, "docs/tour.md"));
        IEnumerable<string> missing = Directory.EnumerateDirectories(Path.Combine(root, "src"), "*", SearchOption.AllDirectories)
            .Where(folder => Directory.EnumerateFiles(folder, "*.cs").Any())
            .Select(folder => Path.GetRelativePath(root, folder))
            .Where(folder => !folder.Split('/').Any(part => part is "bin" or "obj"))
            .Where(folder => !tour.Contains(folder + "/", StringComparison.Ordinal) && !tour.Contains($"`{folder}`", StringComparison.Ordinal));

        Assert.Empty(missing);
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
