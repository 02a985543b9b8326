using System.Text;
using Lguest.Insight.Gdb;

namespace Lguest.Insight.Tests.Gdb;

/// <summary>Packets, whole and broken.</summary>
public sealed class GdbPacketTests
{
    [Theory]
    [InlineData("$OK#9a", "OK")]
    [InlineData("+$m0,4#fd", "m0,4")]
    [InlineData("$#00", "")]
    [InlineData("garbage $g#67 more", "g")]
    [InlineData("$half$g#67", "g")]
    [InlineData("$X0,2:}\u0003}]#7a", "X0,2:#}")]
    public void A_packet_is_found_among_whatever_else_comes(string sent, string packet)
    {
        var reader = new GdbPacketReader();
        Assert.Equal([GdbInput.Packet], Inputs(reader, sent));
        Assert.Equal(packet, reader.Packet);
    }

    [Theory]
    [InlineData("$g#68")]
    [InlineData("$g#zz")]
    [InlineData("$g}#e4")]
    public void A_damaged_one_is_refused_and_the_next_is_taken(string sent)
    {
        var reader = new GdbPacketReader();
        Assert.Equal([GdbInput.BadPacket, GdbInput.Packet], Inputs(reader, sent + "$?#3f"));
        Assert.Equal("?", reader.Packet);
    }

    [Fact]
    public void One_that_is_too_long_is_refused()
    {
        var reader = new GdbPacketReader();
        Assert.Equal([GdbInput.Packet], Inputs(reader, Frame(new string('a', GdbPacketReader.MostBytes))));
        Assert.Equal(GdbPacketReader.MostBytes, reader.Packet.Length);
        Assert.Equal([GdbInput.BadPacket, GdbInput.Packet], Inputs(reader, Frame(new string('a', GdbPacketReader.MostBytes + 1)) + "$g#67"));
    }

    [Fact]
    public void Signs_and_interrupts_are_told_outside_of_packets_alone() => Assert.Equal(
        [GdbInput.Retransmit, GdbInput.Interrupt, GdbInput.Packet], Inputs(new GdbPacketReader(), "-\u0003" + Frame("-\u0003")));

    [Fact]
    public void What_is_framed_is_read_again_whatever_bytes_it_has()
    {
        string all = string.Concat(Enumerable.Range(0, 256).Select(each => (char)each));
        var reader = new GdbPacketReader();
        Assert.Equal([GdbInput.Packet], Inputs(reader, Frame(all)));
        Assert.Equal(all, reader.Packet);
    }

    private static string Frame(string data) => Encoding.Latin1.GetString(GdbPacket.Frame(data));

    private static List<GdbInput> Inputs(GdbPacketReader reader, string sent) =>
        [.. Encoding.Latin1.GetBytes(sent).Select(reader.Take).Where(input => input != GdbInput.None)];
}
