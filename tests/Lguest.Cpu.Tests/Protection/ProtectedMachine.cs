using Iced.Intel;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>
/// A machine with a GDT, an IDT and a TSS. Each vector has a handler that halts, so that a run ends where a program ends up:
/// see <see cref="EnteredVector"/>. Exceptions are delivered, and recorded on their way.
/// </summary>
public sealed class ProtectedMachine : IDisposable
{
    public const uint Gdt = 0x1_0000;
    public const uint Ldt = 0x1_1000;
    public const uint Idt = 0x1_2000;
    public const uint Tss = 0x1_3000;
    public const uint OtherTss = 0x1_3800;
    public const uint Handlers = 0x1_4000;
    public const uint InnerStack0 = 0x1_6000;
    public const uint InnerStack1 = 0x1_7000;
    public const int GdtEntries = 64;

    /// <summary>What isn't mapped after <see cref="MapWithHole"/>, and the page after it.</summary>
    public const uint MissingPage = 0x3_0000;
    public const uint PageAfterMissing = MissingPage + 0x1000;

    /// <summary>The page table of the low 4 MiB, after <see cref="MapWithHole"/>.</summary>
    public const uint Tables = 0x2_1000;

    public const ushort Code0 = 0x08;
    public const ushort Data0 = 0x10;
    public const ushort Code3 = 0x1b;
    public const ushort Data3 = 0x23;
    public const ushort Code1 = 0x29;
    public const ushort Data1 = 0x31;
    public const ushort Conforming0 = 0x38;
    public const ushort ExecuteOnly0 = 0x40;
    public const ushort ReadOnly3 = 0x4b;
    public const ushort ExpandDown0 = 0x50;
    public const ushort AbsentData0 = 0x58;
    public const ushort AbsentCode0 = 0x60;
    public const ushort LdtSelector = 0x68;
    public const ushort TssSelector = 0x70;
    public const ushort OtherTssSelector = 0x78;
    public const ushort Conforming3 = 0x83;
    public const ushort Code16 = 0x88;
    public const ushort Data16 = 0x90;

    /// <summary>Empty entries of the GDT, for tests to fill.</summary>
    public const ushort Free = 0xa0;
    public const ushort Free2 = 0xa8;
    public const ushort Free3 = 0xb0;

    /// <summary>The first selector beyond the GDT.</summary>
    public const ushort Beyond = GdtEntries * 8;

    private readonly Machine _machine = new() { StopAtExceptions = false };

    public ProtectedMachine()
    {
        SetDescriptor(Code0, TestDescriptor.Flat(TestDescriptor.Code, 0));
        SetDescriptor(Data0, TestDescriptor.Flat(TestDescriptor.Data, 0));
        SetDescriptor(Code3, TestDescriptor.Flat(TestDescriptor.Code, 3));
        SetDescriptor(Data3, TestDescriptor.Flat(TestDescriptor.Data, 3));
        SetDescriptor(Code1, TestDescriptor.Flat(TestDescriptor.Code, 1));
        SetDescriptor(Data1, TestDescriptor.Flat(TestDescriptor.Data, 1));
        SetDescriptor(Conforming0, TestDescriptor.Flat(TestDescriptor.ConformingCode, 0));
        SetDescriptor(Conforming3, TestDescriptor.Flat(TestDescriptor.ConformingCode, 3));
        SetDescriptor(ExecuteOnly0, TestDescriptor.Flat(TestDescriptor.ExecuteOnlyCode, 0));
        SetDescriptor(ReadOnly3, TestDescriptor.Flat(TestDescriptor.ReadOnlyData, 3));
        SetDescriptor(ExpandDown0, TestDescriptor.Segment(0, 0xfff, TestDescriptor.ExpandDownData, 0));
        SetDescriptor(AbsentData0, TestDescriptor.Flat(TestDescriptor.Data, 0, present: false));
        SetDescriptor(AbsentCode0, TestDescriptor.Flat(TestDescriptor.Code, 0, present: false));
        SetDescriptor(LdtSelector, TestDescriptor.Segment(Ldt, 0x7f, TestDescriptor.Ldt, 0));
        SetDescriptor(TssSelector, TestDescriptor.Segment(Tss, 0x67, TestDescriptor.BusyTss32, 0, is32: false));
        SetDescriptor(OtherTssSelector, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.Tss32, 0, is32: false));
        SetDescriptor(Code16, TestDescriptor.Segment(0, 0xffff, TestDescriptor.Code, 0, is32: false));
        SetDescriptor(Data16, TestDescriptor.Segment(0, 0xffff, TestDescriptor.Data, 0, is32: false));
        for (int vector = 0; vector < 256; vector++)
        {
            SetGate(vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(vector), 0));
            Memory.Write(HandlerOf(vector), [0xf4]);
        }

        Machine.WriteUInt32(Tss + 4, InnerStack0);
        Machine.WriteUInt32(Tss + 8, Data0);
        Machine.WriteUInt32(Tss + 12, InnerStack1);
        Machine.WriteUInt32(Tss + 16, Data1);

        // No I/O permission bitmap: it would begin beyond the limit.
        Machine.WriteUInt32(Tss + 0x64, 0x0068_0000);
        ref ProcessorState state = ref Cpu.State;
        state.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = (GdtEntries * 8) - 1 };
        state.Idtr = new DescriptorTableRegister { Base = Idt, Limit = (256 * 8) - 1 };
        LoadTask();
        EnterRing(0);
    }

    public Machine Machine => _machine;

    public Processor Cpu => _machine.Cpu;

    public Memory.PhysicalMemory Memory => _machine.Memory;

    public ref ProcessorState State => ref _machine.Cpu.State;

    public List<ExceptionInfo> Exceptions => _machine.Exceptions;

    /// <summary>The vector whose handler the processor halted in, or -1.</summary>
    public int EnteredVector
    {
        get
        {
            uint offset = State.Eip - 1 - Handlers;
            return offset < 256 ? (int)offset : -1;
        }
    }

    /// <summary>Where a vector's handler is.</summary>
    public static uint HandlerOf(int vector) => Handlers + (uint)vector;

    /// <summary>Writes an entry of the GDT, or of the LDT for selectors with TI set.</summary>
    public void SetDescriptor(ushort selector, ulong descriptor) =>
        Memory.Write(AddressOf(selector), BitConverter.GetBytes(descriptor));

    public ulong GetDescriptor(ushort selector) => BitConverter.ToUInt64(Memory.Span(AddressOf(selector), 8));

    public void SetGate(int vector, ulong gate) => Memory.Write(Idt + ((uint)vector * 8), BitConverter.GetBytes(gate));

    /// <summary>Loads flat segments of a ring, as if by magic.</summary>
    public void EnterRing(int ring)
    {
        (ushort code, ushort data) = ring switch
        {
            0 => (Code0, Data0),
            1 => (Code1, Data1),
            _ => (Code3, Data3),
        };
        Load(SegmentName.Cs, code);
        foreach (SegmentName name in (SegmentName[])[SegmentName.Ss, SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs])
        {
            Load(name, data);
        }
    }

    /// <summary>Loads a segment register from its descriptor without any check.</summary>
    public void Load(SegmentName name, ushort selector)
    {
        ulong descriptor = GetDescriptor(selector);
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

    /// <summary>Puts the TSS into TR.</summary>
    public void LoadTask() => State.Tr = new SegmentRegister
    {
        Selector = TssSelector,
        Base = Tss,
        Limit = 0x67,
        Access = SegmentAccess.Present | (SegmentAccess)(TestDescriptor.BusyTss32 << 8),
    };

    /// <summary>Puts the LDT into LDTR.</summary>
    public void LoadLdt() => State.Ldtr = new SegmentRegister
    {
        Selector = LdtSelector, Base = Ldt, Limit = 0x7f, Access = SegmentAccess.Present | (SegmentAccess)(TestDescriptor.Ldt << 8),
    };

    /// <summary>Assembles at the usual place and runs to the first halt.</summary>
    public StopReason Run(Action<Assembler> program, ulong limit = 1000)
    {
        _machine.Assemble(program);
        return Cpu.Run(limit);
    }

    /// <summary>Assembles at the usual place and retires that many instructions at most, perhaps with EAX set before.</summary>
    public StopReason Step(Action<Assembler> program, ulong instructions = 1, uint? eax = null)
    {
        State.Eax = eax ?? State.Eax;
        return Run(program, instructions);
    }

    /// <summary>Turns paging on, with every low page at its own address but for one that is missing.</summary>
    public void MapWithHole()
    {
        const uint Directory = 0x2_0000;
        const uint Writable = 7;
        for (uint page = 0; page < 1024; page++)
        {
            SetPage(page << 12, (page << 12) | Writable);
        }

        SetPage(MissingPage, 0);
        Machine.WriteUInt32(Directory, Tables | Writable);
        Cpu.WriteControlRegister(3, Directory);
        Cpu.WriteControlRegister(0, Cpu.ReadControlRegister(0) | Cr0.Pg | Cr0.Wp);
    }

    /// <summary>Changes a page table entry of the low 4 MiB.</summary>
    public void SetPage(uint linear, uint entry) => Machine.WriteUInt32(Tables + (4 * (linear >> 12)), entry);

    /// <summary>What is in <see cref="Tables"/>.</summary>
    public ReadOnlySpan<uint> Pages => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(Memory.Span(Tables, 0x1000));

    /// <summary>A dword of the current stack, 0 being the top one.</summary>
    public uint StackDword(int index)
    {
        uint mask = State.Ss.IsDefault32 ? uint.MaxValue : ushort.MaxValue;
        return Machine.ReadUInt32(State.Ss.Base + ((State.Esp + ((uint)index * 4)) & mask));
    }

    /// <summary>A word of the current stack, 0 being the top one.</summary>
    public ushort StackWord(int index)
    {
        uint mask = State.Ss.IsDefault32 ? uint.MaxValue : ushort.MaxValue;
        return BitConverter.ToUInt16(Memory.Span(State.Ss.Base + ((State.Esp + ((uint)index * 2)) & mask), 2));
    }

    public void Dispose() => _machine.Dispose();

    private static uint AddressOf(ushort selector) => ((selector & 4) != 0 ? Ldt : Gdt) + ((uint)selector & ~7u);
}
