using System.Buffers.Binary;
using Lguest.Host.Bus;

namespace Lguest.Host.Abi;

/// <summary>
/// What a kernel has said of itself at LGUEST_INIT: its drivers, and where in its memory to look for what (docs/guest.md).
/// Addresses and offsets are the guest's word: whoever follows them checks them.
/// </summary>
/// <param name="Drivers">Bit n: there is a driver for devices of type n.</param>
/// <param name="PageOffset">How far virtual addresses of low memory are above the physical ones.</param>
/// <param name="TaintedMask">Physical address of a u32.</param>
/// <param name="Log">Physical address of a pointer (a virtual address) to the log's ring; 0 where there is no log.</param>
/// <param name="LogLayout">How to read the ring.</param>
public sealed record KernelDescription(uint Drivers, uint PageOffset, uint TaintedMask, uint Log, KernelLogLayout LogLayout)
{
    /// <summary>Bytes of it in lguest_data.</summary>
    internal const int Size = (4 * sizeof(uint)) + (KernelLogLayout.Words * sizeof(ushort));

    /// <summary>Whether the kernel has a driver for devices of a type.</summary>
    public bool HasDriver(DeviceType type) => (Drivers & (1u << (int)type)) != 0;

    /// <summary>Reads it.</summary>
    /// <param name="bytes"><see cref="Size"/> of them.</param>
    internal static KernelDescription Read(ReadOnlySpan<byte> bytes) => new(
        Drivers: BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        PageOffset: BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
        TaintedMask: BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
        Log: BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]),
        LogLayout: KernelLogLayout.Read(bytes[16..]));
}

/// <summary>Sizes and offsets, in bytes, of the structures that a kernel's log consists of (Linux, kernel/printk/printk_ringbuffer.h).</summary>
public sealed record KernelLogLayout
{
    /// <summary>Words of it in lguest_data.</summary>
    internal const int Words = 16;

    /// <summary>In struct printk_ringbuffer: u32, log2 of how many descriptors and infos there are.</summary>
    public required int CountBits { get; init; }

    /// <summary>There: pointer to the descriptors.</summary>
    public required int Descriptors { get; init; }

    /// <summary>There: pointer to the infos.</summary>
    public required int Infos { get; init; }

    /// <summary>There: u32, id of the newest descriptor.</summary>
    public required int HeadId { get; init; }

    /// <summary>There: u32, id of the oldest.</summary>
    public required int TailId { get; init; }

    /// <summary>There: u32, log2 of the bytes of text.</summary>
    public required int SizeBits { get; init; }

    /// <summary>There: pointer to the text.</summary>
    public required int Data { get; init; }

    /// <summary>Of struct prb_desc: its size.</summary>
    public required int DescriptorSize { get; init; }

    /// <summary>There: u32, the state in the highest two bits, the id in the others.</summary>
    public required int DescriptorState { get; init; }

    /// <summary>There: u32 begin and u32 next, logical positions of its text.</summary>
    public required int DescriptorText { get; init; }

    /// <summary>Of struct printk_info: its size.</summary>
    public required int InfoSize { get; init; }

    /// <summary>There: u64, the record's number.</summary>
    public required int InfoSequence { get; init; }

    /// <summary>There: u64, its time in nanoseconds.</summary>
    public required int InfoTime { get; init; }

    /// <summary>There: u16, the length of its text in bytes.</summary>
    public required int InfoTextLength { get; init; }

    /// <summary>There: u8 the facility, then u8 with the flags in bits 0 to 4 and the level in bits 5 to 7.</summary>
    public required int InfoFacility { get; init; }

    /// <summary>There: u32, who printed it.</summary>
    public required int InfoCaller { get; init; }

    /// <summary>Reads it.</summary>
    internal static KernelLogLayout Read(ReadOnlySpan<byte> bytes)
    {
        Span<int> words = stackalloc int[Words];
        for (int i = 0; i < Words; i++)
        {
            words[i] = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * sizeof(ushort))..]);
        }

        return new KernelLogLayout
        {
            CountBits = words[0],
            Descriptors = words[1],
            Infos = words[2],
            HeadId = words[3],
            TailId = words[4],
            SizeBits = words[5],
            Data = words[6],
            DescriptorSize = words[7],
            DescriptorState = words[8],
            DescriptorText = words[9],
            InfoSize = words[10],
            InfoSequence = words[11],
            InfoTime = words[12],
            InfoTextLength = words[13],
            InfoFacility = words[14],
            InfoCaller = words[15],
        };
    }
}
