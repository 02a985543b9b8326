using System.Buffers.Binary;
using System.Text;

namespace Lguest.Boot.Images;

/// <summary>A note in an ELF file: something that the kernel's builder says to whoever loads it (System V ABI, "Note Section").</summary>
/// <param name="Name">Who gives its type a meaning.</param>
/// <param name="Type">What it is about.</param>
/// <param name="Descriptor">What it says.</param>
public sealed record KernelNote(string Name, uint Type, ReadOnlyMemory<byte> Descriptor)
{
    private const int HeaderSize = 12;
    private const int Alignment = 4;
    private const int MostBytes = 64 * 1024;

    /// <summary>The number that a note of four bytes is; null for any other.</summary>
    public uint? Number =>
        Descriptor.Length == sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(Descriptor.Span) : null;

    /// <summary>Reads all notes of a kernel. What is malformed ends the segment that it is in: notes are nothing that a kernel needs.</summary>
    internal static IReadOnlyList<KernelNote> ReadAll(KernelImage image)
    {
        var notes = new List<KernelNote>();
        foreach (KernelSegment segment in image.NoteSegments)
        {
            byte[] bytes = new byte[Math.Min(segment.FileSize, MostBytes)];
            if (image.TryRead(segment.Offset, bytes))
            {
                Read(bytes, notes);
            }
        }

        return notes;
    }

    // {u32 name's size, u32 descriptor's size, u32 type}, the name with its NUL, the descriptor, each aligned.
    private static void Read(ReadOnlyMemory<byte> bytes, List<KernelNote> notes)
    {
        while (bytes.Length >= HeaderSize)
        {
            ReadOnlySpan<byte> header = bytes.Span;
            uint nameSize = BinaryPrimitives.ReadUInt32LittleEndian(header);
            uint descriptorSize = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
            ulong descriptorStart = HeaderSize + Aligned(nameSize);
            ulong end = descriptorStart + Aligned(descriptorSize);
            if (descriptorStart + descriptorSize > (ulong)bytes.Length)
            {
                return;
            }

            string name = Encoding.ASCII.GetString(header.Slice(HeaderSize, (int)nameSize)).TrimEnd('\0');
            notes.Add(new KernelNote(name, type, bytes.Slice((int)descriptorStart, (int)descriptorSize)));
            bytes = bytes[(int)Math.Min(end, (ulong)bytes.Length)..];
        }
    }

    private static ulong Aligned(uint size) => ((ulong)size + Alignment - 1) / Alignment * Alignment;
}
