using System.Runtime.InteropServices;
using Lguest.Cpu.Protection;

namespace Lguest.Cpu.State;

/// <summary>
/// A segment register with its hidden part, which stays as loaded whatever becomes of the descriptor
/// (SDM 3A, 3.4.3).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct SegmentRegister
{
    /// <summary>The visible selector.</summary>
    public ushort Selector;

    /// <summary>Linear address of offset 0.</summary>
    public uint Base;

    /// <summary>The last valid offset, in bytes (the last invalid one, for an expand-down segment).</summary>
    public uint Limit;

    /// <summary>Type, S, DPL, P, D/B and G as bits 8-15 and 20-23 of the descriptor's second dword, or 0.</summary>
    public SegmentAccess Access;

    /// <summary>Whether the register holds a usable segment rather than a null selector.</summary>
    public readonly bool IsUsable => (Access & SegmentAccess.Present) != 0;

    /// <summary>Whether code or stack in this segment defaults to 32 bits (the D/B bit).</summary>
    public readonly bool IsDefault32 => (Access & SegmentAccess.Default32) != 0;

    /// <summary>Descriptor privilege level, 0 to 3.</summary>
    public readonly int Dpl => (int)((uint)Access >> 13) & 3;

    /// <summary>Whether the hidden parts are the same.</summary>
    internal readonly bool HasSameMeaning(in SegmentRegister other) =>
        Base == other.Base && Limit == other.Limit && Access == other.Access;
}

/// <summary>Bits of a segment descriptor's second dword (SDM 3A, figure 3-8).</summary>
[Flags]
public enum SegmentAccess : uint
{
    /// <summary>No bits: a null selector.</summary>
    None = 0,

    /// <summary>The segment has been loaded since software cleared this.</summary>
    Accessed = 1 << 8,

    /// <summary>Writable data, or readable code.</summary>
    WritableOrReadable = 1 << 9,

    /// <summary>Expand-down data, or conforming code.</summary>
    ExpandDownOrConforming = 1 << 10,

    /// <summary>Code rather than data.</summary>
    Code = 1 << 11,

    /// <summary>Code or data rather than a system descriptor (S).</summary>
    CodeOrData = 1 << 12,

    /// <summary>Present.</summary>
    Present = 1 << 15,

    /// <summary>32-bit code, stack or upper bound (D/B).</summary>
    Default32 = 1 << 22,

    /// <summary>The limit counts pages (G).</summary>
    Granularity = 1 << 23,
}

/// <summary>GDTR or IDTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct DescriptorTableRegister
{
    /// <summary>Linear address of the table.</summary>
    public uint Base;

    /// <summary>Offset of the table's last byte.</summary>
    public uint Limit;
}

/// <summary>The segment registers, in Intel's order of encoding.</summary>
public enum SegmentName
{
    /// <summary>Extra data.</summary>
    Es,

    /// <summary>Code.</summary>
    Cs,

    /// <summary>Stack.</summary>
    Ss,

    /// <summary>Data.</summary>
    Ds,

    /// <summary>More data.</summary>
    Fs,

    /// <summary>And more.</summary>
    Gs,
}
