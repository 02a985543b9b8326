using System.Buffers.Binary;
using System.Text;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Traps;

namespace Lguest.Host.Tests.Dialects;

/// <summary>
/// A guest of 1 MiB of one dialect: as it is when its loader has put the kernel into memory. The kernel is assembled by the test and brings what is
/// data in a kernel's image: lguest_data with its constants, a GDT, page tables.
/// </summary>
public sealed class DialectGuest : IDisposable
{
    public const uint MemoryBytes = 0x10_0000;
    public const uint KernelAddress = 0xc000_0000;

    // Physical addresses.
    public const uint Entry = 0x1000;
    public const uint Data = 0x2000;
    public const uint Variables = 0x3000;
    public const uint Gdt = 0x4000;
    public const uint Tls = 0x4100;
    public const uint Strings = 0x4200;
    public const uint BootStackTop = 0x8000;
    public const uint KernelStackTop = 0xa000;
    public const uint ReturnPath = 0xb000;
    public const uint Handlers = 0xc000;
    public const uint Text = 0x1_0000;
    public const uint Results = 0x3_0000;
    public const uint Buffers = 0x4_0000;
    public const uint Rings = 0x5_0000;
    public const uint UserCode = 0x6_0000;
    public const uint UserStack = 0x6_1000;
    public const uint PageZero = 0x6_2000;
    public const uint PageOne = 0x6_3000;
    public const uint PageTwo = 0x6_4000;

    // The kernel's page tables. With PAE a top table has four entries, and a directory of its own is below each.
    public const uint Directory = 0xe_0000;
    public const uint LowerDirectory = 0xe_1000;
    public const uint KernelDirectory = 0xe_2000;
    public const uint LinearTable = 0xe_3000;
    public const uint WindowTable = 0xe_4000;
    public const uint UserTable = 0xe_5000;

    /// <summary>Those of a second address space, whose top table is aligned as little as may be.</summary>
    public const uint SecondDirectory = 0xe_6020;
    public const uint SecondTwoLevelDirectory = 0xe_7000;
    public const uint SecondLowerDirectory = 0xe_8000;
    public const uint SecondUserTable = 0xe_9000;
    public const uint SecondWindowTable = 0xe_a000;
    public const uint OtherKernelDirectory = 0xe_b000;

    // What the loader has made, if the dialect's does.
    public const uint FirstDirectory = 0xf_0000;
    public const uint FirstLowerDirectory = 0xf_1000;
    public const uint FirstTable = 0xf_2000;

    /// <summary>The kernel's virtual addresses for what it maps as it goes.</summary>
    public const uint Window = KernelAddress + (4 << 20);

    /// <summary>The user program's.</summary>
    public const uint User = 4 << 20;

    public const ushort KernelCode = 0x61;
    public const ushort KernelData = 0x69;
    public const ushort UserCodeSelector = 0x73;
    public const ushort UserDataSelector = 0x7b;

    /// <summary>GDT entries that the kernel uses for trying.</summary>
    public const int PlainEntry = 20;
    public const int AbsentEntry = 21;
    public const int AbsentStackEntry = 22;
    public const int PercpuEntry = 27;

    public const uint PresentWritable = 0x63;
    public const uint PresentWritableUser = 0x67;
    public const uint PresentReadOnly = 0x21;
    public const uint PresentReadOnlyUser = 0x25;

    /// <summary>What stands behind lguest_data, and stays there.</summary>
    public const uint Behind = 0x1357_9bdf;

    private const uint FlagsOfLoader = 7;
    private const uint PresentInPae = 1;
    private const ulong FlatCode = 0x00cf_9a00_0000_ffff;
    private const ulong FlatData = 0x00cf_9200_0000_ffff;
    private const ulong UserBit = 0x0000_6000_0000_0000;
    private const ulong PresentBit = 0x0000_8000_0000_0000;
    private const ulong RingOneBit = 0x0000_2000_0000_0000;
    private const int RingSlots = 64;

    private readonly Dialect _dialect;

    public DialectGuest(Dialect dialect, IReadOnlyList<IGuestDevice> devices, EngineKind engine = EngineKind.Auto)
    {
        _dialect = dialect;
        Guest = new Guest(new GuestConfiguration
        {
            MemoryBytes = MemoryBytes,
            Abi = KnownAbis.All.Single(each => each.Id == dialect.Id),
            Clock = ClockKind.Virtual,
            Date = Date,
            Devices = devices,
            GuestId = 0x1234,
            Engine = engine,
        });
        WriteFirstTables();
        WriteKernelTables();
        WriteGdt();
        WriteStructure();
        WriteText(Strings, "Power down");
        Write(PageOne, 1);
        Write(PageTwo, 2);
    }

    /// <summary>When it starts.</summary>
    public static DateTimeOffset Date { get; } = new(2009, 6, 9, 12, 0, 0, TimeSpan.Zero);

    public Guest Guest { get; }

    public static uint Linear(uint physical) => KernelAddress + physical;

    /// <summary>Where an entry of a page table is.</summary>
    public uint EntryOf(uint table, uint index) => table + (index * _dialect.EntryBytes);

    /// <summary>Where the entry of the top table is that leads to an address: a directory's, or with PAE a pointer's.</summary>
    public uint TopEntryOf(uint table, uint address) => EntryOf(table, TopIndexOf(address));

    public uint TopIndexOf(uint address) => address >> (_dialect.HasPae ? 30 : 22);

    /// <summary>The top table of the second address space.</summary>
    public uint Second => _dialect.HasPae ? SecondDirectory : SecondTwoLevelDirectory;

    /// <summary>Starts the kernel, as its loader would; the rest is the kernel's.</summary>
    public void Start()
    {
        Guest.Start(_dialect.FirstTables switch
        {
            FirstTables.Linear => new KernelEntry(Linear(Entry), FirstDirectory, KernelAddress),
            FirstTables.None => new KernelEntry(Entry),
            _ => new KernelEntry(Entry, FirstDirectory),
        });
    }

    public uint Read(uint physical) => BinaryPrimitives.ReadUInt32LittleEndian(Guest.PhysicalMemory.Span(physical, 4));

    public byte[] Bytes(uint physical, int length) => Guest.PhysicalMemory.Span(physical, (uint)length).ToArray();

    public void Write(uint physical, uint value) => Guest.PhysicalMemory.Write(physical, BitConverter.GetBytes(value));

    public void Write(uint physical, ReadOnlySpan<byte> bytes) => Guest.PhysicalMemory.Write(physical, bytes);

    public void WriteText(uint physical, string text) => Write(physical, Encoding.ASCII.GetBytes(text + "\0"));

    public void Dispose() => Guest.Dispose();

    private void WriteFirstTables()
    {
        FillLinearly(FirstTable, FlagsOfLoader);
        if (_dialect.HasPae)
        {
            Write(FirstLowerDirectory, FirstTable | FlagsOfLoader);
        }

        (uint below, uint flags) = _dialect.HasPae ? (FirstLowerDirectory, PresentInPae) : (FirstTable, FlagsOfLoader);
        if (_dialect.FirstTables != FirstTables.Linear)
        {
            Write(FirstDirectory, below | flags);
        }

        // From 3.1 on these are the kernel's own.
        if (_dialect.FirstTables is FirstTables.Linear or FirstTables.None)
        {
            Write(TopEntryOf(FirstDirectory, KernelAddress), below | flags);
        }
    }

    /// <summary>Memory at the kernel's address for the kernel alone, an empty table for its window, and five pages for a user program.</summary>
    private void WriteKernelTables()
    {
        FillLinearly(LinearTable, PresentWritable);
        uint[] tables = [UserTable, SecondUserTable];
        foreach (uint table in tables)
        {
            Write(EntryOf(table, 0), UserCode | PresentReadOnlyUser);
            Write(EntryOf(table, 1), UserStack | PresentWritableUser);
            Write(EntryOf(table, 2), PageZero | PresentReadOnlyUser);
            Write(EntryOf(table, 3), PageZero | PresentWritable);
            Write(EntryOf(table, 5), (table == UserTable ? PageOne : PageTwo) | PresentWritableUser);
        }

        Write(EntryOf(WindowTable, 1), PageZero | PresentReadOnly);
        Write(EntryOf(WindowTable, 2), PageOne | PresentWritable);
        Write(EntryOf(SecondWindowTable, 2), PageTwo | PresentWritable);
        if (_dialect.HasPae)
        {
            WritePaeDirectories();
            return;
        }

        foreach ((uint directory, uint user) in (ReadOnlySpan<(uint, uint)>)[(Directory, UserTable), (SecondTwoLevelDirectory, SecondUserTable)])
        {
            Write(TopEntryOf(directory, KernelAddress), LinearTable | PresentWritable);
            Write(TopEntryOf(directory, Window), WindowTable | PresentWritable);
            Write(TopEntryOf(directory, User), user | PresentWritableUser);
        }
    }

    private void WritePaeDirectories()
    {
        const uint FourMebibytes = 2;
        Write(EntryOf(LowerDirectory, FourMebibytes), UserTable | PresentWritableUser);
        Write(EntryOf(SecondLowerDirectory, FourMebibytes), SecondUserTable | PresentWritableUser);
        Write(EntryOf(KernelDirectory, 0), LinearTable | PresentWritable);
        Write(EntryOf(KernelDirectory, FourMebibytes), WindowTable | PresentWritable);
        Write(EntryOf(OtherKernelDirectory, 0), LinearTable | PresentWritable);
        Write(EntryOf(OtherKernelDirectory, FourMebibytes), SecondWindowTable | PresentWritable);
        Write(TopEntryOf(Directory, User), LowerDirectory | PresentInPae);
        Write(TopEntryOf(SecondDirectory, User), SecondLowerDirectory | PresentInPae);
        Write(TopEntryOf(Directory, KernelAddress), KernelDirectory | PresentInPae);
        Write(TopEntryOf(SecondDirectory, KernelAddress), KernelDirectory | PresentInPae);
    }

    private void FillLinearly(uint table, uint flags)
    {
        for (uint page = 0; page < MemoryBytes >> 12; page++)
        {
            Write(EntryOf(table, page), (page << 12) | flags);
        }
    }

    /// <summary>Kernel segments with DPL 0, as Linux has them, user ones, some to try, and entries that are the host's.</summary>
    private void WriteGdt()
    {
        WriteDescriptor(Gdt, 12, FlatCode);
        WriteDescriptor(Gdt, 13, FlatData);
        WriteDescriptor(Gdt, 14, FlatCode | UserBit);
        WriteDescriptor(Gdt, 15, FlatData | UserBit);
        WriteDescriptor(Gdt, PlainEntry, FlatData);
        WriteDescriptor(Gdt, AbsentEntry, FlatData & ~PresentBit);
        WriteDescriptor(Gdt, AbsentStackEntry, (FlatData & ~PresentBit) | RingOneBit);
        WriteDescriptor(Gdt, PercpuEntry, WithBase(Linear(PageOne)));
        foreach (uint entry in (ReadOnlySpan<uint>)[10, 11, 16, 31])
        {
            WriteDescriptor(Gdt, entry, FlatData);
        }

        WriteDescriptor(Tls, 0, WithBase(Linear(PageTwo)) | UserBit);
        WriteDescriptor(Tls, 1, FlatData);
        WriteDescriptor(Tls, 2, WithBase(Linear(PageOne)) | UserBit);
    }

    /// <summary>Data of 4 GiB from an address on.</summary>
    public static ulong WithBase(uint address) =>
        FlatData | ((ulong)(address & 0xff_ffff) << 16) | ((ulong)(address & 0xff00_0000) << 32);

    private void WriteDescriptor(uint table, uint entry, ulong value)
    {
        Write(table + (entry * 8), (uint)value);
        Write(table + (entry * 8) + 4, (uint)(value >> 32));
    }

    private void WriteStructure()
    {
        StructureLayout layout = _dialect.Structure;
        Write(Data + layout.BlockedInterrupts, 1);
        Guest.PhysicalMemory.Span(Data + layout.RingStatus, RingSlots).Fill(0xff);
        if (layout.KernelAddress is uint kernelAddress && layout.SystemCallVector is uint vector)
        {
            Write(Data + kernelAddress, KernelAddress);
            Write(Data + vector, 0x80);
        }

        Write(Data + layout.Size, Behind);
    }
}
