using System.Text;
using System.Xml.Linq;
using Lguest.Insight.Profiles;

namespace Lguest.Insight.Tests.Profiles;

/// <summary>Profiles: folded, drawn, compared.</summary>
public sealed class ProfileTests
{
    [Fact]
    public void What_is_written_folded_is_read_again()
    {
        Profile profile = Make((["a", "b"], 3), (["a"], 4), (["a", "b"], 5));
        string text = Folded(profile);
        Assert.Equal("a 4\na;b 8\n", text);
        var again = Profile.Read(new StringReader(text));
        Assert.Equal((12ul, text), (again.Total, Folded(again)));
        Assert.Equal([("a", 4ul), ("b", 8ul)], again.ByFunction.Select(each => (each.Key, each.Value)).Order());
    }

    [Theory]
    [InlineData("", "there is nothing in it")]
    [InlineData("a 0\n", "there is nothing in it")]
    [InlineData("a 4\nb\n", "line 2 is not a stack and a count")]
    [InlineData("a -4\n", "line 1 is not a stack and a count")]
    [InlineData(" 4\n", "line 1 is not a stack and a count")]
    [InlineData("a 18446744073709551615\nb 1\n", "line 2 is not a stack and a count")]
    [InlineData("\u007fELF\u0001 x", "line 1 is not a stack and a count")]
    public void What_is_no_profile_is_refused(string text, string message) =>
        Assert.Equal(message, Assert.Throws<FormatException>(() => Profile.Read(new StringReader(text))).Message);

    [Fact]
    public void The_picture_has_a_box_for_each_function_on_that_of_its_caller_and_as_wide_as_its_share()
    {
        Profile profile = Make((["start", "init"], 300), (["start", "idle"], 100), (["irq<\"&'>"], 0), (["user"], 600));
        using var output = new MemoryStream();
        FlameGraph.Write(profile, "A & B", output);
        var picture = XDocument.Parse(Encoding.UTF8.GetString(output.ToArray()));
        XNamespace svg = "http://www.w3.org/2000/svg";

        Dictionary<string, XElement> boxes = picture.Descendants(svg + "g").ToDictionary(g => g.Element(svg + "title")!.Value.Split(':')[0], g => g.Element(svg + "rect")!, StringComparer.Ordinal);
        Assert.Equal(["all", "idle", "init", "start", "user"], boxes.Keys.Order(StringComparer.Ordinal));
        Assert.Equal((1180, 354, 118, 708), (Number("all", "width"), Number("init", "width"), Number("idle", "width"), Number("user", "width")));
        Assert.Equal(Number("start", "x"), Number("idle", "x"));
        Assert.Equal(Number("idle", "x") + 118, Number("init", "x"));
        Assert.True(Number("init", "y") < Number("start", "y") && Number("start", "y") < Number("all", "y"));
        Assert.Contains(picture.Descendants(svg + "title"), title => title.Value == "init: 300 instructions, 30.00 %");
        Assert.Contains("A & B", picture.Root!.Value, StringComparison.Ordinal);

        double Number(string box, string attribute) => (double)boxes[box].Attribute(attribute)!;
    }

    [Fact]
    public void Names_are_text_in_the_picture_whatever_is_in_them()
    {
        using var output = new MemoryStream();
        FlameGraph.Write(Make((["</title><script>alert(1)</script>"], 5)), "t", output);
        var picture = XDocument.Parse(Encoding.UTF8.GetString(output.ToArray()));
        Assert.DoesNotContain(picture.Descendants(), element => element.Name.LocalName == "script");
    }

    [Fact]
    public void Deep_stacks_are_drawn_and_read()
    {
        Profile profile = Make(([.. Enumerable.Range(0, 64).Select(i => $"f{i}")], 1));
        using var output = new MemoryStream();
        FlameGraph.Write(profile, "t", output);
        Assert.Equal(65, XDocument.Parse(Encoding.UTF8.GetString(output.ToArray())).Descendants().Count(element => element.Name.LocalName == "g"));
    }

    [Fact]
    public void More_than_is_allowed_is_told_with_the_functions_it_is_in()
    {
        Profile before = Make((["a"], 1000), (["b"], 1000));
        Profile now = Make((["a"], 1200), (["x", "c"], 50), (["b"], 900));
        Assert.Null(ProfileComparison.Complaint(before, now, 7.5m, "old"));
        Assert.Equal(
            "the guest executed 2,150 instructions, 7.5 % more than the 2,000 in 'old', and 7.4 % are allowed; most of it in a (+200), c (+50)",
            ProfileComparison.Complaint(before, now, 7.4m, "old"));
        Assert.Null(ProfileComparison.Complaint(now, before, 0, "old"));
        Assert.Null(ProfileComparison.Complaint(now, now, 0, "old"));
    }

    [Theory]
    [InlineData(102_004, 2, "2.004")]
    [InlineData(102_050, 2, "2.1")]
    [InlineData(102_049, 2, "2.05")]
    [InlineData(100_001, 0, "0.001")]
    [InlineData(150_000, 2, "50.0")]
    public void The_share_that_is_told_is_more_than_what_is_allowed(ulong now, int allowed, string told) => Assert.Contains(
        $" {told} % more than the 100,000 in 'old', and {allowed} % are allowed",
        ProfileComparison.Complaint(Make((["a"], 100_000)), Make((["a"], now)), allowed, "old"),
        StringComparison.Ordinal);

    private static Profile Make(params (string[] Stack, ulong Count)[] samples)
    {
        var profile = new Profile();
        foreach ((string[] stack, ulong count) in samples.Where(sample => sample.Count > 0))
        {
            profile.Add(stack, count);
        }

        return profile;
    }

    private static string Folded(Profile profile)
    {
        using var output = new MemoryStream();
        profile.Write(output);
        return Encoding.UTF8.GetString(output.ToArray());
    }
}
