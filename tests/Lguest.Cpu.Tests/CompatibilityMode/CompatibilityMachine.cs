using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// Our processor in the place where <see cref="CompatibilityProcessor"/> is: the same memory at the same linear addresses, the same
/// descriptors, CPL 3. The tables are where user code can't reach them.
/// </summary>
internal sealed class CompatibilityMachine : IExceptionHook, IDisposable
{
    private const uint Directory = 0x1000;
    private const uint LowTable = 0x2000;
    private const uint HighTable = 0x3000;
    private const uint Tables = 0x4000;
    private const uint Code = 0x1_0000;
    private const uint Data = 0x1_1000;
    private const uint MemorySize = 0x2_0000;

    // Linear addresses of the descriptor tables.
    private const uint Gdt = 0xFFC0_0000;
    private const uint Ldt = Gdt + 0x100;
    private const uint Tss = Gdt + 0x300;
    private const uint TssLimit = 0x67;
    private const uint TssPortBitmap = 0x66;
    private const int LinuxGdtEntries = 16;

    private const uint Present = 1;
    private const uint Writable = 2;
    private const uint User = 4;

    // Linux's table begins like this; none of its segments but these two is for users, and of 32 bits.
    private const ushort KernelCode = 0x10;
    private const ushort KernelData = 0x18;

    /// <summary>What Linux has for users, and what can't be had here: code of 64 bits, and the processor's number as a limit.</summary>
    private static readonly ushort[] Foreign = [0x30, 0x40, 0x48, 0x50, 0x58, 0x78];

    private readonly PhysicalMemory _memory = new();

    public CompatibilityMachine()
    {
        _memory.AddRam(0, MemorySize);
        Cpu = TestEngine.Create(_memory);
        Cpu.ExceptionHook = this;
        MakePageTables();
        MakeDescriptors();
        Cpu.WriteControlRegister(3, Directory);
        Cpu.WriteControlRegister(4, Cr4.Osfxsr | Cr4.Osxmmexcpt);
        Cpu.WriteControlRegister(0, Cr0.Pe | Cr0.Pg | Cr0.Wp | Cr0.Am | Cr0.Ne | Cr0.Mp);
    }

    public Processor Cpu { get; }

    /// <summary>The exception that ended the last run, or null.</summary>
    public ExceptionInfo? Exception { get; set; }

    /// <summary>Whether a selector names a descriptor of the host's that our table doesn't have.</summary>
    public static bool IsForeign(uint selector) => Array.IndexOf(Foreign, (ushort)(selector & ~3u & 0xFFFF)) >= 0;

    /// <summary>Writes a part of the page of code.</summary>
    public void WriteCode(uint offset, ReadOnlySpan<byte> bytes) => _memory.Write(Code + offset, bytes);

    /// <summary>A page of data.</summary>
    public Span<byte> Page(int number) => _memory.Span(Data + (uint)number * LowMemory.PageSize, LowMemory.PageSize);

    /// <summary>Replaces a page of data.</summary>
    public void WritePage(int number, ReadOnlySpan<byte> bytes) => _memory.Write(Data + (uint)number * LowMemory.PageSize, bytes);

    /// <summary>Loads a segment register from a descriptor that is a good one, without any check.</summary>
    public void Load(SegmentName name, ushort selector)
    {
        if ((selector & ~3) == 0)
        {
            Cpu.SetSegment(name, new SegmentRegister { Selector = selector });
            return;
        }

        bool isLocal = (selector & 4) != 0;
        ulong descriptor = BitConverter.ToUInt64(_memory.Span(Tables + ((isLocal ? Ldt : Gdt) & PhysicalMemory.PageOffsetMask) + (selector & ~7u), 8));
        uint high = (uint)(descriptor >> 32);
        uint limit = (uint)(descriptor & 0xffff) | (high & 0xf_0000);
        Cpu.SetSegment(name, new SegmentRegister
        {
            Selector = selector,
            Base = (uint)(descriptor >> 16) & 0xff_ffff | (high & 0xff00_0000),
            Limit = (high & 0x80_0000) != 0 ? (limit << 12) | 0xfff : limit,
            Access = (SegmentAccess)(high & 0xf0_ff00),
        });
    }

    /// <summary>A segment register.</summary>
    public SegmentRegister Segment(SegmentName name) => name switch
    {
        SegmentName.Es => Cpu.State.Es,
        SegmentName.Cs => Cpu.State.Cs,
        SegmentName.Ss => Cpu.State.Ss,
        SegmentName.Ds => Cpu.State.Ds,
        SegmentName.Fs => Cpu.State.Fs,
        _ => Cpu.State.Gs,
    };

    public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
    {
        Exception = exception;
        return ExceptionDisposition.Stop;
    }

    public void Dispose()
    {
        Cpu.Dispose();
        _memory.Dispose();
    }

    private void MakePageTables()
    {
        WriteEntry(Directory, LowMemory.Base >> 22, LowTable | Present | Writable | User);
        WriteEntry(Directory, Gdt >> 22, HighTable | Present | Writable);
        WriteEntry(HighTable, 0, Tables | Present | Writable);
        WriteEntry(LowTable, PageOf(LowMemory.Code), Code | Present | User);
        for (uint page = 0; page < LowMemory.DataPages; page++)
        {
            uint rights = page switch
            {
                LowMemory.MissingPage => 0,
                LowMemory.ReadOnlyPage => Present | User,
                _ => Present | User | Writable,
            };
            WriteEntry(LowTable, PageOf(LowMemory.Data) + page, (Data + page * LowMemory.PageSize) | rights);
        }
    }

    private void MakeDescriptors()
    {
        WriteDescriptor(KernelCode, TestDescriptor.Flat(TestDescriptor.Code | TestDescriptor.Accessed, 0));
        WriteDescriptor(KernelData, TestDescriptor.Flat(TestDescriptor.Data | TestDescriptor.Accessed, 0));
        WriteDescriptor(CompatibilityEntry.FlatCode, TestDescriptor.Flat(TestDescriptor.Code | TestDescriptor.Accessed, 3));
        WriteDescriptor(CompatibilityEntry.FlatData, TestDescriptor.Flat(TestDescriptor.Data | TestDescriptor.Accessed, 3));
        _memory.Write(Tables + (Ldt & PhysicalMemory.PageOffsetMask), LocalDescriptors.Table);
        _memory.Write(Tables + ((Tss + TssPortBitmap) & PhysicalMemory.PageOffsetMask), [0xFF, 0xFF]);
        ref ProcessorState state = ref Cpu.State;
        state.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = (LinuxGdtEntries * 8) - 1 };
        state.Ldtr = new SegmentRegister
        {
            Selector = 0x50, Base = Ldt, Limit = (uint)LocalDescriptors.Length - 1,
            Access = SegmentAccess.Present | (SegmentAccess)(TestDescriptor.Ldt << 8),
        };
        state.Tr = new SegmentRegister
        {
            Selector = 0x40, Base = Tss, Limit = TssLimit, Access = SegmentAccess.Present | (SegmentAccess)(TestDescriptor.BusyTss32 << 8),
        };
    }

    private void WriteDescriptor(ushort selector, ulong descriptor) =>
        _memory.Write(Tables + (Gdt & PhysicalMemory.PageOffsetMask) + (selector & ~7u), BitConverter.GetBytes(descriptor));

    private void WriteEntry(uint table, uint number, uint entry) => _memory.Write(table + 4 * number, BitConverter.GetBytes(entry));

    private static uint PageOf(uint linear) => (linear >> 12) & 0x3FF;
}
