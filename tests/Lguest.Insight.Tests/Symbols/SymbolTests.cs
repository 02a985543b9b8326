using System.Buffers.Binary;
using System.Text;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Tests.Symbols;

public sealed class SymbolTests
{
    private const string Map =
        "00000000 A VDSO32_PRELINK\nc0100000 T _text\nc0100000 T startup_32\nc0100010 t helper\nc0100040 T next\nc0300000 d log_buf\nc0300004 B tainted_mask\n";

    [Fact]
    public void A_symbol_is_found_by_its_name()
    {
        SymbolTable table = SystemMapFile.Read(new StringReader(Map), "System.map");

        Assert.True(table.TryFind("log_buf", out Symbol symbol));
        Assert.Equal(0xc030_0000u, symbol.Address);
        Assert.False(table.TryFind("VDSO32_PRELINK", out _));
        Assert.False(table.TryFind("log", out _));
    }

    [Theory]
    [InlineData(0xc010_0000, "_text+0x0")]
    [InlineData(0xc010_000f, "_text+0xf")]
    [InlineData(0xc010_0012, "helper+0x2")]
    [InlineData(0xc030_0001, "next+0x1fffc1")]
    [InlineData(0xc00f_ffff, "0xc00fffff")]
    public void An_address_has_the_name_of_the_function_that_it_is_in(uint address, string name) =>
        Assert.Equal(name, SystemMapFile.Read(new StringReader(Map), "System.map").Describe(address));

    [Fact]
    public void Data_is_meant_where_a_function_of_the_same_name_exists()
    {
        SymbolTable table = SystemMapFile.Read(new StringReader("c0100000 t prb\nc0300000 d prb\n"), "System.map");

        Assert.True(table.TryFind("prb", out Symbol symbol));
        Assert.Equal(0xc030_0000u, symbol.Address);
    }

    [Theory]
    [InlineData("", "the file has no symbols: give the System.map of the kernel's build folder")]
    [InlineData("ffffffff81000000 T _text\n", "the file is not the System.map of a 32-bit kernel: its line 1 is not an address, a letter and a name")]
    [InlineData("c0100000 T _text\nnonsense\n", "the file is not the System.map of a 32-bit kernel: its line 2 is not an address, a letter and a name")]
    public void What_is_no_System_map_of_a_32_bit_kernel_is_refused(string text, string sentence) =>
        Assert.Equal(sentence, Assert.Throws<SymbolException>(() => SystemMapFile.Read(new StringReader(text), "the file")).Message);

    [Fact]
    public void The_symbols_of_an_ELF_file_have_sizes_and_may_be_loaded_lower()
    {
        SymbolTable table = ElfSymbolFile.Read(new MemoryStream(Elf()), "vmlinux", shift: 0x10_0000);

        Assert.Equal("start+0x8/0x10", table.Describe(0xc000_0008));
        Assert.Equal("0xc0000010", table.Describe(0xc000_0010));
        Assert.True(table.TryFind("data", out Symbol data));
        Assert.Equal(new Symbol("data", 0xc020_0000, 4, false), data);
        Assert.False(table.TryFind("undefined", out _));
        Assert.Equal(2, table.Count);
    }

    [Fact]
    public void What_is_no_ELF_file_with_symbols_is_refused()
    {
        Assert.Equal(
            "the file is not a 32-bit little-endian ELF file: give vmlinux or System.map of the kernel's build folder",
            Refusal(new byte[100]));
        Assert.Equal("the file is truncated: copy or build it again", Refusal([1, 2, 3]));
        byte[] stripped = Elf();
        stripped[48] = 0;
        Assert.Equal("the file has no symbols, as it is stripped: give the vmlinux or System.map of the kernel's build folder", Refusal(stripped));
    }

    [Fact]
    public void No_damage_to_an_ELF_file_is_more_than_a_sentence()
    {
        byte[] good = Elf();
        for (int length = 0; length < good.Length; length++)
        {
            Refusal(good[..length]);
        }

        var random = new Random(18);
        for (int i = 0; i < 2000; i++)
        {
            byte[] bad = [.. good];
            bad[random.Next(bad.Length)] = (byte)random.Next(256);
            bad[random.Next(bad.Length)] = (byte)random.Next(256);
            try
            {
                ElfSymbolFile.Read(new MemoryStream(bad), "the file");
            }
            catch (SymbolException e)
            {
                Assert.StartsWith("the file ", e.Message, StringComparison.Ordinal);
            }
        }
    }

    private static string Refusal(byte[] file) =>
        Assert.Throws<SymbolException>(() => ElfSymbolFile.Read(new MemoryStream(file), "the file")).Message;

    /// <summary>An ELF file of four sections: none, .text, .symtab, .strtab.</summary>
    private static byte[] Elf()
    {
        byte[] names = Encoding.ASCII.GetBytes("\0start\0data\0undefined\0file.c\0");
        byte[] file = new byte[52 + 80 + names.Length + (4 * 40)];
        "\u007fELF\u0001\u0001\u0001"u8.CopyTo(file);
        int sections = 52 + 80 + names.Length;
        Word(file, 32, (uint)sections);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(46), 40);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(48), 4);
        Symbol(file, 1, name: 1, 0xc010_0000, 16, type: 2, section: 1);
        Symbol(file, 2, name: 7, 0xc030_0000, 4, type: 1, section: 0xfff1);
        Symbol(file, 3, name: 12, 0, 0, type: 0, section: 0);
        Symbol(file, 4, name: 22, 0, 0, type: 4, section: 0xfff1);
        names.CopyTo(file, 52 + 80);
        Word(file, sections + 40 + 8, 4);
        Word(file, sections + 80 + 4, 2);
        Word(file, sections + 80 + 16, 52);
        Word(file, sections + 80 + 20, 80);
        Word(file, sections + 80 + 24, 3);
        Word(file, sections + 120 + 4, 3);
        Word(file, sections + 120 + 16, 52 + 80);
        Word(file, sections + 120 + 20, (uint)names.Length);
        return file;
    }

    private static void Symbol(byte[] file, int index, uint name, uint value, uint size, byte type, ushort section)
    {
        int at = 52 + (index * 16);
        Word(file, at, name);
        Word(file, at + 4, value);
        Word(file, at + 8, size);
        file[at + 12] = type;
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at + 14), section);
    }

    private static void Word(byte[] file, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);
}
