using System.Buffers.Binary;

namespace Lguest.Host.Virtio;

/// <summary>A virtqueue as a device's descriptor names it.</summary>
/// <param name="Size">Descriptors of the queue.</param>
/// <param name="Irq">Its line.</param>
/// <param name="Page">The page frame where its pages begin.</param>
public readonly record struct QueueDescription(int Size, int Irq, uint Page);

/// <summary>Writes the descriptor of a device on the lguest bus, as one line of kernels reads it.</summary>
/// <param name="identity">What the device is.</param>
/// <param name="queues">Its virtqueues.</param>
/// <param name="configuration">See <see cref="IVirtioDevice.Configuration"/>.</param>
/// <returns>All of it. Its first byte is the type; the next descriptor comes behind the last one.</returns>
public delegate byte[] DescriptorWriter(in VirtioIdentity identity, ReadOnlySpan<QueueDescription> queues, ReadOnlySpan<byte> configuration);

/// <summary>The forms that descriptors have on the lguest bus (Linux, include/linux/lguest_launcher.h). There is no padding in them.</summary>
public static class VirtioDescriptors
{
    /// <summary>Where the status is in a descriptor of fixed form.</summary>
    internal const int StatusOffset = 4;

    private const int FixedHeaderSize = 5;
    private const int TypedHeaderSize = 3;
    private const int QueueSize = 8;
    private const int FeatureBytes = sizeof(uint);
    private const byte QueueField = 2;

    // In the configuration of a disk: u64 capacity, and, behind a field that isn't offered, u32 segments; in a network card's: its address.
    private static readonly TypedField[] BlockFields = [new(0x41, 0, 8), new(0x43, 12, 4)];
    private static readonly TypedField[] NetworkFields = [new(0x41, 0, 6)];

    /// <summary>
    /// From Linux 2.6.25 on: {u8 type, u8 queues, u8 bytes of features, u8 bytes of configuration, u8 status}, then for each queue {u16 size,
    /// u16 irq, u32 page frame}, the features offered, those that the guest acknowledges, and the configuration.
    /// </summary>
    public static byte[] Fixed(in VirtioIdentity identity, ReadOnlySpan<QueueDescription> queues, ReadOnlySpan<byte> configuration)
    {
        int features = FixedHeaderSize + (queues.Length * QueueSize);
        byte[] bytes = new byte[features + FeatureBytes + FeatureBytes + configuration.Length];
        bytes[0] = (byte)identity.Type;
        bytes[1] = (byte)queues.Length;
        bytes[2] = FeatureBytes;
        bytes[3] = (byte)configuration.Length;
        for (int q = 0; q < queues.Length; q++)
        {
            WriteQueue(bytes.AsSpan(FixedHeaderSize + (q * QueueSize)), queues[q]);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(features), identity.Features);
        configuration.CopyTo(bytes.AsSpan(features + FeatureBytes + FeatureBytes));
        return bytes;
    }

    /// <summary>
    /// Linux 2.6.24's: {u8 type, u8 bytes of fields, u8 status}, then fields of {u8 type, u8 length} and their bytes: one for each queue, as in
    /// the fixed form, and one for each value of the configuration. No features are offered: the kernel looks for them in the wrong place.
    /// </summary>
    public static byte[] Typed(in VirtioIdentity identity, ReadOnlySpan<QueueDescription> queues, ReadOnlySpan<byte> configuration)
    {
        var bytes = new List<byte> { (byte)identity.Type, 0, 0 };
        Span<byte> field = stackalloc byte[QueueSize];
        foreach (QueueDescription queue in queues)
        {
            WriteQueue(field, queue);
            bytes.AddRange([QueueField, QueueSize, .. field]);
        }

        foreach (TypedField value in FieldsOf(identity.Type))
        {
            bytes.AddRange([value.Type, (byte)value.Length, .. configuration.Slice(value.Offset, value.Length)]);
        }

        bytes[1] = (byte)(bytes.Count - TypedHeaderSize);
        return [.. bytes];
    }

    /// <summary>Where the features are that the guest acknowledges, in a descriptor of fixed form.</summary>
    /// <param name="queues">How many virtqueues the device has.</param>
    internal static int AcknowledgedOffset(int queues) => FixedHeaderSize + (queues * QueueSize) + FeatureBytes;

    private static TypedField[] FieldsOf(VirtioType type) => type switch
    {
        VirtioType.Block => BlockFields,
        VirtioType.Network => NetworkFields,
        _ => [],
    };

    private static void WriteQueue(Span<byte> field, in QueueDescription queue)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(field, (ushort)queue.Size);
        BinaryPrimitives.WriteUInt16LittleEndian(field[2..], (ushort)queue.Irq);
        BinaryPrimitives.WriteUInt32LittleEndian(field[4..], queue.Page);
    }

    /// <summary>A value of a device's configuration that has a field of its own.</summary>
    private sealed record TypedField(byte Type, int Offset, int Length);
}
