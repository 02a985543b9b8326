using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>Types of system descriptors (SDM 3A, table 3-2).</summary>
internal static class SystemDescriptorType
{
    public const int AvailableTss16 = 1;
    public const int Ldt = 2;
    public const int BusyTss16 = 3;
    public const int CallGate16 = 4;
    public const int TaskGate = 5;
    public const int InterruptGate16 = 6;
    public const int TrapGate16 = 7;
    public const int AvailableTss32 = 9;
    public const int BusyTss32 = 11;
    public const int CallGate32 = 12;
    public const int InterruptGate32 = 14;
    public const int TrapGate32 = 15;

    /// <summary>In a TSS's type: a task runs in it, or is interrupted in it.</summary>
    public const int BusyBit = 2;

    /// <summary>In the type of a gate or a TSS: the 32-bit kind.</summary>
    public const int Is32Bit = 8;
}

/// <summary>Bits of selectors and of the error codes made from them (SDM 3A, 3.4.2 and 6.13).</summary>
internal static class Selector
{
    /// <summary>Requested privilege level.</summary>
    public const int RplMask = 3;

    /// <summary>In the LDT rather than the GDT.</summary>
    public const int TableIndicator = 4;

    /// <summary>In an error code: an event from outside the program led here.</summary>
    public const uint ErrorExternal = 1;

    /// <summary>In an error code: the index is a gate's in the IDT.</summary>
    public const uint ErrorIdt = 2;

    /// <summary>Whether it is one of the four null selectors.</summary>
    public static bool IsNull(ushort selector) => (selector & ~RplMask) == 0;

    /// <summary>The error code that names a selector.</summary>
    public static uint ErrorCode(ushort selector) => (uint)selector & ~(uint)RplMask;
}

/// <summary>A segment descriptor or gate, as its two dwords (SDM 3A, 3.4.5 and 5.8.3).</summary>
/// <param name="Low">Bytes 0 to 3.</param>
/// <param name="High">Bytes 4 to 7.</param>
internal readonly record struct Descriptor(uint Low, uint High)
{
    private const uint AccessBits = 0x00f0_ff00;

    /// <summary>Type, S, DPL, P, D/B and G.</summary>
    public SegmentAccess Access => (SegmentAccess)(High & AccessBits);

    /// <summary>Descriptor privilege level.</summary>
    public int Dpl => (int)(High >> 13) & 3;

    /// <summary>P.</summary>
    public bool IsPresent => (Access & SegmentAccess.Present) != 0;

    /// <summary>Code or data, rather than a system descriptor.</summary>
    public bool IsCodeOrData => (Access & SegmentAccess.CodeOrData) != 0;

    /// <summary>A code segment.</summary>
    public bool IsCode => (Access & (SegmentAccess.CodeOrData | SegmentAccess.Code)) == (SegmentAccess.CodeOrData | SegmentAccess.Code);

    /// <summary>A conforming code segment.</summary>
    public bool IsConforming => IsCode && (Access & SegmentAccess.ExpandDownOrConforming) != 0;

    /// <summary>A writable data segment.</summary>
    public bool IsWritableData =>
        (Access & (SegmentAccess.CodeOrData | SegmentAccess.Code | SegmentAccess.WritableOrReadable))
        == (SegmentAccess.CodeOrData | SegmentAccess.WritableOrReadable);

    /// <summary>A data segment, or a code segment that can be read.</summary>
    public bool IsReadable => IsCodeOrData
        && (Access & (SegmentAccess.Code | SegmentAccess.WritableOrReadable)) != SegmentAccess.Code;

    /// <summary>A system descriptor's type.</summary>
    public int SystemType => (int)(High >> 8) & 0xf;

    /// <summary>Base.</summary>
    public uint Base => (Low >> 16) | ((High & 0xff) << 16) | (High & 0xff00_0000);

    /// <summary>Limit in bytes, whatever the granularity.</summary>
    public uint Limit
    {
        get
        {
            uint limit = (Low & 0xffff) | (High & 0xf_0000);
            return (Access & SegmentAccess.Granularity) != 0 ? (limit << 12) | 0xfff : limit;
        }
    }

    /// <summary>A gate's code or TSS selector.</summary>
    public ushort GateSelector => (ushort)(Low >> 16);

    /// <summary>A 32-bit gate's entry point.</summary>
    public uint GateOffset32 => (Low & 0xffff) | (High & 0xffff_0000);

    /// <summary>A 16-bit gate's entry point.</summary>
    public uint GateOffset16 => Low & 0xffff;

    /// <summary>Parameters that a call gate copies, in words of its size.</summary>
    public int GateParameters => (int)High & 0x1f;

    /// <summary>The segment register that this descriptor makes.</summary>
    public SegmentRegister ToRegister(ushort selector) =>
        new() { Selector = selector, Base = Base, Limit = Limit, Access = Access };
}
