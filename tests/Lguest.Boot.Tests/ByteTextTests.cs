using System.Text;

namespace Lguest.Boot.Tests;

/// <summary>Bytes that are mostly text, as a string and back.</summary>
public class ByteTextTests
{
    [Fact]
    public void Any_bytes_come_back_as_they_were()
    {
        var random = new Random(16);
        byte[] likely = [.. "a\u00e4\u20ac\U0001f427"u8, 0x80, 0xbf, 0xc0, 0xed, 0xb2, 0x80, 0xef, 0xbf, 0xbd, 0xf4, 0xff];
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = [.. Enumerable.Range(0, random.Next(12)).Select(_ => likely[random.Next(likely.Length)])];

            string text = ByteText.Decode(bytes);

            Assert.True(bytes.SequenceEqual(ByteText.Encode(text)), Convert.ToHexString(bytes));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("root=/dev/lgba")]
    [InlineData("\u00e4\u20ac\U0001f427\ufffd")]
    public void Text_is_what_it_is_in_UTF8(string text)
    {
        Assert.Equal(text, ByteText.Decode(Encoding.UTF8.GetBytes(text)));
        Assert.Equal(Encoding.UTF8.GetBytes(text), ByteText.Encode(text));
    }

    [Fact]
    public void What_stands_for_no_byte_is_replaced_as_everywhere() =>
        Assert.Equal("\ufffda\ufffd\ufffd"u8.ToArray(), ByteText.Encode("\ud800a\udc7f\udd00"));
}
