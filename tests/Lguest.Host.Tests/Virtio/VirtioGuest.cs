using System.Buffers.Binary;
using System.Text;
using Iced.Intel;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Host.Tests.Virtio;

/// <summary>
/// A guest of 1 MiB with virtio devices, whose kernel is assembled by the test: it starts at CPL 1, with its memory and its devices' mapped
/// where they are, as kernels from 2.6.25 on do; those from 3.1 on start with paging off. The test writes the virtqueues in the driver's place, the kernel notifies.
/// </summary>
public sealed class VirtioGuest : IDisposable
{
    public const uint MemoryBytes = 0x10_0000;
    public const uint KernelAddress = 0xc000_0000;

    public const uint Text = 0x1000;
    public const uint Data = 0x2000;
    public const uint Handler = 0x3000;
    public const uint Scratch = 0x4000;
    public const uint Strings = 0x5000;
    public const uint Buffers = 0x2_0000;
    public const uint StackTop = 0x9000;
    public const uint PageDirectory = 0xf_0000;
    public const uint PageTable = 0xf_1000;

    /// <summary>With PAE: what the first of the four pointers at <see cref="PageDirectory"/> names, and what is named in turn.</summary>
    public const uint LowerDirectory = 0xf_2000;
    public const uint Descriptors = MemoryBytes;
    public const uint Rings = MemoryBytes + 0x1000;

    // Offsets in lguest_data.
    public const uint IrqEnabled = Data;
    public const uint BlockedInterrupts = Data + 4;
    public const uint RingStatus = Data + 20;
    public const uint RingCalls = Data + 84;
    public const uint ReservedMemory = Data + 1108;
    public const uint TscKilohertz = Data + 1112;
    public const uint DirectoryField = Data + 1116;
    public const uint SystemCallVector = Data + 1132;

    // The same from 2.6.31 on.
    public const uint InterruptPending = Data + 20;
    public const uint LaterRingStatus = Data + 24;
    public const uint LaterRingCalls = Data + 88;
    public const uint LaterDirectoryField = Data + 1376;
    public const uint LaterReservedMemory = Data + 1368;
    public const uint LaterTscKilohertz = Data + 1372;

    // The same from 3.1 on.
    public const uint LastNoInterruptRange = Data + 1376;
    public const uint LastSystemCallVector = Data + 1388;

    public const uint Shutdown = 2;
    public const uint Notify = 17;
    public const uint PowerOff = 1;
    public const uint Restart = 2;

    private const byte HypercallVector = 0x1f;
    private const uint Present = 1;
    private const uint PresentWritableUser = 7;
    private const uint QueueBytes = 3 * 0x1000;
    private const uint AvailableOffset = 256 * 16;
    private const uint UsedOffset = 0x2000;

    private readonly Dictionary<int, (ushort NextDescriptor, ushort NextAvailable)> _drivers = [];

    public VirtioGuest(GuestAbi abi, ClockKind clock = ClockKind.Virtual, params IGuestDevice[] devices)
    {
        Guest = new Guest(new GuestConfiguration { MemoryBytes = MemoryBytes, Abi = abi, Clock = clock, Devices = devices, GuestId = 0x1234 });
        uint entryBytes = (uint)abi.PageTables.EntryBytes;
        for (uint page = 0; page < 4096 / entryBytes; page++)
        {
            if (Guest.PhysicalMemory.Contains(page << 12, 4096))
            {
                Write(PageTable + (page * entryBytes), (page << 12) | PresentWritableUser);
            }
        }

        bool hasPae = abi.PageTables == PageTableFormat.Pae;
        Write(hasPae ? LowerDirectory : PageDirectory, PageTable | PresentWritableUser);
        if (hasPae)
        {
            Write(PageDirectory, LowerDirectory | Present);
        }

        (uint ringStatus, uint kernelAddress, uint systemCallVector) = abi.Id.Replace("-pae", string.Empty, StringComparison.Ordinal) switch
        {
            "2.6.31" or "2.6.34" => (LaterRingStatus, Data + 1388, Data + 1392),
            "3.1" or "4.0" => (LaterRingStatus, Data + 1384, LastSystemCallVector),
            "4.1" or "4.10" => (LaterRingStatus, Data + 1380, Data + 1384),
            _ => (RingStatus, Data + 1128, SystemCallVector),
        };
        Guest.PhysicalMemory.Span(ringStatus, 64).Fill(0xff);
        Write(BlockedInterrupts, 1);
        Write(kernelAddress, KernelAddress);
        Write(systemCallVector, 0x80);
        WriteText(Strings, "Power down");
        Guest.Start(new KernelEntry(Text, abi.Boot == BootMethod.UnpagedSubarchitecture ? null : PageDirectory));
        Guest.Processor.State.Esp = StackTop;
    }

    public Guest Guest { get; }

    /// <summary>The kernel's main program, which runs where it is.</summary>
    public void Kernel(Action<Assembler> program) => Assemble(Text, program);

    public void Assemble(uint physical, Action<Assembler> program)
    {
        var assembler = new Assembler(32);
        program(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), physical);
        Guest.PhysicalMemory.Write(physical, stream.ToArray());
    }

    /// <summary>A kernel that makes calls, sleeps from one IRQ 1 to the next until virtqueue 0 has so many chains used, and switches itself off.</summary>
    public void KernelThatSleepsAfter(Action<Assembler> program, short used = 1)
    {
        Assemble(Handler, a =>
        {
            a.mov(__dword_ptr[IrqEnabled], 0);
            a.iretd();
        });
        Kernel(a =>
        {
            Label again = a.CreateLabel();
            Label done = a.CreateLabel();
            Hypercall(a, 1, Data);
            Hypercall(a, 6, 33, (0x61u << 16) | Handler, 0x8e00);
            program(a);
            a.Label(ref again);
            a.cmp(__word_ptr[Rings + UsedOffset + 2], used);
            a.jae(done);
            Hypercall(a, 10);
            a.jmp(again);
            a.Label(ref done);
            Hypercall(a, Shutdown, Strings, PowerOff);
        });
    }

    public static void Hypercall(Assembler a, uint number, uint first = 0, uint second = 0, uint third = 0)
    {
        a.mov(eax, number);
        a.mov(edx, first);
        a.mov(ebx, second);
        a.mov(ecx, third);
        a.@int(HypercallVector);
    }

    /// <summary>A hypercall of 2.6.30 and later.</summary>
    public static void Vmcall(Assembler a, uint number, uint first = 0, uint second = 0, uint third = 0)
    {
        LoadLaterRegisters(a, number, first, second, third);
        a.vmcall();
    }

    /// <summary>A hypercall of 2.6.34 and later.</summary>
    public static void LaterHypercall(Assembler a, uint number, uint first = 0, uint second = 0, uint third = 0)
    {
        LoadLaterRegisters(a, number, first, second, third);
        a.@int(HypercallVector);
    }

    public GuestOutcome Run() => Guest.Run(new RunLimits(1_000_000));

    public void RunUntilPowerOff() => Assert.Equal(new GuestOutcome.PowerOff(0), Run());

    public static uint Queue(int number) => Rings + ((uint)number * QueueBytes);

    /// <summary>Makes a chain available in the driver's place.</summary>
    /// <returns>Its head.</returns>
    public ushort MakeAvailable(int queue, params (uint Address, uint Length, bool IsWritable)[] pieces)
    {
        (ushort next, ushort available) = _drivers.GetValueOrDefault(queue);
        ushort head = next;
        uint ring = Queue(queue);
        for (int i = 0; i < pieces.Length; i++, next++)
        {
            uint descriptor = ring + (next * 16u);
            bool isLast = i == pieces.Length - 1;
            Write(descriptor, pieces[i].Address);
            Write(descriptor + 4, 0);
            Write(descriptor + 8, pieces[i].Length);
            Write16(descriptor + 12, (ushort)((isLast ? 0 : 1) | (pieces[i].IsWritable ? 2 : 0)));
            Write16(descriptor + 14, (ushort)(next + 1));
        }

        Write16(ring + AvailableOffset + 4 + (available * 2u), head);
        Write16(ring + AvailableOffset + 2, ++available);
        _drivers[queue] = (next, available);
        return head;
    }

    /// <summary>The driver says that it is set up (DRIVER_OK), in a descriptor of fixed form.</summary>
    public void SetDriverReady(uint descriptor = Descriptors) => Write(descriptor + 4, [7]);

    /// <summary>The driver wants no interrupts of a virtqueue.</summary>
    public void Suppress(int queue) => Write16(Queue(queue) + AvailableOffset, 1);

    /// <summary>The used ring: heads and lengths.</summary>
    public (uint Head, uint Length)[] Used(int queue)
    {
        uint ring = Queue(queue) + UsedOffset;
        return [.. Enumerable.Range(0, Read16(ring + 2)).Select(i => (Read(ring + 4 + ((uint)i * 8)), Read(ring + 8 + ((uint)i * 8))))];
    }

    public uint Read(uint physical) => BinaryPrimitives.ReadUInt32LittleEndian(Guest.PhysicalMemory.Span(physical, 4));

    public ushort Read16(uint physical) => BinaryPrimitives.ReadUInt16LittleEndian(Guest.PhysicalMemory.Span(physical, 2));

    public byte[] Bytes(uint physical, int length) => Guest.PhysicalMemory.Span(physical, (uint)length).ToArray();

    public void Write(uint physical, uint value) => Guest.PhysicalMemory.Write(physical, BitConverter.GetBytes(value));

    public void Write16(uint physical, ushort value) => Guest.PhysicalMemory.Write(physical, BitConverter.GetBytes(value));

    public void Write(uint physical, ReadOnlySpan<byte> bytes) => Guest.PhysicalMemory.Write(physical, bytes);

    public void WriteText(uint physical, string text) => Write(physical, Encoding.ASCII.GetBytes(text + "\0"));

    public void Dispose() => Guest.Dispose();

    private static void LoadLaterRegisters(Assembler a, uint number, uint first, uint second, uint third)
    {
        a.mov(eax, number);
        a.mov(ebx, first);
        a.mov(ecx, second);
        a.mov(edx, third);
    }
}
