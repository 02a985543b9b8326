namespace Lguest.Cpu.Translator;

/// <summary>
/// What of the host's has the guest's floating-point state. Nothing has, outside of translated code and at first within it: a
/// block that uses it loads it, once, and the way out stores it again.
/// </summary>
/// <remarks>
/// A unit is only loaded while its instructions can't fault: the guest's kernel has enabled it, and all of its exceptions are
/// masked. Else the interpreter executes what would have used it.
/// </remarks>
[Flags]
internal enum HostUnits : uint
{
    /// <summary>None.</summary>
    None,

    /// <summary>XMM0 to XMM7.</summary>
    Xmm = 1 << 0,

    /// <summary>MXCSR.</summary>
    Mxcsr = 1 << 1,

    /// <summary>The x87, which has the registers of MMX.</summary>
    X87 = 1 << 2,

    /// <summary>All of them.</summary>
    All = Xmm | Mxcsr | X87,
}
