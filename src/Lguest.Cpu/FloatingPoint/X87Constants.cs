namespace Lguest.Cpu.FloatingPoint;

/// <summary>The constants that the x87 has instructions for.</summary>
internal enum X87Constant : byte
{
    /// <summary>FLDZ.</summary>
    Zero,

    /// <summary>FLD1.</summary>
    One,

    /// <summary>FLDL2T.</summary>
    Log2Of10,

    /// <summary>FLDL2E.</summary>
    Log2OfE,

    /// <summary>FLDPI.</summary>
    Pi,

    /// <summary>FLDLG2.</summary>
    Log10Of2,

    /// <summary>FLDLN2.</summary>
    LnOf2,
}

/// <summary>The x87's constants, which are rounded when they are loaded (SDM 1, 8.3.8), but never inexact.</summary>
internal static class X87Constants
{
    /// <summary>A constant, rounded.</summary>
    public static Float80 Get(X87Constant constant, RoundingMode rounding) => constant switch
    {
        X87Constant.Zero => Float80.Zero,
        X87Constant.One => Float80.One,
        X87Constant.Log2Of10 => Round(rounding, 1, 0xD49A784BCD1B8AFE, 0x492BF6FF4DAFDB4C),
        X87Constant.Log2OfE => Round(rounding, 0, 0xB8AA3B295C17F0BB, 0xBE87FED0691D3E88),
        X87Constant.Pi => Round(rounding, 1, 0xC90FDAA22168C234, 0xC4C6628B80DC1CD1),
        X87Constant.Log10Of2 => Round(rounding, -2, 0x9A209A84FBCFF798, 0x8F8959AC0B7C9178),
        _ => Round(rounding, -1, 0xB17217F7D1CF79AB, 0xC9E3B39803F2F6AF),
    };

    private static Float80 Round(RoundingMode rounding, int exponent, ulong high, ulong low)
    {
        var context = new FloatingPointContext { Rounding = rounding };
        return Rounding.Round<Float80>(new Unrounded(negative: false, exponent, high, low), ref context);
    }
}
