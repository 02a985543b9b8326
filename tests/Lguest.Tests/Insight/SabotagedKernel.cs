using System.Buffers.Binary;
using System.Text;
using Lguest.Insight.Symbols;
using Lguest.TestSupport;

namespace Lguest.Tests.Insight;

/// <summary>A copy of a kernel in which something was overwritten.</summary>
internal sealed class SabotagedKernel
{
    private readonly TestFolder _folder;
    private readonly byte[] _image;
    private readonly SymbolTable _symbols;

    /// <summary>Makes one of the kernel that ships.</summary>
    public SabotagedKernel(TestFolder folder)
        : this(folder, ShippedImages.Image("vmlinux"))
    {
    }

    /// <summary>Makes one that is as it was.</summary>
    /// <param name="folder">For the copy.</param>
    /// <param name="path">Where the kernel is: a vmlinux.</param>
    public SabotagedKernel(TestFolder folder, string path)
    {
        _folder = folder;
        _image = File.ReadAllBytes(path);
        _symbols = ElfSymbolFile.Read(new MemoryStream(_image), "vmlinux");
    }

    /// <summary>Puts code where a function begins.</summary>
    public SabotagedKernel WithCode(string function, params byte[] code)
    {
        code.CopyTo(_image, OffsetOf(Address(function)));
        return this;
    }

    /// <summary>Lets a function do nothing but call another one with one argument.</summary>
    public SabotagedKernel WithCall(string function, string called, uint argument)
    {
        // PUSH EBP; MOV EBP, ESP; MOV EAX, argument; CALL called; LEAVE; RET.
        const int CallEnd = 13;
        uint distance = Address(called) - (Address(function) + CallEnd);
        return WithCode(function, [0x55, 0x89, 0xe5, 0xb8, .. BitConverter.GetBytes(argument), 0xe8, .. BitConverter.GetBytes(distance), 0xc9, 0xc3]);
    }

    /// <summary>Lets WARN_ON() or BUG() mean the beginning of a function (struct bug_entry).</summary>
    public SabotagedKernel WithBug(string function, bool isWarning)
    {
        const int EntrySize = 12;
        const int FlagsOffset = 10;
        for (int entry = OffsetOf(Address("__start___bug_table")); entry < OffsetOf(Address("__stop___bug_table")); entry += EntrySize)
        {
            bool warns = (BinaryPrimitives.ReadUInt16LittleEndian(_image.AsSpan(entry + FlagsOffset)) & 1) != 0;
            if (warns == isWarning)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(_image.AsSpan(entry), Address(function));
                return WithCode(function, 0x0f, 0x0b, 0xc3);
            }
        }

        throw new InvalidOperationException("The table of bugs has no such entry.");
    }

    /// <summary>Lets the kernel say something else.</summary>
    public SabotagedKernel WithText(string text, string other)
    {
        int at = _image.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text));
        Assert.True(at >= 0 && other.Length <= text.Length, $"the kernel doesn't say '{text}', or it is shorter than '{other}'");
        Encoding.ASCII.GetBytes(other.PadRight(text.Length)).CopyTo(_image, at);
        return this;
    }

    /// <summary>Writes it to a file.</summary>
    /// <returns>Its path.</returns>
    public string Write() => _folder.File("vmlinux", _image);

    private uint Address(string name)
    {
        Assert.True(_symbols.TryFind(name, out Symbol symbol), $"the kernel has no {name}");
        return symbol.Address;
    }

    private int OffsetOf(uint address)
    {
        int headers = (int)BinaryPrimitives.ReadUInt32LittleEndian(_image.AsSpan(28));
        int count = BinaryPrimitives.ReadUInt16LittleEndian(_image.AsSpan(44));
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> header = _image.AsSpan(headers + (i * 32));
            uint start = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(header[16..]);
            if (BinaryPrimitives.ReadUInt32LittleEndian(header) == 1 && address >= start && address - start < size)
            {
                return (int)(BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) + address - start);
            }
        }

        throw new InvalidOperationException($"No part of the file is loaded to 0x{address:x8}.");
    }
}
