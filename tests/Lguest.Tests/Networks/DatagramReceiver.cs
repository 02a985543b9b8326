using System.Buffers.Binary;
using System.Net;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Tests.Networks;

/// <summary>
/// A program for a Linux guest of any version, as nothing in a small userland takes datagrams: it sends one, and writes what
/// is answered to its standard output until an answer begins with an e.
/// </summary>
internal static class DatagramReceiver
{
    private const uint ImageAddress = 0x0804_8000;
    private const int HeaderSize = 52;
    private const int ProgramHeaderSize = 32;
    private const int SectorSize = 512;
    private const int BufferSize = 64;

    private const uint Exit = 1;
    private const uint Read = 3;
    private const uint Write = 4;
    private const uint SocketCall = 102;
    private const uint Socket = 1;
    private const uint Connect = 3;
    private const uint StandardOutput = 1;
    private const uint InternetFamily = 2;
    private const uint Datagrams = 2;
    private const uint AddressSize = 16;

    /// <summary>A disk whose contents are the program.</summary>
    /// <param name="peer">Whom it talks to.</param>
    public static byte[] Disk(IPEndPoint peer)
    {
        byte[] code = Code(peer);
        byte[] image = new byte[(HeaderSize + ProgramHeaderSize + code.Length + SectorSize - 1) / SectorSize * SectorSize];
        "\u007fELF\u0001\u0001\u0001"u8.CopyTo(image);
        uint[] header = [0x0003_0002, 1, ImageAddress + HeaderSize + ProgramHeaderSize, HeaderSize, 0, 0, HeaderSize | (ProgramHeaderSize << 16), 1];
        uint[] segment = [1, 0, ImageAddress, ImageAddress, (uint)image.Length, (uint)image.Length, 7, 0x1000];
        foreach ((int i, uint value) in header.Concat([0u]).Concat(segment).Index())
        {
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(16 + (i * sizeof(uint))), value);
        }

        code.CopyTo(image, HeaderSize + ProgramHeaderSize);
        return image;
    }

    private static byte[] Code(IPEndPoint peer)
    {
        var code = new Assembler(32);
        Push(code, 0, Datagrams, InternetFamily);
        Call(code, SocketCall, Socket, esp);
        code.mov(esi, eax);

        // A sockaddr_in: family, port and address, these two with the highest byte first.
        uint port = BinaryPrimitives.ReverseEndianness((ushort)peer.Port);
        Push(code, 0, 0, BinaryPrimitives.ReadUInt32LittleEndian(peer.Address.GetAddressBytes()), (port << 16) | InternetFamily);
        code.mov(edi, esp);
        Push(code, AddressSize);
        code.push(edi);
        code.push(esi);
        Call(code, SocketCall, Connect, esp);
        Transfer(code, Write, esi, edi);

        Label again = code.CreateLabel();
        Label end = code.CreateLabel();
        code.sub(esp, BufferSize);
        code.Label(ref again);
        Transfer(code, Read, esi, esp);
        code.test(eax, eax);
        code.jle(end);
        code.cmp(__byte_ptr[esp], (byte)'e');
        code.je(end);
        code.mov(edx, eax);
        code.mov(ebx, StandardOutput);
        code.mov(eax, Write);
        code.@int(0x80);
        code.jmp(again);
        code.Label(ref end);
        Call(code, Exit, 0, esp);

        using var bytes = new MemoryStream();
        code.Assemble(new StreamCodeWriter(bytes), ImageAddress + HeaderSize + ProgramHeaderSize);
        return bytes.ToArray();
    }

    private static void Push(Assembler code, params uint[] values)
    {
        foreach (uint value in values)
        {
            code.push((int)value);
        }
    }

    private static void Call(Assembler code, uint number, uint first, AssemblerRegister32 second)
    {
        code.mov(ecx, second);
        code.mov(ebx, first);
        code.mov(eax, number);
        code.@int(0x80);
    }

    private static void Transfer(Assembler code, uint number, AssemblerRegister32 descriptor, AssemblerRegister32 buffer)
    {
        code.mov(ebx, descriptor);
        code.mov(ecx, buffer);
        code.mov(edx, BufferSize);
        code.mov(eax, number);
        code.@int(0x80);
    }
}
