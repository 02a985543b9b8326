using Lguest.Cpu.FloatingPoint;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>Tells random cases in which vendors differ from the others: the former are VendorTests' subject.</summary>
internal static class X87Differences
{
    /// <summary>Whether vendors differ.</summary>
    /// <param name="name">The instruction's, in capital letters.</param>
    /// <param name="first">ST0.</param>
    /// <param name="second">ST1.</param>
    /// <param name="control">The control word.</param>
    public static bool Contain(string name, Float80 first, Float80 second, ushort control) =>
        (control & (int)FloatingPointExceptions.Underflow) == 0 && first.Class == NumberClass.Denormal && name switch
        {
            "FSCALE" => second.Class == NumberClass.Zero,
            "FPREM" or "FPREM1" => second.Class == NumberClass.Infinity,

            // Of the smallest; from which on is what nobody has recorded.
            "FSIN" => true,
            _ => false,
        };
}
