using System.Diagnostics;
using System.Text;
using Lguest.Results.Matching;
using Lguest.Results.Outcomes;

namespace Lguest.Results.Tests;

public sealed class ConsoleMatcherTests
{
    [Theory]
    [InlineData("a\nb", "a", "b")]
    [InlineData("a\r\n\r\nb\r", "a", "", "b")]
    [InlineData("\u001b[31ma\u001b[0;1mb\u001b[K\n", "ab")]
    [InlineData("\u001b]0;t\u0007a\u001b]8;;x\u001b\\b\u001bPq\u001b\\c\u001b(0d\u001b7e\n", "abcde")]
    [InlineData("a\u001b]never ended\nb\u001b[\nc", "a", "b", "c")]
    [InlineData("a\u001b[3\u001b[31mb\n", "ab")]
    [InlineData("\u00e9t\u00e9 \U0001f436\n", "\u00e9t\u00e9 \U0001f436")]
    public void A_console_is_lines_of_text_however_it_comes(string shown, params string[] lines)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(shown);
        foreach (int size in (int[])[1, 2, 3, bytes.Length])
        {
            var read = new List<string>();
            var text = new ConsoleText(read.Add);
            foreach (byte[] piece in bytes.Chunk(size))
            {
                text.Write(piece);
            }

            text.Finish();
            Assert.Equal(lines, read);
        }
    }

    [Fact]
    public void Bytes_that_are_no_text_are_replaced_and_a_line_without_an_end_is_cut()
    {
        var read = new List<string>();
        var text = new ConsoleText(read.Add);
        text.Write([0xff, (byte)'a', 0xc3, (byte)'\n']);
        byte[] long100 = new byte[100_000];
        long100.AsSpan().Fill((byte)'x');
        for (int i = 0; i < 100; i++)
        {
            text.Write(long100);
        }

        text.Finish();

        Assert.Equal(["\ufffda\ufffd", new string('x', ConsoleText.LongestLine)], read);
    }

    [Fact]
    public void An_answer_is_looked_for_where_a_line_has_come_to()
    {
        var typed = new List<string>();
        var matcher = new ConsoleMatcher([], [], [Answer("login: $", "root"), Answer("login", "again"), Answer("#", "ls")]);
        matcher.Answered += text => typed.Add(Encoding.ASCII.GetString(text.Span));

        matcher.Write("lo"u8);
        matcher.Write("gin:"u8);
        Assert.Empty(typed);
        matcher.Write(" "u8);
        Assert.Equal(["root"], typed);
        matcher.Write("root\n"u8);
        Assert.Equal(["root"], typed);
        matcher.Write("last login: today\n/ # "u8);
        Assert.Equal(["root", "again", "ls"], typed);
    }

    [Theory]
    [InlineData(100, 100)]
    [InlineData(3_000, 1)]
    [InlineData(70_000, 1)]
    [InlineData(70_000, 70_000)]
    public void A_prompt_is_answered_however_much_of_its_line_is_before_it(int before, int pieceSize)
    {
        int typed = 0;
        var matcher = new ConsoleMatcher([], [], [Answer("^#|#$", "early"), Answer("^x|^#|more\\? $", "late")]);
        matcher.Answered += _ => typed++;
        foreach (byte[] piece in Encoding.ASCII.GetBytes('#' + new string('x', before)).Chunk(pieceSize))
        {
            matcher.Write(piece);
        }

        int early = typed;
        matcher.Write("\rmore? "u8);

        // In one piece, the beginning of a long line is never at its end.
        Assert.Equal((pieceSize > ConsoleMatcher.LongestPrompt ? (0, 0) : (1, 2)), (early, typed));
    }

    [Fact]
    public void No_line_and_no_expression_takes_long()
    {
        var matcher = new ConsoleMatcher([ConsolePattern.Parse("(a*)*b")], [ConsolePattern.Parse("(x+x+)+y")], [Answer("(a|aa)+$ ", "x")]);
        byte[] line = new byte[50_000];
        line.AsSpan().Fill((byte)'a');
        var time = Stopwatch.StartNew();
        foreach (byte[] piece in line.Chunk(10))
        {
            matcher.Write(piece);
        }

        RunFinding finding = Assert.Single(matcher.Finish());

        Assert.Equal(RunCondition.ExpectationFailed, finding.Condition);
        Assert.True(time.Elapsed < TimeSpan.FromMinutes(1), $"{time.Elapsed}");
    }

    [Fact]
    public void What_was_forbidden_is_told_harmlessly()
    {
        var matcher = new ConsoleMatcher([], [ConsolePattern.Parse("bad")], []);
        matcher.Write(Encoding.UTF8.GetBytes("bad\u0007" + new string('x', 1000) + "\nbad again\n"));

        RunFinding finding = Assert.Single(matcher.Finish());

        Assert.Equal("the console showed what --forbid=bad forbids: bad\\x07" + new string('x', 196) + "...", finding.Sentence);
    }

    private static ConsoleAnswer Answer(string pattern, string text) => new(ConsolePattern.Parse(pattern), Encoding.ASCII.GetBytes(text));
}
