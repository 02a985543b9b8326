using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.State;

/// <summary>Bits of EFLAGS (SDM 1, 3.4.3).</summary>
public static class Eflags
{
    /// <summary>Carry.</summary>
    public const uint Cf = 1 << 0;

    /// <summary>Bit 1, which always reads as 1.</summary>
    public const uint Fixed = 1 << 1;

    /// <summary>Parity of the low byte.</summary>
    public const uint Pf = 1 << 2;

    /// <summary>Auxiliary (BCD) carry.</summary>
    public const uint Af = 1 << 4;

    /// <summary>Zero.</summary>
    public const uint Zf = 1 << 6;

    /// <summary>Sign.</summary>
    public const uint Sf = 1 << 7;

    /// <summary>Trap: single step.</summary>
    public const uint Tf = 1 << 8;

    /// <summary>Interrupts enabled.</summary>
    public const uint If = 1 << 9;

    /// <summary>Direction of string instructions.</summary>
    public const uint Df = 1 << 10;

    /// <summary>Overflow.</summary>
    public const uint Of = 1 << 11;

    /// <summary>I/O privilege level, two bits.</summary>
    public const uint Iopl = 3 << 12;

    /// <summary>Nested task.</summary>
    public const uint Nt = 1 << 14;

    /// <summary>Resume: no instruction breakpoint at the next instruction.</summary>
    public const uint Rf = 1 << 16;

    /// <summary>Virtual-8086 mode.</summary>
    public const uint Vm = 1 << 17;

    /// <summary>Alignment check.</summary>
    public const uint Ac = 1 << 18;

    /// <summary>Virtual interrupt flag.</summary>
    public const uint Vif = 1 << 19;

    /// <summary>Virtual interrupt pending.</summary>
    public const uint Vip = 1 << 20;

    /// <summary>CPUID is there if this can be changed.</summary>
    public const uint Id = 1 << 21;

    /// <summary>The flags that arithmetic sets, and that are kept unevaluated.</summary>
    public const uint Arithmetic = Cf | Pf | Af | Zf | Sf | Of;
}
