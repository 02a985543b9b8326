using System.Buffers.Binary;
using System.Diagnostics;
using Lguest.Boot.Compression;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Boot.Tests;

/// <summary>
/// Kernels of several MiB with x86 code in them, packed by the programs that the kernel's build calls, with its own
/// options (scripts/Makefile.lib and scripts/xz_wrap.sh).
/// </summary>
public sealed class CompressorTests : IDisposable
{
    private const uint Mebibyte = 1024 * 1024;
    private const uint Address = TestImages.KernelAddress;
    private const int CodeLength = 4 << 20;
    private const int DenseLength = 1500;
    private const int Seed = 20071009;

    /// <summary>The bytes of <see cref="X86Code.Dense"/>, by <c>xz --check=crc32 --x86 --lzma2=dict=32MiB</c>.</summary>
    private const string DenseInXz =
        "/Td6WFoAAAFpIt42AgEEACEBGgAByYCz4AXbBDtdAAAjSamTecJ5WXo5gmPf9TRvAbw2LMbYdu3nU5FmYKVAM+if57R68YKsyiIT+qRUjiikYM47"
        + "kp7cKiRtFTpSen1V+EocKVfOGUzwautHi0yM6CDzctfyc7XfEx58ok6mxXit9Dk/BocQnBiKH72+Z+SFrLXipU1X5mAMGx4WpJ5Euqn8bNqXovqu"
        + "azibYlYQ+oUqkKmF7dEL05dMoxlvQnMGw8YNTY2CgcYUL1ysboMjlCurEU7k9+H/ZBTpiuMOcCQJUAVnHVekfZAPjAdBQ3JFzmzLknKbKAwuKoJS"
        + "Hofw5NW59x15ZZrtuTlxVR+dRMuLfnvb0Zk93Ax6+Ixmlw7Gf1nP1vudw9n/aaZ0XB0uZFOhj/YMn4IRtrhmycRBE1P3Z5kEvVjITKllaw2QCIJd"
        + "tO+RiJjDpECZHKxpCCIPGY6PQoRdAmd3K2EVPeGQx7dl0cYSqzdFCndoU7utJFxjgAfo1Y+pqgOKKRgVNIOsO2BqPLtBx0ud0yKYeFCBalM1pJDl"
        + "jb2vEXpf7vAISUO2YSXgngRtGWXwzFTp5vn3hx71nVbclsgZrhV8JDb5uog6fa5WR4fEGUupMbNwBMII3DxqkXGH4n5hh2Eu/601hoY++f1V0KtF"
        + "XQlbthxRtugwmgadMYUuMnDzRUXX7wXWqgaiFqLSS3kegIByZrU3NItKzaNVgRN8gjeJtLcaSIYoQmlka5efQJOU9RdCAFs8NglPKPP6D5zeuq1K"
        + "d6kSoH+tp/XYJxiS/sCydvhrECTmOXfCpyu/cet46rafV5fdGCIZsYQmI6UFqsM3z8QMQcWTVIlXhNxQlnz9LBo6zXPzTnq66EiH7LNfWlrktFCO"
        + "7RzRQQDRXST0yPZgWpJLzXqpYI8xTWGiphVSxVnXHYD5vhtMLra6huF8E//Hqjnzw5pqp5Bn0GyRsOAPg3BFfoI0kaXF8zQh/fSQWV3IYFX3VGkQ"
        + "vp9kd7CjrsrxKuUyvCou44KOX9sV4o42NgX3xW5cCzuUfW7NB1QXNb5v2uxMClHL2rgIcfBgRQAK90EJhrs1A0WS/dzSlmIy+co3Qrz0sOq30vsM"
        + "cJ2JROZRh43PXEh5IN7bBXWJiNzEyLje5rp52ggrIydX+j/zIF8ct2xs5GPKEH8xAVHWEYYsjyaZzPuK2lDpU/KlvHpvVvQ5Iv2TS6kY4Gd4SPVg"
        + "SoiFuZnwWW+OvPxXA8sxNSxwYt0YrTshpyuCjiXyTbVYtatviqHckMlXQqSmbakj1pvTrqOa+S9YL14HDGReD2uRlvciRyfV/6Cp8zwGp2pjD0NP"
        + "I9RKZX1HkMCTS98aoufD1x8cJBlZ3M4V2vLu7zLHGrzXfhzhOgds7LM8IhSso97jEn3v0seigqFH4fh8+A6563qKBXPA1hjRwreqdZdQBoW3HJRi"
        + "x5onfRpiYAooM/AaRcJavCGQHX8hDQAAaKssywAB0wjcCwAAXRhYBz4wDYsCAAAAAAFZWg==";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("gzip", "-n -f -9", false)]
    [InlineData("bzip2", "-9", true)]
    [InlineData("lzma", "-9", true)]
    [InlineData("xz", "--check=crc32 --x86 --lzma2=dict=32MiB", true)]
    [InlineData("xz", "--check=crc32 --lzma2=dict=32MiB", true)]
    [InlineData("xz", "--check=crc32 --x86 --lzma2=dict=32MiB --threads=2 --block-size=1048576", true)]
    [InlineData("xz", "--check=none --x86=start=4096 --lzma2=dict=4KiB,lc=0,lp=2,pb=0", true)]
    [InlineData("lz4", "-l -9 - -", true)]
    [InlineData("zstd", "-22 --ultra", true)]
    public void A_kernel_packed_as_its_build_does_is_unpacked_to_the_last_byte(string program, string options, bool sizeFollows)
    {
        byte[] code = X86Code.Make(CodeLength, Seed);
        byte[] kernel = TestImages.Elf(Address, new ElfPart(Address + TestImages.UsualPageOffset, Address, code));
        byte[] packed = Pack(program, options, kernel);
        byte[] image = TestImages.ModernBzImage(sizeFollows ? [.. packed, .. BitConverter.GetBytes(kernel.Length)] : packed);
        var memory = new ArrayMemory(16 * Mebibyte);

        LoadedGuest record = TestBoot.Load(_folder.File("bzImage", image), memory);

        Assert.Equal((KnownAbis.RingZero, Address), (record.Abi, record.Entry.EntryPoint));
        Assert.True(memory.Slice(Address, code.Length).SequenceEqual(code), "the unpacked code differs");
    }

    [Fact]
    public void Opcodes_whose_operands_overlap_are_restored()
    {
        byte[] contents = new byte[DenseLength];
        X86Code.Dense(contents, new Random(Seed));
        byte[] packed = [.. Convert.FromBase64String(DenseInXz), .. BitConverter.GetBytes(DenseLength)];

        MemoryStream? unpacked = CompressionFormat.Of(packed)!.Codec!.Unpack(new MemoryStream(packed), DenseLength);

        Assert.Equal(contents, unpacked?.ToArray());
    }

    [Theory]
    [InlineData("--check=crc64 --lzma2=dict=32MiB", "its XZ check isn't CRC32, which is the only one that kernels know")]
    [InlineData("--check=crc32 --delta=dist=4 --lzma2=dict=32MiB", "it uses a filter of XZ that no kernel for x86 does")]
    public void What_no_kernel_could_unpack_itself_is_refused(string options, string why)
    {
        byte[] contents = new byte[DenseLength];
        byte[] image = TestImages.ModernBzImage([.. Pack("xz", options, contents), .. BitConverter.GetBytes(DenseLength)]);
        string path = _folder.File("bzImage", image);

        BootException refusal = Assert.Throws<BootException>(() => TestBoot.Load(path, new ArrayMemory(16 * Mebibyte)));

        Assert.Contains($"has a corrupt payload ({why})", refusal.Message, StringComparison.Ordinal);
    }

    private static byte[] Pack(string program, string options, byte[] contents)
    {
        string? path = Environment.GetEnvironmentVariable("PATH")?.Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
        Assert.SkipWhen(path is null, $"{program} isn't installed.");
        using Process process = Process.Start(new ProcessStartInfo(path, options)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var packed = new MemoryStream();
        Task reading = process.StandardOutput.BaseStream.CopyToAsync(packed);
        process.StandardInput.BaseStream.Write(contents);
        process.StandardInput.Close();
        reading.Wait();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return packed.ToArray();
    }
}

/// <summary>Bytes like those of a compiled program: what the x86 filter of XZ is for, and what it must leave alone.</summary>
internal static class X86Code
{
    private static readonly byte[][] Instructions =
    [
        [0x55], [0x89, 0xe5], [0x53], [0x5b], [0xc3], [0x90], [0x31, 0xc0], [0x85, 0xc0], [0x8d, 0x76, 0x00],
        [0x8b, 0x45, 0xfc], [0x89, 0x44, 0x24, 0x04], [0x83, 0xec, 0x10], [0xc7, 0x04, 0x24, 0, 0, 0, 0],
        [0x0f, 0xb6, 0xc0], [0xff, 0xd0], [0xb8, 0xff, 0xff, 0xff, 0xff], [0x68, 0xe8, 0xe9, 0xe8, 0xff],
    ];

    /// <summary>Code with calls and jumps to the same few thousand places, and stretches of opcodes that are none.</summary>
    public static byte[] Make(int length, int seed)
    {
        var random = new Random(seed);
        byte[] code = new byte[length];
        uint[] functions = [.. Enumerable.Range(0, 4096).Select(_ => (uint)random.Next(length))];
        int at = 0;
        while (at < length - 16)
        {
            switch (random.Next(8))
            {
                case 0:
                    code[at] = (byte)(random.Next(4) == 0 ? 0xe9 : 0xe8);
                    BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(at + 1), functions[random.Next(functions.Length)] - (uint)(at + 5));
                    at += 5;
                    break;
                case 1:
                    code[at] = 0x0f;
                    code[at + 1] = (byte)(0x80 | random.Next(16));
                    BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan(at + 2), random.Next(-5000, 5000));
                    at += 6;
                    break;
                case 2 when random.Next(20) == 0:
                    at += Dense(code.AsSpan(at, 12), random);
                    break;
                default:
                    byte[] instruction = Instructions[random.Next(Instructions.Length)];
                    instruction.CopyTo(code, at);
                    at += instruction.Length;
                    break;
            }
        }

        return code;
    }

    /// <summary>Fills bytes with what the filter stumbles over: opcodes close together, and the bytes that end an operand.</summary>
    public static int Dense(Span<byte> bytes, Random random)
    {
        ReadOnlySpan<byte> alphabet = [0xe8, 0xe9, 0x00, 0xff];
        foreach (ref byte each in bytes)
        {
            each = random.Next(6) == 0 ? (byte)random.Next(256) : alphabet[random.Next(alphabet.Length)];
        }

        return bytes.Length;
    }
}
