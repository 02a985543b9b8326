using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.State;

/// <summary>Bits of CR0 (SDM 3A, 2.5).</summary>
public static class Cr0
{
    /// <summary>Protection enable.</summary>
    public const uint Pe = 1u << 0;

    /// <summary>Monitor coprocessor: WAIT heeds TS.</summary>
    public const uint Mp = 1u << 1;

    /// <summary>Emulation: there is no x87.</summary>
    public const uint Em = 1u << 2;

    /// <summary>Task switched: the next x87, MMX or SSE instruction raises #NM.</summary>
    public const uint Ts = 1u << 3;

    /// <summary>Extension type, always 1.</summary>
    public const uint Et = 1u << 4;

    /// <summary>Numeric error: x87 errors are #MF.</summary>
    public const uint Ne = 1u << 5;

    /// <summary>Write protect: supervisor writes heed read-only pages.</summary>
    public const uint Wp = 1u << 16;

    /// <summary>Alignment mask: allows #AC at CPL 3.</summary>
    public const uint Am = 1u << 18;

    /// <summary>Not write-through.</summary>
    public const uint Nw = 1u << 29;

    /// <summary>Cache disable.</summary>
    public const uint Cd = 1u << 30;

    /// <summary>Paging.</summary>
    public const uint Pg = 1u << 31;
}

/// <summary>Bits of the model-specific register IA32_EFER (SDM 3A, 2.2.1).</summary>
public static class Efer
{
    /// <summary>No-execute enable: bit 63 of a PAE entry forbids to fetch code.</summary>
    public const uint Nxe = 1u << 11;
}

/// <summary>Bits of CR4 (SDM 3A, 2.5).</summary>
public static class Cr4
{
    /// <summary>Virtual-8086 mode extensions.</summary>
    public const uint Vme = 1u << 0;

    /// <summary>Protected-mode virtual interrupts.</summary>
    public const uint Pvi = 1u << 1;

    /// <summary>RDTSC at CPL 0 only.</summary>
    public const uint Tsd = 1u << 2;

    /// <summary>Debugging extensions.</summary>
    public const uint De = 1u << 3;

    /// <summary>4 MiB pages.</summary>
    public const uint Pse = 1u << 4;

    /// <summary>Physical address extension.</summary>
    public const uint Pae = 1u << 5;

    /// <summary>Machine check.</summary>
    public const uint Mce = 1u << 6;

    /// <summary>Global pages.</summary>
    public const uint Pge = 1u << 7;

    /// <summary>RDPMC at any CPL.</summary>
    public const uint Pce = 1u << 8;

    /// <summary>FXSAVE and FXRSTOR, and SSE.</summary>
    public const uint Osfxsr = 1u << 9;

    /// <summary>SSE exceptions are #XM rather than #UD.</summary>
    public const uint Osxmmexcpt = 1u << 10;
}
