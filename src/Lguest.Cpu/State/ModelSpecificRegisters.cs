using System.Runtime.InteropServices;

namespace Lguest.Cpu.State;

/// <summary>Model-specific registers with storage.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ModelSpecificRegisters
{
    /// <summary>IA32_APIC_BASE.BSP: this is the processor that boots; the APIC isn't there.</summary>
    public const ulong BootProcessor = 1 << 8;

    /// <summary>IA32_MISC_ENABLE: fast strings.</summary>
    public const ulong FastStrings = 1;

    /// <summary>IA32_PAT after reset (SDM 3A, table 11-12).</summary>
    public const ulong ResetPat = 0x0007_0406_0007_0406;

    /// <summary>What RDTSC adds to the machine's clock: written by WRMSR to the counter.</summary>
    public ulong TimeStampOffset;

    /// <summary>IA32_APIC_BASE.</summary>
    public ulong ApicBase;

    /// <summary>IA32_PAT.</summary>
    public ulong Pat;

    /// <summary>IA32_MISC_ENABLE.</summary>
    public ulong MiscEnable;

    /// <summary>IA32_SYSENTER_CS, from whose selector those of SYSENTER and SYSEXIT are counted.</summary>
    public uint SysenterCs;

    /// <summary>IA32_SYSENTER_ESP.</summary>
    public uint SysenterEsp;

    /// <summary>IA32_SYSENTER_EIP.</summary>
    public uint SysenterEip;

    /// <summary>IA32_EFER, of which nothing above bit 31 can be set.</summary>
    public uint Efer;
}
