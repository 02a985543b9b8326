using System.Buffers.Binary;
using System.Text;
using Iced.Intel;
using Lguest.Host.Bus;
using Lguest.Host.Traps;

namespace Lguest.Host.Tests.RingOne;

/// <summary>
/// A guest of 1 MiB whose kernel is assembled by the test: at CPL 1, with its memory and its devices' mapped at
/// <see cref="PageOffset"/> and a few pages for a user program.
/// </summary>
public sealed class RingOneGuest : IDisposable
{
    public const uint PageOffset = 0xc000_0000;
    public const uint MemoryBytes = 0x10_0000;

    // Physical addresses.
    public const uint Text = 0x1000;
    public const uint Data = 0x2000;
    public const uint Handlers = 0x3000;
    public const uint Scratch = 0x4000;
    public const uint Strings = 0x5000;
    public const uint Gdt = 0x5800;
    public const uint DmaArea = 0x6000;
    public const uint BootStackTop = 0x9000;
    public const uint KernelStackTop = 0xb000;
    public const uint UserCode = 0x1_0000;
    public const uint UserStackPage = 0x1_1000;
    public const uint PageDirectory = 0xf_0000;
    public const uint KernelTable = 0xf_1000;
    public const uint UserTable = 0xf_2000;
    public const uint DescriptorPage = MemoryBytes;
    public const uint FirstDevicePage = MemoryBytes + 0x1000;

    // Linear addresses.
    public const uint UserCodeLinear = 0x0040_0000;
    public const uint UserStackTop = 0x0040_2000;

    // Offsets in lguest_data.
    public const uint IrqEnabled = Data;
    public const uint BlockedInterrupts = Data + 4;
    public const uint FaultAddress = Data + 8;
    public const uint WallClock = Data + 12;
    public const uint RingStatus = Data + 20;
    public const uint RingCalls = Data + 84;
    public const uint NoInterruptStart = Data + 1120;

    public const ushort KernelCode = 0x61;
    public const ushort KernelData = 0x69;
    public const ushort UserCodeSelector = 0x73;
    public const ushort UserDataSelector = 0x7b;

    private const uint PresentWritableUser = 7;
    private const int RingSlots = 64;

    public RingOneGuest(ClockKind clock = ClockKind.Virtual, params IGuestDevice[] devices)
    {
        Guest = new Guest(new GuestConfiguration { MemoryBytes = MemoryBytes, Clock = clock, Devices = devices, GuestId = 0x1234 });
        for (uint page = 0; page < 1024; page++)
        {
            if (Guest.PhysicalMemory.Contains(page << 12, 4096))
            {
                Write(KernelTable + (page * 4), (page << 12) | PresentWritableUser);
            }
        }

        Write(PageDirectory + ((PageOffset >> 22) * 4), KernelTable | PresentWritableUser);
        Write(PageDirectory + ((UserCodeLinear >> 22) * 4), UserTable | PresentWritableUser);
        Write(UserTable, UserCode | PresentWritableUser);
        Write(UserTable + 4, UserStackPage | PresentWritableUser);
        for (uint slot = 0; slot < RingSlots; slot++)
        {
            Guest.PhysicalMemory.Span(RingStatus + slot, 1)[0] = 0xff;
        }

        WriteText(Strings, "Power down");
        WriteGdt();
        Guest.Start(new KernelEntry(Linear(Text), PageDirectory, PageOffset));
        Guest.Processor.State.Esp = Linear(BootStackTop);
    }

    public Guest Guest { get; }

    public static uint Linear(uint physical) => PageOffset + physical;

    /// <summary>Assembles for its linear address, and puts the code at its physical one.</summary>
    public void Assemble(uint physical, Action<Assembler> program, uint? linear = null)
    {
        var assembler = new Assembler(32);
        program(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), linear ?? Linear(physical));
        Guest.PhysicalMemory.Write(physical, stream.ToArray());
    }

    /// <summary>The kernel's main program.</summary>
    public void Kernel(Action<Assembler> program) => Assemble(Text, program);

    /// <summary>A handler, of up to 128 bytes; its linear address.</summary>
    public uint Handler(int index, Action<Assembler> program)
    {
        uint physical = Handlers + ((uint)index * 128);
        Assemble(physical, program);
        return Linear(physical);
    }

    /// <summary>The user program.</summary>
    public void User(Action<Assembler> program) => Assemble(UserCode, program, UserCodeLinear);

    public GuestOutcome Run(ulong instructions = 1_000_000) => Guest.Run(new RunLimits(instructions));

    /// <summary>Runs a guest whose kernel is going to be at an end by itself; the sentence.</summary>
    public string RunUntilDead() => Assert.IsType<GuestOutcome.Died>(Run()).Sentence;

    /// <summary>Runs a guest that the host is going to end; the sentence.</summary>
    public string RunUntilKilled() => Assert.IsType<GuestOutcome.Killed>(Run()).Sentence;

    /// <summary>Runs a guest that is going to switch itself off.</summary>
    public void RunUntilPowerOff() => Assert.Equal(new GuestOutcome.PowerOff(0), Run());

    public uint Read(uint physical) => BinaryPrimitives.ReadUInt32LittleEndian(Guest.PhysicalMemory.Span(physical, 4));

    public ushort Read16(uint physical) => BinaryPrimitives.ReadUInt16LittleEndian(Guest.PhysicalMemory.Span(physical, 2));

    public void Write(uint physical, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Guest.PhysicalMemory.Write(physical, bytes);
    }

    public void Write(uint physical, ReadOnlySpan<byte> bytes) => Guest.PhysicalMemory.Write(physical, bytes);

    public void WriteText(uint physical, string text) => Write(physical, Encoding.ASCII.GetBytes(text + "\0"));

    public string ReadText(uint physical, int length) =>
        Encoding.ASCII.GetString(Guest.PhysicalMemory.Span(physical, (uint)length));

    /// <summary>Writes a <c>struct lguest_dma</c>.</summary>
    public void WriteDma(uint physical, params (uint Address, ushort Length)[] pieces)
    {
        Guest.PhysicalMemory.Span(physical, 100).Clear();
        Span<byte> length = stackalloc byte[2];
        for (int i = 0; i < pieces.Length; i++)
        {
            Write(physical + 4 + ((uint)i * 4), pieces[i].Address);
            BinaryPrimitives.WriteUInt16LittleEndian(length, pieces[i].Length);
            Write(physical + 68 + ((uint)i * 2), length);
        }
    }

    /// <summary>Queues a call in the ring, as the guest would.</summary>
    public void Queue(int slot, uint number, uint edx = 0, uint ebx = 0, uint ecx = 0)
    {
        uint call = RingCalls + ((uint)slot * 16);
        Write(call, number);
        Write(call + 4, edx);
        Write(call + 8, ebx);
        Write(call + 12, ecx);
        Write(RingStatus + (uint)slot, [0]);
    }

    public byte RingStatusOf(int slot) => Guest.PhysicalMemory.Span(RingStatus + (uint)slot, 1)[0];

    public void Dispose() => Guest.Dispose();

    /// <summary>Flat kernel segments with DPL 0, as Linux has them, and flat user ones.</summary>
    private void WriteGdt()
    {
        WriteDescriptor(12, 0x00cf_9a00_0000_ffff);
        WriteDescriptor(13, 0x00cf_9200_0000_ffff);
        WriteDescriptor(14, 0x00cf_fa00_0000_ffff);
        WriteDescriptor(15, 0x00cf_f200_0000_ffff);
    }

    private void WriteDescriptor(uint entry, ulong value)
    {
        Write(Gdt + (entry * 8), (uint)value);
        Write(Gdt + (entry * 8) + 4, (uint)(value >> 32));
    }
}
