using System.Xml.Linq;
using Lguest.Cpu;
using Lguest.Cpu.Debugging;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Insight.Gdb;

namespace Lguest.Insight.Tests.Gdb;

/// <summary>What a debugger is answered, and what can't hurt.</summary>
public sealed class GdbSessionTests : IDisposable
{
    private const uint PageOffset = 0xc000_0000;
    private const uint MemoryBytes = 0x10_0000;

    private readonly PhysicalMemory _memory = new();
    private readonly Processor _processor;
    private readonly GdbSession _session;

    public GdbSessionTests()
    {
        _memory.AddRam(0, MemoryBytes);
        _processor = new Processor(_memory);
        _session = new GdbSession(_processor, _memory, PageOffset) { Monitor = command => $"<{command}>" };
    }

    public void Dispose()
    {
        _processor.Dispose();
        _memory.Dispose();
    }

    [Fact]
    public void The_description_has_each_register_at_its_number_and_with_its_size()
    {
        string reply = Ask("qXfer:features:read:target.xml:0,ffff");
        Assert.Equal('l', reply[0]);
        XElement[] registers = [.. XDocument.Parse(reply[1..].Replace("<!DOCTYPE target SYSTEM \"gdb-target.dtd\">", string.Empty, StringComparison.Ordinal)).Descendants("reg")];

        Assert.Equal(Enumerable.Range(0, registers.Length), registers.Select(register => (int)register.Attribute("regnum")!));
        Assert.All(registers, register => Assert.Equal((int)register.Attribute("bitsize")! / 4, Ask($"p{(int)register.Attribute("regnum")!:x}").Length));
        Assert.Equal(registers.Sum(register => (int)register.Attribute("bitsize")! / 4), Ask("g").Length);
        Assert.Equal(("eip", "gs", "st7", "fop", "xmm7", "mxcsr"), (Name(8), Name(15), Name(23), Name(31), Name(39), Name(40)));

        string Name(int number) => (string)registers[number].Attribute("name")!;
    }

    [Fact]
    public void A_description_comes_in_pieces_of_the_size_that_is_wanted()
    {
        string whole = Ask("qXfer:features:read:target.xml:0,ffff")[1..];
        Assert.Equal("m" + whole[..16], Ask("qXfer:features:read:target.xml:0,10"));
        Assert.Equal("l" + whole[^1..], Ask($"qXfer:features:read:target.xml:{whole.Length - 1:x},10"));
        Assert.Equal("l", Ask($"qXfer:features:read:target.xml:{whole.Length:x},10"));
        Assert.Equal("E01", Ask($"qXfer:features:read:target.xml:{whole.Length + 1:x},10"));
        Assert.Equal("E00", Ask("qXfer:features:read:other.xml:0,10"));
    }

    [Fact]
    public void Registers_are_read_and_written_in_gdbs_order()
    {
        for (int i = 0; i < 8; i++)
        {
            _processor.State.SetGeneral(i, 0x1122_3300u + (uint)i);
        }

        Assert.Equal("0033221101332211023322110333221104332211053322110633221107332211", Ask("g")[..64]);
        Assert.Equal("OK", Ask("P8=78563412"));
        Assert.Equal("OK", Ask("P3=efbeadde"));
        Assert.Equal((0x1234_5678u, 0xdead_beefu), (_processor.State.Eip, _processor.State.Ebx));

        // Reserved bits of EFLAGS and VM stay as they are.
        Assert.Equal("OK", Ask("P9=ffffffff"));
        Assert.Equal(0x003d_7fd7u, _processor.Eflags);

        // A selector alone can't be changed, nor a control register; their own values are no change.
        string cs = Ask("pa");
        Assert.Equal("OK", Ask($"Pa={cs}"));
        Assert.Equal("E01", Ask("Pa=34120000"));
        Assert.Equal("E01", Ask("P29=00000000"));
    }

    [Fact]
    public void Floating_point_registers_keep_what_is_written()
    {
        const string Ten = "00000000000000a00240";
        Assert.Equal("OK", Ask($"P10={Ten}"));
        Assert.Equal(Ten, Ask("p10"));
        Assert.Equal("ffff0000", Ask("p1a"));
        Assert.Equal("OK", Ask("P1a=fcff0000"));
        Assert.Equal("fcff0000", Ask("p1a"));
        Assert.Equal("OK", Ask("P21=000102030405060708090a0b0c0d0e0f"));
        Assert.Equal("000102030405060708090a0b0c0d0e0f", Ask("p21"));
        Assert.Equal("OK", Ask("P28=ffffffff"));
        Assert.Equal("ffff0000", Ask("p28"));
        Assert.Equal("OK", Ask("P18=7f020000"));
        Assert.Equal("7f020000", Ask("p18"));
    }

    [Fact]
    public void All_registers_written_as_they_were_read_are_as_they_were()
    {
        _processor.State.Esi = 77;
        string all = Ask("g");
        _processor.State.Esi = 0;
        Assert.Equal("OK", Ask("G" + all));
        Assert.Equal(all, Ask("g"));
        Assert.Equal("E01", Ask("G" + all[2..]));
    }

    [Fact]
    public void Memory_is_read_as_far_as_there_is_any_and_written_whole_or_not_at_all()
    {
        Assert.Equal("OK", Ask("Mffffe,2:abcd"));
        Assert.Equal("abcd", Ask("mffffe,10"));
        Assert.Equal("E14", Ask("m100000,4"));
        Assert.Equal("E14", Ask("Mfffff,2:1122"));
        Assert.Equal("cd", Ask("mfffff,1"));
        Assert.Equal("OK", Ask("X10,3:\u0001\u00ffz"));
        Assert.Equal("01ff7a", Ask("m10,3"));
        Assert.Equal("OK", Ask("X10,0:"));

        // The kernel's own addresses, before it has page tables.
        Assert.Equal("01ff7a", Ask("mc0000010,3"));
        Assert.Equal("OK", Ask("Mc0000011,1:00"));
        Assert.Equal("01007a", Ask("m10,3"));
    }

    [Fact]
    public void What_the_page_tables_do_not_map_is_an_error_once_there_are_any()
    {
        // One page, at 0x1000 and where the kernel is: 0xc0001000.
        const uint Directory = 0x4000;
        const uint Table = 0x5000;
        foreach (uint entry in (uint[])[0, 4 * (PageOffset >> 22)])
        {
            _memory.Write(Directory + entry, BitConverter.GetBytes(Table | 3));
        }

        _memory.Write(Table + 4, BitConverter.GetBytes(0x1003u));
        Assert.Equal("OK", Ask("Mc0002000,1:aa"));
        _memory.Write(0x1000, [0x0f, 0x22, 0xd8, 0x0f, 0x22, 0xc1]); // MOV CR3, EAX; MOV CR0, ECX.
        _processor.State.Eax = Directory;
        _processor.State.Ecx = _processor.ReadControlRegister(0) | Cr0.Pg;
        _processor.State.Eip = 0x1000;
        Assert.Equal(StopReason.InstructionLimit, _processor.Run(2));

        Assert.Equal("0f", Ask("mc0001000,1"));
        Assert.Equal(("E14", "E14"), (Ask("mc0002000,1"), Ask("Mc0002000,1:bb")));
        Assert.Equal(("E14", "E14"), (Ask("mf8000000,1"), Ask("Mf8000000,1:bb")));
        Assert.Equal(0xaa, _memory.Span(0x2000, 1)[0]);
    }

    [Fact]
    public void A_breakpoint_is_stepped_over_where_the_guest_has_stopped_and_met_where_the_debugger_has_moved_it()
    {
        _memory.Write(0x1000, [0x40, 0x40, 0x40, 0x40]);
        _processor.State.Eip = 0x1000;
        _session.Stop(5, null);
        Assert.Equal(("OK", "OK"), (Ask("Z0,1000,1"), Ask("Z0,1002,1")));
        _session.Arm();
        Assert.Equal((StopReason.Debug, 0x1002u), (_processor.Run(10), _processor.State.Eip));
        _session.Stop(5, _processor.Stops.Last);

        Assert.Equal("OK", Ask("P8=00100000"));
        _session.Arm();
        Assert.Equal((StopReason.Debug, 0x1000u, 2u), (_processor.Run(10), _processor.State.Eip, _processor.State.Eax));
        _session.Stop(5, _processor.Stops.Last);

        // By the packet that goes on, too; and back where a breakpoint was stepped over before.
        Assert.Equal(GdbReaction.Continue, _session.Handle("c1002", out _));
        _session.Arm();
        Assert.Equal((StopReason.Debug, 0x1002u, 2u), (_processor.Run(10), _processor.State.Eip, _processor.State.Eax));
    }

    [Fact]
    public void A_write_to_code_is_seen_by_what_was_decoded_from_it()
    {
        // INC EAX, and then INC ECX.
        _memory.Write(0x1000, [0x40]);
        _processor.State.Eip = 0x1000;
        _processor.Run(1);
        Ask("M1000,1:41");
        Ask("P8=00100000");
        _processor.Run(1);
        Assert.Equal((1u, 1u), (_processor.State.Eax, _processor.State.Ecx));
    }

    [Fact]
    public void A_stop_at_a_breakpoint_is_named_if_the_debugger_knows_that_word()
    {
        _memory.Write(0x1000, [0x40, 0x40, 0xa3, 0, 0x20, 0, 0]);
        _processor.State.Eip = 0x1000;
        Assert.Equal("OK", Ask("Z0,1001,1"));
        _session.Arm();
        Assert.Equal(StopReason.Debug, _processor.Run(10));
        Assert.DoesNotContain("swbreak", _session.Stop(5, _processor.Stops.Last), StringComparison.Ordinal);
        Ask("qSupported:swbreak+;hwbreak+");
        Assert.StartsWith("T05thread:1;swbreak:;", _session.Stop(5, _processor.Stops.Last), StringComparison.Ordinal);
        Assert.EndsWith("08:01100000;", Ask("?"), StringComparison.Ordinal);

        Assert.Equal(("OK", "OK"), (Ask("z0,1001,1"), Ask("Z2,2002,4")));
        _session.Arm();
        Assert.Equal(StopReason.Debug, _processor.Run(10));
        Assert.StartsWith("T05thread:1;watch:2002;", _session.Stop(5, _processor.Stops.Last), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Z3,2000,1", "rwatch", 0xa1)]
    [InlineData("Z4,2000,1", "awatch", 0xa1)]
    [InlineData("Z4,2000,1", "awatch", 0xa3)]
    [InlineData("Z2,2000,1", "watch", 0xa3)]
    public void A_watchpoint_is_named_as_it_was_set(string packet, string word, byte opcode)
    {
        _memory.Write(0x1000, [opcode, 0, 0x20, 0, 0]);
        _processor.State.Eip = 0x1000;
        Assert.Equal("OK", Ask(packet));
        _session.Arm();
        Assert.Equal(StopReason.Debug, _processor.Run(1));
        Assert.StartsWith($"T05thread:1;{word}:2000;", _session.Stop(5, _processor.Stops.Last), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("c", GdbReaction.Continue)]
    [InlineData("s", GdbReaction.Step)]
    [InlineData("C05", GdbReaction.Continue)]
    [InlineData("S05", GdbReaction.Step)]
    [InlineData("vCont;c", GdbReaction.Continue)]
    [InlineData("vCont;s:1;c", GdbReaction.Step)]
    [InlineData("vCont;r1000,1010:1", GdbReaction.Step)]
    [InlineData("k", GdbReaction.Kill)]
    public void What_lets_the_guest_go_is_not_answered_yet(string packet, GdbReaction reaction)
    {
        Assert.Equal(reaction, _session.Handle(packet, out string? reply));
        Assert.Null(reply);
    }

    [Theory]
    [InlineData("D", GdbReaction.Detach)]
    [InlineData("D;1", GdbReaction.Detach)]
    [InlineData("vKill;1", GdbReaction.Kill)]
    public void What_ends_the_session_is_answered_first(string packet, GdbReaction reaction)
    {
        Assert.Equal(reaction, _session.Handle(packet, out string? reply));
        Assert.Equal("OK", reply);
    }

    [Fact]
    public void Going_on_from_an_address_goes_on_from_there()
    {
        Assert.Equal(GdbReaction.Continue, _session.Handle("c1234", out _));
        Assert.Equal(0x1234u, _processor.State.Eip);
    }

    [Fact]
    public void Unknown_packets_get_an_empty_reply()
    {
        Assert.All((string[])["", "vMustReplyEmpty", "R", "!", "bs", "qUnknown", "QPassSignals:1", "\u0000", "\u00ff"], packet => Assert.Equal(string.Empty, Ask(packet)));
        Assert.Equal(Convert.ToHexStringLower("<tasks>"u8), Ask("qRcmd,7461736b73"));
    }

    [Theory]
    [InlineData("m")]
    [InlineData("m,")]
    [InlineData("m0")]
    [InlineData("m0,")]
    [InlineData("m,4")]
    [InlineData("m-1,4")]
    [InlineData("m123456789,4")]
    [InlineData("p")]
    [InlineData("pff")]
    [InlineData("pffffffff")]
    [InlineData("P")]
    [InlineData("P0")]
    [InlineData("P0=")]
    [InlineData("P0=11")]
    [InlineData("P0=1122334z")]
    [InlineData("P=11223344")]
    [InlineData("G")]
    [InlineData("Gzz")]
    [InlineData("M0,1")]
    [InlineData("M0,1:")]
    [InlineData("M0,1:1")]
    [InlineData("M0,ffffffff:11")]
    [InlineData("X0,2:a")]
    [InlineData("Z")]
    [InlineData("Z5,0,1")]
    [InlineData("Z0,0")]
    [InlineData("Z0,,1")]
    [InlineData("z9,0,1")]
    [InlineData("qRcmd,7")]
    [InlineData("cxyz")]
    [InlineData("vCont;")]
    [InlineData("vCont;rzz")]
    [InlineData("vCont;x")]
    [InlineData("qXfer:features:read:target.xml:")]
    [InlineData("qXfer:features:read:target.xml:ffffffff,1")]
    public void A_malformed_packet_is_refused_and_changes_nothing(string packet)
    {
        string before = Ask("g");
        Assert.Equal("E01", Ask(packet));
        Assert.Equal(before, Ask("g"));
    }

    [Fact]
    public void Requests_for_more_than_there_can_be_are_bounded()
    {
        Assert.Equal(GdbPacketReader.MostBytes, Ask("m0,ffffffff").Length);
        for (int i = 0; i < 1024; i++)
        {
            Assert.Equal("OK", Ask($"Z0,{i:x},1"));
        }

        Assert.Equal("E1c", Ask("Z0,2000,1"));
        Assert.Equal(("OK", "OK", "OK"), (Ask("Z0,0,1"), Ask("z0,0,1"), Ask("Z0,2000,1")));
        Assert.Equal(("E1c", "E1c"), (Ask("Z2,0,0"), Ask("Z2,0,ffffffff")));
    }

    [Fact]
    public void Random_packets_do_nothing_to_the_host()
    {
        var random = new Random(18);
        const string Letters = "?gGpPmMXZzHTqQvcsCSD0123456789abcdef,:;=+-*}vContqXfer";
        for (int i = 0; i < 50_000; i++)
        {
            string packet = string.Concat(Enumerable.Range(0, random.Next(24)).Select(_ => random.Next(8) == 0 ? (char)random.Next(256) : Letters[random.Next(Letters.Length)]));
            _session.Handle(packet, out _);
        }
    }

    private string Ask(string packet)
    {
        Assert.Equal(GdbReaction.Stay, _session.Handle(packet, out string? reply));
        return reply!;
    }
}
