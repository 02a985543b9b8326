using System.Runtime.CompilerServices;
using Lguest.Cpu.FloatingPoint;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>A memory operand that is read, as a type.</summary>
internal unsafe interface IX87Source
{
    /// <summary>Its size.</summary>
    static abstract uint Bytes { get; }

    /// <summary>FLD, FILD, FBLD: what is pushed.</summary>
    static abstract Float80 Load(byte* location, ref FloatingPointContext context);
}

/// <summary>A memory operand that arithmetic and comparison have, too.</summary>
internal unsafe interface IX87Operand : IX87Source
{
    /// <summary>The operand of an arithmetic instruction: exact, signaling NaNs as they are.</summary>
    static abstract Float80 Widen(byte* location, out bool isDenormal);
}

/// <summary>32-bit floating point.</summary>
internal readonly unsafe struct SingleSource : IX87Operand
{
    public static uint Bytes => sizeof(uint);

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        FormatConversion.ToFloat80(Unsafe.ReadUnaligned<Float32>(location), ref context);

    public static Float80 Widen(byte* location, out bool isDenormal)
    {
        var value = Unsafe.ReadUnaligned<Float32>(location);
        isDenormal = value.Class == NumberClass.Denormal;
        return FormatConversion.Widen(value);
    }
}

/// <summary>64-bit floating point.</summary>
internal readonly unsafe struct DoubleSource : IX87Operand
{
    public static uint Bytes => sizeof(ulong);

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        FormatConversion.ToFloat80(Unsafe.ReadUnaligned<Float64>(location), ref context);

    public static Float80 Widen(byte* location, out bool isDenormal)
    {
        var value = Unsafe.ReadUnaligned<Float64>(location);
        isDenormal = value.Class == NumberClass.Denormal;
        return FormatConversion.Widen(value);
    }
}

/// <summary>80-bit floating point: loads as it is, whatever it is.</summary>
internal readonly unsafe struct ExtendedSource : IX87Source
{
    public static uint Bytes => 10;

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        new(Unsafe.ReadUnaligned<ushort>(location + sizeof(ulong)), Unsafe.ReadUnaligned<ulong>(location));
}

/// <summary>18 decimal digits.</summary>
internal readonly unsafe struct PackedDecimalSource : IX87Source
{
    public static uint Bytes => 10;

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        IntegerConversion.FromPackedDecimal(
            Unsafe.ReadUnaligned<ulong>(location), Unsafe.ReadUnaligned<ushort>(location + sizeof(ulong)));
}

/// <summary>A 16-bit integer.</summary>
internal readonly unsafe struct Int16Source : IX87Operand
{
    public static uint Bytes => sizeof(short);

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        IntegerConversion.ToFloat80(Unsafe.ReadUnaligned<short>(location));

    public static Float80 Widen(byte* location, out bool isDenormal)
    {
        isDenormal = false;
        return IntegerConversion.ToFloat80(Unsafe.ReadUnaligned<short>(location));
    }
}

/// <summary>A 32-bit integer.</summary>
internal readonly unsafe struct Int32Source : IX87Operand
{
    public static uint Bytes => sizeof(int);

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        IntegerConversion.ToFloat80(Unsafe.ReadUnaligned<int>(location));

    public static Float80 Widen(byte* location, out bool isDenormal)
    {
        isDenormal = false;
        return IntegerConversion.ToFloat80(Unsafe.ReadUnaligned<int>(location));
    }
}

/// <summary>A 64-bit integer.</summary>
internal readonly unsafe struct Int64Source : IX87Source
{
    public static uint Bytes => sizeof(long);

    public static Float80 Load(byte* location, ref FloatingPointContext context) =>
        IntegerConversion.ToFloat80(Unsafe.ReadUnaligned<long>(location));
}
