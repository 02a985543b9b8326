using System.Text.Json;
using Lguest.Cpu;
using Lguest.Host.Abi;
using Lguest.Host.Dma;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;

namespace Lguest.Host.Saving;

/// <summary>
/// A description as bytes: field after field, with nothing that says which. A serialiser of the framework's would read it too, but compiles
/// 900 methods for that, which takes longer than many a guest that goes on.
/// </summary>
internal static class SavedStateFormat
{
    /// <summary>Writes a description.</summary>
    /// <exception cref="InvalidOperationException">What is read again isn't the same: a record has a field of which this knows nothing.</exception>
    public static byte[] Write(SavedStateDescription description)
    {
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream))
        {
            Write(writer, description);
        }

        byte[] bytes = stream.ToArray();
        return Text(Read(bytes)) == Text(description)
            ? bytes
            : throw new InvalidOperationException("What was saved can't be read: a record has grown, and this has not.");
    }

    /// <summary>Reads a description.</summary>
    /// <exception cref="IOException">It ends too soon.</exception>
    public static SavedStateDescription Read(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes, writable: false));
        return new SavedStateDescription
        {
            Dialect = reader.ReadString(),
            Cpuid = ReadList(reader, () => new CpuidEntry(
                reader.ReadUInt32(), new CpuidLeaf(reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32()), reader.ReadUInt32())),
            MemoryBytes = reader.ReadUInt64(),
            Facts = ReadList(reader, () => new SavedFact(reader.ReadString(), reader.ReadString())),
            Clock = (ClockKind)reader.ReadByte(),
            Date = reader.ReadBoolean() ? new DateTimeOffset(reader.ReadInt64(), new TimeSpan(reader.ReadInt64())) : null,
            GuestId = reader.ReadUInt16(),
            Processor = reader.ReadBytes(reader.ReadInt32()),
            Host = ReadHost(reader),
            Devices = ReadList(reader, () => new SavedDevice(reader.ReadString(), reader.ReadString())),
            Regions = ReadList(reader, () => new SavedRegion(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadString())),
        };
    }

    private static void Write(BinaryWriter writer, SavedStateDescription description)
    {
        writer.Write(description.Dialect);
        WriteList(writer, description.Cpuid, entry =>
        {
            writer.Write(entry.Leaf);
            writer.Write(entry.Answer.Eax);
            writer.Write(entry.Answer.Ebx);
            writer.Write(entry.Answer.Ecx);
            writer.Write(entry.Answer.Edx);
            writer.Write(entry.Subleaf);
        });
        writer.Write(description.MemoryBytes);
        WriteList(writer, description.Facts, fact =>
        {
            writer.Write(fact.Name);
            writer.Write(fact.Value);
        });
        writer.Write((byte)description.Clock);
        writer.Write(description.Date is not null);
        if (description.Date is { } date)
        {
            writer.Write(date.Ticks);
            writer.Write(date.Offset.Ticks);
        }

        writer.Write(description.GuestId);
        writer.Write(description.Processor.Length);
        writer.Write(description.Processor);
        Write(writer, description.Host);
        WriteList(writer, description.Devices, device =>
        {
            writer.Write(device.Kind);
            writer.Write(device.State);
        });
        WriteList(writer, description.Regions, region =>
        {
            writer.Write(region.Address);
            writer.Write(region.Length);
            writer.Write(region.Hash);
        });
    }

    private static void Write(BinaryWriter writer, GuestState host)
    {
        writer.Write(host.Data is not null);
        if (host.Data is { } data)
        {
            Write(writer, data);
        }

        writer.Write(host.RingSlot);
        WriteList(writer, host.Segments, writer.Write);
        WriteList(writer, host.Gates.Gates, gate =>
        {
            writer.Write(gate.IsPresent);
            writer.Write(gate.Offset);
            writer.Write(gate.Privilege);
            writer.Write(gate.MasksInterrupts);
        });
        writer.Write(host.Gates.Stack.Selector);
        writer.Write(host.Gates.Stack.Offset);
        writer.Write(host.Interrupts.Pending);
        writer.Write(host.Interrupts.IsHalted);
        writer.Write(host.Clock.Now);
        writer.Write(host.Clock.Deadline is not null);
        if (host.Clock.Deadline is { } deadline)
        {
            writer.Write(deadline);
        }

        WriteList(writer, host.Bindings, binding =>
        {
            writer.Write(binding.Binding.Key);
            writer.Write(binding.Binding.Array);
            writer.Write(binding.Binding.Count);
            writer.Write(binding.Binding.Irq);
            writer.Write(binding.Next);
            WriteOptional(writer, binding.Last);
            writer.Write(binding.IsAlone);
        });
        WriteList(writer, host.Queues, queue =>
        {
            writer.Write(queue.NextAvailable);
            writer.Write(queue.NextUsed);
            writer.Write(queue.IsInUse);
        });
        writer.Write(host.Transport);
        WriteList(writer, host.Events, each =>
        {
            writer.Write(each.Due);
            writer.Write(each.Device);
        });
        writer.Write(host.SliceEnd);
        writer.Write(host.AddressSpace.PageOffset);
        writer.Write(host.AddressSpace.IsUnchecked);
        writer.Write(host.InterruptLine);
        writer.Write(host.IdleNanoseconds);
    }

    private static GuestState ReadHost(BinaryReader reader) => new()
    {
        Data = reader.ReadBoolean() ? ReadData(reader) : null,
        RingSlot = reader.ReadInt32(),
        Segments = ReadList(reader, reader.ReadUInt64),
        Gates = new GateTableState(
            ReadList(reader, () => new Gate(reader.ReadBoolean(), reader.ReadUInt32(), reader.ReadInt32(), reader.ReadBoolean())),
            new KernelStackTop(reader.ReadUInt16(), reader.ReadUInt32())),
        Interrupts = new InterruptState(reader.ReadUInt32(), reader.ReadBoolean()),
        Clock = new ClockState(reader.ReadUInt64(), reader.ReadBoolean() ? reader.ReadUInt64() : null),
        Bindings = ReadList(reader, () => new DmaBindingState(
            new DmaBinding(reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadInt32()),
            reader.ReadUInt32(),
            ReadOptional(reader),
            reader.ReadBoolean())),
        Queues = ReadList(reader, () => new SplitRingState(reader.ReadUInt16(), reader.ReadUInt16(), reader.ReadBoolean())),
        Transport = reader.ReadString(),
        Events = ReadList(reader, () => new QueuedEvent(reader.ReadUInt64(), reader.ReadInt32())),
        SliceEnd = reader.ReadUInt64(),
        AddressSpace = new AddressSpaceState(reader.ReadUInt32(), reader.ReadBoolean()),
        InterruptLine = reader.ReadBoolean(),
        IdleNanoseconds = reader.ReadUInt64(),
    };

    private static void Write(BinaryWriter writer, LguestDataState data)
    {
        writer.Write(data.Address);
        writer.Write(data.NoInterruptStart);
        writer.Write(data.NoInterruptEnd);
        WriteOptional(writer, data.KernelAddress);
        writer.Write(data.Kernel is not null);
        if (data.Kernel is not { } kernel)
        {
            return;
        }

        writer.Write(kernel.Drivers);
        writer.Write(kernel.PageOffset);
        writer.Write(kernel.TaintedMask);
        writer.Write(kernel.Log);
        KernelLogLayout log = kernel.LogLayout;
        int[] words =
        [
            log.CountBits, log.Descriptors, log.Infos, log.HeadId, log.TailId, log.SizeBits, log.Data, log.DescriptorSize, log.DescriptorState,
            log.DescriptorText, log.InfoSize, log.InfoSequence, log.InfoTime, log.InfoTextLength, log.InfoFacility, log.InfoCaller,
        ];
        Array.ForEach(words, word => writer.Write((ushort)word));
    }

    private static LguestDataState ReadData(BinaryReader reader) => new(
        reader.ReadUInt32(),
        reader.ReadUInt32(),
        reader.ReadUInt32(),
        ReadOptional(reader),
        reader.ReadBoolean() ? ReadKernel(reader) : null);

    private static KernelDescription ReadKernel(BinaryReader reader) => new(
        reader.ReadUInt32(),
        reader.ReadUInt32(),
        reader.ReadUInt32(),
        reader.ReadUInt32(),
        KernelLogLayout.Read(reader.ReadBytes(KernelLogLayout.Words * sizeof(ushort))));

    private static void WriteOptional(BinaryWriter writer, uint? value)
    {
        writer.Write(value is not null);
        writer.Write(value ?? 0);
    }

    private static uint? ReadOptional(BinaryReader reader)
    {
        bool isThere = reader.ReadBoolean();
        uint value = reader.ReadUInt32();
        return isThere ? value : null;
    }

    private static void WriteList<T>(BinaryWriter writer, IReadOnlyList<T> list, Action<T> write)
    {
        writer.Write(list.Count);
        foreach (T each in list)
        {
            write(each);
        }
    }

    private static List<T> ReadList<T>(BinaryReader reader, Func<T> read)
    {
        int count = reader.ReadInt32();
        var list = new List<T>();
        for (int i = 0; i < count; i++)
        {
            list.Add(read());
        }

        return list;
    }

    private static string Text(SavedStateDescription description) => JsonSerializer.Serialize(description, SavedStateJson.Default.SavedStateDescription);
}
