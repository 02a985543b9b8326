using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Benchmarks;

/// <summary>Endless guest loops, each stressing one thing.</summary>
internal static class GuestLoops
{
    public const uint CodeBase = 0x1000;
    public const uint DataBase = 0x10000;
    public const uint StackTop = 0x20000;

    public static IReadOnlyList<(string Name, Action<Assembler> Program)> All { get; } =
    [
        ("registers", Registers),
        ("memory", Memory),
        ("calls", Calls),
        ("branches", Branches),
        ("packed", Packed),
        ("doubles", Doubles),
        ("x87", X87),
        ("x87 stack", X87Stack),
    ];

    /// <summary>Arithmetic between registers.</summary>
    private static void Registers(Assembler a)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.add(eax, ebx);
        a.xor(ecx, eax);
        a.sub(edx, ecx);
        a.inc(ebx);
        a.and(esi, 0xff);
        a.mov(edi, eax);
        a.cmp(edi, 0);
        a.jmp(again);
    }

    /// <summary>Loads, stores and read-modify-writes.</summary>
    private static void Memory(Assembler a)
    {
        Label again = a.CreateLabel();
        a.mov(ebx, DataBase);
        a.Label(ref again);
        a.mov(eax, __dword_ptr[ebx + 16]);
        a.add(eax, __dword_ptr[ebx + ecx * 4]);
        a.mov(__dword_ptr[ebx + 32], eax);
        a.inc(__dword_ptr[ebx + 64]);
        a.movzx(edx, __byte_ptr[ebx + 16]);
        a.inc(ecx);
        a.and(ecx, 0xff);
        a.jmp(again);
    }

    /// <summary>A small function, called over and over.</summary>
    private static void Calls(Assembler a)
    {
        Label again = a.CreateLabel();
        Label function = a.CreateLabel();
        a.Label(ref again);
        a.push(eax);
        a.call(function);
        a.add(esp, 4);
        a.jmp(again);
        a.Label(ref function);
        a.push(ebp);
        a.mov(ebp, esp);
        a.mov(eax, __dword_ptr[ebp + 8]);
        a.inc(eax);
        a.pop(ebp);
        a.ret();
    }

    /// <summary>Packed integers, as in a copy or a checksum.</summary>
    private static void Packed(Assembler a)
    {
        Label again = a.CreateLabel();
        a.mov(ebx, DataBase);
        a.Label(ref again);
        a.movdqu(xmm0, __xmmword_ptr[ebx + 16]);
        a.paddd(xmm1, xmm0);
        a.pshufd(xmm2, xmm1, 0x4E);
        a.pxor(xmm2, xmm0);
        a.movdqa(__xmmword_ptr[ebx + 32], xmm2);
        a.jmp(again);
    }

    /// <summary>Double precision: each result is rounded.</summary>
    private static void Doubles(Assembler a)
    {
        Label again = a.CreateLabel();
        a.mov(eax, 3);
        a.cvtsi2sd(xmm1, eax);
        a.mov(eax, 7);
        a.Label(ref again);
        a.cvtsi2sd(xmm0, eax);
        a.divsd(xmm0, xmm1);
        a.mulsd(xmm0, xmm0);
        a.addsd(xmm0, xmm1);
        a.comisd(xmm0, xmm1);
        a.jmp(again);
    }

    /// <summary>Conditional jumps, taken and not.</summary>
    private static void Branches(Assembler a)
    {
        Label again = a.CreateLabel();
        Label odd = a.CreateLabel();
        Label join = a.CreateLabel();
        a.Label(ref again);
        a.inc(eax);
        a.test(eax, 1);
        a.jne(odd);
        a.add(ebx, eax);
        a.jmp(join);
        a.Label(ref odd);
        a.sub(ebx, eax);
        a.Label(ref join);
        a.cmp(eax, 0);
        a.jge(again);
        a.xor(eax, eax);
        a.jmp(again);
    }

    /// <summary>Sums and products of doubles on the x87.</summary>
    private static void X87(Assembler a)
    {
        Label again = a.CreateLabel();
        a.fninit();
        a.mov(ebx, DataBase);
        a.Label(ref again);
        a.fld1();
        a.fld(__qword_ptr[ebx]);
        a.fmul(st0, st1);
        a.fadd(__qword_ptr[ebx + 8]);
        a.fstp(__qword_ptr[ebx + 16]);
        a.fstp(st0);
        a.jmp(again);
    }

    /// <summary>The cheapest of its instructions, which only move registers.</summary>
    private static void X87Stack(Assembler a)
    {
        Label again = a.CreateLabel();
        a.fninit();
        a.fldz();
        a.fld1();
        a.Label(ref again);
        a.fxch(st0, st1);
        a.fchs();
        a.fabs();
        a.fld(st1);
        a.fxch(st0, st2);
        a.fstp(st0);
        a.jmp(again);
    }
}
