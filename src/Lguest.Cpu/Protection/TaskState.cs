using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>Where things are in a task-state segment (SDM 3A, figures 7-2 and 7-10).</summary>
internal static class TaskState
{
    /// <summary>Offset of the previous task's selector, in both kinds.</summary>
    public const uint Link = 0;

    /// <summary>Last offset that a 32-bit TSS must have.</summary>
    public const uint MinLimit32 = 0x67;

    /// <summary>Last offset that a 16-bit TSS must have.</summary>
    public const uint MinLimit16 = 0x2b;

    public const uint Cr3 = 0x1c;
    public const uint Eip32 = 0x20;
    public const uint Eflags32 = 0x24;
    public const uint General32 = 0x28;
    public const uint Segments32 = 0x48;
    public const uint Ldt32 = 0x60;
    public const uint Trap = 0x64;

    public const uint Ip16 = 0x0e;
    public const uint Flags16 = 0x10;
    public const uint General16 = 0x12;
    public const uint Segments16 = 0x22;
    public const uint Ldt16 = 0x2a;

    /// <summary>Whether a TSS register or descriptor is of the 32-bit kind.</summary>
    public static bool Is32Bit(SegmentAccess access) => ((int)((uint)access >> 8) & SystemDescriptorType.Is32Bit) != 0;
}
