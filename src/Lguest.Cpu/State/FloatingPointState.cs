using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Protection;

namespace Lguest.Cpu.State;

/// <summary>An 80-bit extended-precision value as the x87 keeps it (SDM 1, 4.2.2), in a 16-byte slot.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal struct X87Register
{
    /// <summary>The significand with its explicit integer bit; the low 64 bits, which MMX calls MMn.</summary>
    public ulong Significand;

    /// <summary>Sign (bit 15) and biased exponent.</summary>
    public ushort SignExponent;
}

/// <summary>The eight x87 registers by physical number: ST(i) is register (TOP + i) mod 8, MMi is register i.</summary>
[InlineArray(8)]
internal struct X87Registers
{
    private X87Register _first;
}

/// <summary>x87 state (SDM 1, 8.1).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct X87State
{
    /// <summary>The data registers.</summary>
    public X87Registers Registers;

    /// <summary>Control word.</summary>
    public ushort Control;

    /// <summary>Status word, TOP included.</summary>
    public ushort Status;

    /// <summary>Bit n is set while physical register n holds something (FXSAVE's form of the tag word).</summary>
    public byte Valid;

    /// <summary>Opcode of the last instruction with an unmasked exception, 11 bits.</summary>
    public ushort LastOpcode;

    /// <summary>Its EIP.</summary>
    public uint InstructionPointer;

    /// <summary>Its CS.</summary>
    public ushort InstructionSelector;

    /// <summary>Offset of its operand.</summary>
    public uint DataPointer;

    /// <summary>Selector of its operand.</summary>
    public ushort DataSelector;
}

/// <summary>An XMM register.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XmmRegister
{
    /// <summary>Bits 0-63.</summary>
    public ulong Low;

    /// <summary>Bits 64-127.</summary>
    public ulong High;
}

/// <summary>The eight XMM registers of 32-bit mode.</summary>
[InlineArray(8)]
internal struct XmmRegisters
{
    private XmmRegister _first;
}

/// <summary>SSE state (SDM 1, 10.2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SseState
{
    /// <summary>The XMM registers.</summary>
    public XmmRegisters Registers;

    /// <summary>Control and status.</summary>
    public uint Mxcsr;
}
