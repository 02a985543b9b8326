namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>Constants of <see cref="Trigonometry"/> and <see cref="ArcTangent"/>, rounded down.</summary>
internal static class TrigonometryTables
{
    /// <summary>Coefficients of the sine: 1/n! for n = 3, 5, ... 13, in 128 bits after the point.</summary>
    public static ReadOnlySpan<ulong> Sine =>
    [
        0x2AAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA, 0x0222222222222222, 0x2222222222222222,
        0x000D00D00D00D00D, 0x00D00D00D00D00D0, 0x00002E3BC74AAD8E, 0x671F5583911CA002,
        0x0000006B99159FD5, 0x138E3F9D1F92E0DF, 0x00000000B092309D, 0x43684BE51C198E91,
    ];

    /// <summary>The same for n = 15, 17, ... 25, times 2^32, in 64 bits.</summary>
    public static ReadOnlySpan<ulong> SineTail =>
    [
        0x00D73F9F399DC0F8, 0x0000CA963B81856A, 0x00000097A4DA340A, 0x000000005C6E3BDB,
        0x00000000002EC368, 0x00000000000013F3,
    ];

    /// <summary>Coefficients of the cosine: 1/n! for n = 2, 4, ... 12, in 128 bits after the point.</summary>
    public static ReadOnlySpan<ulong> Cosine =>
    [
        0x8000000000000000, 0x0000000000000000, 0x0AAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA,
        0x005B05B05B05B05B, 0x05B05B05B05B05B0, 0x0001A01A01A01A01, 0xA01A01A01A01A01A,
        0x0000049F93EDDE27, 0xD71CBBC05B4FA999, 0x00000008F76C77FC, 0x6C4BDAA26D4C3D67,
    ];

    /// <summary>The same for n = 14, 16, ... 26, times 2^32, in 64 bits.</summary>
    public static ReadOnlySpan<ulong> CosineTail =>
    [
        0x0C9CBA54603E4E90, 0x000D73F9F399DC0F, 0x00000B413C31DCBE, 0x00000007950AE900,
        0x0000000004338E5B, 0x000000000001F2CF, 0x00000000000000C4,
    ];

    /// <summary>pi/2 with 127 bits after the point, or pi with 126.</summary>
    public static Fraction HalfPi => new(0xC90FDAA22168C234, 0xC4C6628B80DC1CD1);
}
