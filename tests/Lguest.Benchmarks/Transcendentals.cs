using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Benchmarks;

/// <summary>
/// Endless guest loops around one transcendental instruction each, which finds new operands every time, of all the magnitudes it
/// is made for.
/// </summary>
internal static class Transcendentals
{
    /// <summary>What is executed in a round of a loop beside the instruction that it is about.</summary>
    private const int InstructionsAround = 6;

    private const int Operands = 256;
    private const int OperandBytes = 32;
    private const int SecondOperand = 16;
    private const int ExponentBias = 0x3FFF;

    /// <summary>The loops. The first has no transcendental in it: so much is the loop's own.</summary>
    public static IReadOnlyList<Transcendental> All { get; } =
    [
        new("(none)", _ => { }, new(-30, 30), new(-30, 30)),
        new("fsin", a => a.fsin(), new(-30, 62), new(0, 0)),
        new("fcos", a => a.fcos(), new(-30, 62), new(0, 0)),
        new("fsincos", a => a.fsincos(), new(-30, 62), new(0, 0)),
        new("fptan", a => a.fptan(), new(-30, 62), new(0, 0)),
        new("fpatan", a => a.fpatan(), new(-5, 5), new(-5, 5)),
        new("f2xm1", a => a.f2xm1(), new(-20, -1), new(0, 0)),
        new("fyl2x", a => a.fyl2x(), new(-60, 60, IsSigned: false), new(-5, 5)),
        new("fyl2xp1", a => a.fyl2xp1(), new(-20, -3), new(-5, 5)),
    ];

    /// <summary>Assembles a loop.</summary>
    public static void Assemble(Assembler a, Transcendental transcendental)
    {
        Label again = a.CreateLabel();
        a.mov(ebx, GuestLoops.DataBase);
        a.Label(ref again);
        a.fninit();
        a.fld(__tword_ptr[ebx + ecx + SecondOperand]);
        a.fld(__tword_ptr[ebx + ecx]);
        transcendental.Assemble(a);
        a.add(ecx, OperandBytes);
        a.and(ecx, (Operands - 1) * OperandBytes);
        a.jmp(again);
    }

    /// <summary>Its operands, as they lie in memory.</summary>
    public static byte[] MakeOperands(Transcendental transcendental)
    {
        const int seed = 1;
        var random = new Random(seed);
        byte[] bytes = new byte[Operands * OperandBytes];
        for (int start = 0; start < bytes.Length; start += OperandBytes)
        {
            Write(bytes.AsSpan(start), transcendental.First, random);
            Write(bytes.AsSpan(start + SecondOperand), transcendental.Second, random);
        }

        return bytes;
    }

    /// <summary>How many instructions a round has.</summary>
    public static int CountInstructions(Transcendental transcendental)
    {
        var assembler = new Assembler(32);
        transcendental.Assemble(assembler);
        return InstructionsAround + assembler.Instructions.Count;
    }

    private static void Write(Span<byte> target, Magnitudes magnitudes, Random random)
    {
        const ulong integerBit = 1ul << 63;
        const int signBit = 1 << 15;
        int exponent = random.Next(magnitudes.Smallest, magnitudes.Largest + 1) + ExponentBias;
        bool negative = magnitudes.IsSigned && random.Next(2) != 0;
        BitConverter.TryWriteBytes(target, (ulong)random.NextInt64() | integerBit);
        BitConverter.TryWriteBytes(target[sizeof(ulong)..], (ushort)(exponent | (negative ? signBit : 0)));
    }
}

/// <summary>A transcendental instruction.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Assemble">Assembles it.</param>
/// <param name="First">What ST(0) may be.</param>
/// <param name="Second">What ST(1) may be.</param>
internal sealed record Transcendental(string Name, Action<Assembler> Assemble, Magnitudes First, Magnitudes Second);

/// <summary>A range of numbers.</summary>
/// <param name="Smallest">The least power of two.</param>
/// <param name="Largest">The greatest one.</param>
/// <param name="IsSigned">Whether they may be negative.</param>
internal readonly record struct Magnitudes(int Smallest, int Largest, bool IsSigned = true);
