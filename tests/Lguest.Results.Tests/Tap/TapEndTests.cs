using System.Text;
using Lguest.Results.Tap;

namespace Lguest.Results.Tests.Tap;

public sealed class TapEndTests
{
    private const string InTheSecondCaseOfASuite =
        """
        KTAP version 1
        1..3
        ok 1 first
            KTAP version 1
            # Subtest: suite
            1..4
            ok 1 a
            # b: begins
        """;

    [Theory]
    [InlineData(TapEnd.Crashed, "crashed")]
    [InlineData(TapEnd.LimitReached, "limit")]
    public void An_end_from_outside_belongs_to_the_first_unfinished_case_of_the_deepest_list(TapEnd end, string word)
    {
        TapParser parser = Parsed.Parse(InTheSecondCaseOfASuite, TapSource.Kernel, end, "it hung");

        Assert.Equal(
            $"""
            first: passed
            suite: {word} (it hung (in one of its tests))
              a: passed
              case 2: {word} (it hung)
              case 3: notrun (it was planned, and has no result)
              case 4: notrun (it was planned, and has no result)
            case 3: notrun (it was planned, and has no result)
            """,
            Parsed.Tree(parser));
        Assert.Contains("# b: begins", parser.Tests[1].Children[1].Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_suite_all_of_whose_tests_have_ended_crashed_itself()
    {
        AssertTree(
            "KTAP version 1\n1..2\n  KTAP version 1\n  # Subtest: s\n  1..1\n  ok 1 a",
            "s: crashed (oops)\n  a: passed\ncase 2: notrun (it was planned, and has no result)",
            TapEnd.Crashed);
    }

    [Fact]
    public void A_crash_before_the_first_case_is_of_the_first_case()
    {
        AssertTree("KTAP version 1\n1..1", "case 1: crashed (oops)", TapEnd.Crashed);
        AssertTree("KTAP version 1", "case 1: crashed (oops)", TapEnd.Crashed);
    }

    [Fact]
    public void A_crash_after_all_tests_belongs_to_none()
    {
        AssertTree("KTAP version 1\n1..1\nok 1 a", "a: passed", TapEnd.Crashed);
        AssertTree("    # Subtest: s\n    1..1\n    ok 1 a\nok 1 s", "s: passed\n  a: passed", TapEnd.Crashed);
        AssertTree("nothing", "", TapEnd.Crashed);
    }

    [Fact]
    public void Without_a_plan_there_may_have_been_more()
    {
        AssertTree("TAP version 13\nok 1 a", "a: passed\ncase 2: crashed (oops)", TapEnd.Crashed);
        AssertTree("TAP version 13\nok 1 a", "a: passed", TapEnd.Finished);
    }

    [Fact]
    public void Missing_cases_are_an_error()
    {
        AssertTree(
            "1..3\nok 1 a",
            "a: passed\ncase 2: notrun (it was planned, and has no result)\ncase 3: notrun (it was planned, and has no result)\n"
                + "! 2 of 3 planned results are missing");
        AssertTree(
            "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 a\nok 1 s",
            "s: notrun (case 2: notrun)\n  a: passed\n  case 2: notrun (it was planned, and has no result)\n"
                + "! case 1: 1 of 2 planned results are missing");
    }

    [Fact]
    public void A_suite_without_a_result_is_an_error()
    {
        AssertTree(
            "KTAP version 1\n1..2\n  KTAP version 1\n  # Subtest: s\n  1..1\n  ok 1 a\n  KTAP version 1\n  # Subtest: t\n  1..1\n  ok 1 a\nok 2 t",
            "s: error (it has no result)\n  a: passed\nt: passed\n  a: passed\n! s has no result");
        AssertTree(
            "KTAP version 1\n1..1\n    KTAP version 1\n    1..1\n        KTAP version 1\n        1..1\n        ok 1 a",
            "case 1: error (it has no result)\n  case 1: error (it has no result)\n    a: passed\n! case 1: case 1 has no result\n! case 1 has no result");
    }

    [Theory]
    [InlineData("ok 1 a\nok 3 b\nok 2 c\n1..3", "number 3 comes where 2 should", "number 2 comes where 4 should")]
    [InlineData("1..3\nok 1 a\nok 1 b\nok 2 c\nok 3 d", "number 1 comes twice")]
    [InlineData("1..1\nok 1 a\nok 2 b", "number 2 goes beyond the plan of 1")]
    [InlineData("ok 1 a\nok 2 b\n1..1", "there are 2 results, but the plan is 1..1")]
    [InlineData("1..1\n1..2\nok 1 a", "a second plan comes, 1..2 after 1..1")]
    [InlineData("1..1\nok 0 a\nok 1 b", "number 0 comes where 1 should")]
    [InlineData("1..99999999999999999999\nok 1 a", "a plan is larger than any number of tests")]
    [InlineData("KTAP version 3\n1..1\nok 1 a", "KTAP version 3 isn't known")]
    [InlineData("TAP version 12\n1..1\nok 1 a", "TAP version 12 isn't known")]
    [InlineData("KTAP version 1", "a list of results has neither a plan nor a result")]
    [InlineData("KTAP version 1\nKTAP version 1\n1..1\nok 1 a", "a list of results has neither a plan nor a result")]
    public void What_cannot_be_right_is_an_error(string text, params string[] errors)
    {
        TapParser parser = Parsed.Parse(text);

        Assert.Equal(errors, parser.Errors);
        Assert.True(parser.HasFailure);
    }

    [Fact]
    public void A_nested_list_of_nothing_is_an_error()
    {
        AssertTree(
            "TAP version 14\n1..1\n  # Subtest: suite\n  1..1\n    # Subtest: case\n  ok 1 - case\nok 1 - suite",
            "suite: error (case: error)\n  case: error (no tests: error)\n    no tests: error (neither a plan nor a result)\n"
                + "! suite.case: a list of results has neither a plan nor a result");
    }

    [Fact]
    public void A_program_that_bails_out_ends_its_own_tests()
    {
        AssertTree(
            "TAP version 13\n1..3\nok 1 a\nBail out! no memory\nok 2 b\nnot ok 3 c",
            "a: passed\ncase 2: crashed (bailed out: no memory)\ncase 3: notrun (it was planned, and has no result)");
    }

    [Fact]
    public void A_kselftest_that_bails_out_doesnt_end_its_runners_tests()
    {
        AssertTree(
            "TAP version 13\n1..2\n# selftests: a: b\n# TAP version 13\n# 1..2\n# Bail out! no memory\n# # Totals: pass:0\nnot ok 1 selftests: a: b # exit=1\nok 2 c",
            "selftests: a: b: failed (exit=1)\n  case 1: crashed (bailed out: no memory)\n  case 2: notrun (it was planned, and has no result)\nc: passed");
    }

    [Fact]
    public void After_a_program_that_bailed_out_another_list_may_come()
    {
        AssertTree(
            "TAP version 13\n1..1\nBail out!\nTAP version 13\n1..1\nok 1 a",
            "case 1: crashed (bailed out)\na: passed");
    }

    [Fact]
    public void A_plan_of_any_size_is_bounded_in_memory()
    {
        TapParser parser = Parsed.Parse("KTAP version 1\n1..9000000000000000000\nok 1 a");

        Assert.Equal(1002, parser.Tests.Count);
        Assert.Equal("and 8999999999999998999 more", parser.Tests[^1].Name);
        Assert.All(parser.Tests.Skip(1), test => Assert.Equal(TestStatus.NotRun, test.Status));
    }

    [Fact]
    public void Tests_without_end_are_bounded_in_memory_and_an_error()
    {
        var parser = new TapParser(TapSource.Command);
        for (int i = 1; i <= TapParser.MostTests + 10; i++)
        {
            parser.Line($"ok {i}");
        }

        parser.End(TapEnd.Finished);

        Assert.Equal(TapParser.MostTests, parser.Tests.Count);
        Assert.Equal([$"there are more than {TapParser.MostTests} tests: the rest is left out"], parser.Errors);
    }

    [Fact]
    public void Nesting_without_end_is_bounded()
    {
        var text = new StringBuilder();
        for (int depth = 0; depth < 1000; depth++)
        {
            text.Append(' ', depth * 2).Append("KTAP version 1\n");
        }

        TapParser parser = Parsed.Parse(text.ToString());

        Assert.Contains("tests are nested more than 32 deep", parser.Errors);
    }

    [Fact]
    public void Output_of_a_test_keeps_its_head_and_its_tail()
    {
        var parser = new TapParser(TapSource.Command);
        parser.Line("1..1");
        for (int i = 0; i < 100_000; i++)
        {
            parser.Line($"line {i}");
        }

        parser.Line("ok 1 a");
        string output = parser.Tests[0].Output;

        Assert.StartsWith("line 0\n", output, StringComparison.Ordinal);
        Assert.EndsWith("line 99999\n", output, StringComparison.Ordinal);
        Assert.Contains("characters left out", output, StringComparison.Ordinal);
        Assert.InRange(output.Length, BoundedText.DefaultLimit, (2 * BoundedText.DefaultLimit) + 100);
    }

    [Fact]
    public void A_line_of_a_gigabyte_is_bounded_and_whatever_bytes_are_in_it_are_text()
    {
        var lines = new List<string>();
        var splitter = new LineSplitter(lines.Add);
        byte[] block = new byte[1 << 20];
        Array.Fill(block, (byte)'x');
        for (int i = 0; i < 1024; i++)
        {
            splitter.Write(block);
        }

        splitter.Write("\nok\r\n\n"u8);
        splitter.Write([0xff, (byte)'a']);
        splitter.Finish();
        splitter.Finish();

        Assert.Equal([LineSplitter.MostBytes, 2, 0, 2], lines.Select(line => line.Length));
        Assert.Equal("\ufffda", lines[3]);
    }

    private static void AssertTree(string text, string expected, TapEnd end = TapEnd.Finished) =>
        Assert.Equal(expected, Parsed.Tree(Parsed.Parse(text, text.StartsWith(' ') ? TapSource.Kernel : TapSource.Command, end, end == TapEnd.Crashed ? "oops" : "")));
}
