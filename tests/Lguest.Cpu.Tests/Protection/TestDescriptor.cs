namespace Lguest.Cpu.Tests.Protection;

/// <summary>Descriptors and gates as the guest writes them (SDM 3A, figures 3-8, 5-8 and 6-2).</summary>
public static class TestDescriptor
{
    public const int ReadOnlyData = 0x10;
    public const int Data = 0x12;
    public const int ExpandDownData = 0x16;
    public const int ExecuteOnlyCode = 0x18;
    public const int Code = 0x1a;
    public const int ConformingCode = 0x1e;
    public const int Accessed = 1;

    public const int Tss16 = 1;
    public const int Ldt = 2;
    public const int BusyTss16 = 3;
    public const int CallGate16 = 4;
    public const int TaskGate = 5;
    public const int InterruptGate16 = 6;
    public const int TrapGate16 = 7;
    public const int Tss32 = 9;
    public const int BusyTss32 = 11;
    public const int CallGate32 = 12;
    public const int InterruptGate32 = 14;
    public const int TrapGate32 = 15;

    /// <summary>A segment of 4 GiB at 0.</summary>
    public static ulong Flat(int type, int dpl, bool present = true) =>
        Segment(0, 0xf_ffff, type, dpl, present, is32: true, pages: true);

    /// <summary>Any segment, LDT or TSS.</summary>
    public static ulong Segment(
        uint start, uint limit, int type, int dpl, bool present = true, bool is32 = true, bool pages = false)
    {
        ulong low = (limit & 0xffff) | (start << 16);
        ulong high = ((start >> 16) & 0xff) | ((uint)type << 8) | ((uint)dpl << 13) | (present ? 0x8000u : 0)
            | (limit & 0xf_0000) | (is32 ? 0x40_0000u : 0) | (pages ? 0x80_0000u : 0) | (start & 0xff00_0000);
        return low | (high << 32);
    }

    /// <summary>Any gate; a task gate has no offset.</summary>
    public static ulong Gate(int type, ushort selector, uint offset, int dpl, bool present = true, int parameters = 0)
    {
        ulong low = (offset & 0xffff) | ((uint)selector << 16);
        ulong high = (offset & 0xffff_0000) | ((uint)type << 8) | ((uint)dpl << 13) | (present ? 0x8000u : 0)
            | (uint)parameters;
        return low | (high << 32);
    }
}
