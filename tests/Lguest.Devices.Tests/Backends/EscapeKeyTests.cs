using System.Text;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Tests.Backends;

/// <summary>^], and what the guest gets of what is typed after it.</summary>
public sealed class EscapeKeyTests
{
    [Theory]
    [InlineData("plain\u0003", "plain\u0003", "")]
    [InlineData("a\u001dpb", "ab", "\u001dp")]
    [InlineData("\u001d\u001d", "\u001d", "\u001d")]
    [InlineData("\u001d\u001d\u001d\u001d", "\u001d\u001d", "\u001d\u001d")]
    [InlineData("\u001dsbx", "\u000fbx", "\u001ds")]
    [InlineData("\u001ds\u001dx", "\u000f\u001dx", "\u001ds")]
    [InlineData("\u001d\u0003x", "x", "\u001d\u0003")]
    public void It_is_the_same_in_one_piece_or_many(string typed, string passed, string pressed)
    {
        Assert.Equal((passed, pressed), Filter(typed, typed.Length));
        Assert.Equal((passed, pressed), Filter(typed, 1));
    }

    private static (string Passed, string Pressed) Filter(string typed, int piece)
    {
        var pressed = new StringBuilder();
        var key = new EscapeKey(each => pressed.Append(each));
        string passed = string.Concat(Encoding.Latin1.GetBytes(typed).Chunk(piece).Select(each => Encoding.Latin1.GetString(key.Filter(each))));
        return (passed, pressed.ToString());
    }
}
