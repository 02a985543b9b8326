using System.Buffers.Binary;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Tests.Insight;

/// <summary>Programs for the guest: static ELF files of a few instructions, which a script copies from a disk.</summary>
internal static class CrashingPrograms
{
    private const uint Base = 0x0804_8000;
    private const int HeaderSize = 52 + 32;
    private const int Exit = 1;
    private const int SectorSize = 512;

    /// <summary>Makes a system call without arguments, and ends with status 0.</summary>
    public static byte[] Calls(int systemCall) => Build(code =>
    {
        code.mov(eax, systemCall);
        code.@int(0x80);
    });

    /// <summary>Reads at address 0.</summary>
    public static byte[] Crashes() => Build(code => code.mov(eax, __dword_ptr[0]));

    /// <summary>Executes HLT, as only a kernel may.</summary>
    public static byte[] Offends() => Build(code => code.hlt());

    private static byte[] Build(Action<Assembler> body)
    {
        var code = new Assembler(32);
        body(code);
        code.mov(eax, Exit);
        code.xor(ebx, ebx);
        code.@int(0x80);
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), Base + HeaderSize);
        byte[] instructions = stream.ToArray();
        byte[] file = new byte[(HeaderSize + instructions.Length + SectorSize - 1) / SectorSize * SectorSize];
        "\u007fELF\u0001\u0001\u0001"u8.CopyTo(file);
        Word(file, 16, 2 | (3 << 16));
        Word(file, 20, 1);
        Word(file, 24, Base + HeaderSize);
        Word(file, 28, 52);
        Word(file, 40, 52 | (32 << 16));
        Word(file, 44, 1);
        Word(file, 52, 1);
        Word(file, 60, Base);
        Word(file, 64, Base);
        Word(file, 68, (uint)file.Length);
        Word(file, 72, (uint)file.Length);
        Word(file, 76, 5);
        Word(file, 80, 0x1000);
        instructions.CopyTo(file, HeaderSize);
        return file;
    }

    private static void Word(byte[] file, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);
}
