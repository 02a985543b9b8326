using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Protection;

namespace Lguest.Cpu.State;

/// <summary>The eight x87 registers by physical number: ST(i) is register (TOP + i) mod 8, MMi is register i.</summary>
[InlineArray(8)]
internal struct X87Registers
{
    private Float80 _first;
}

/// <summary>
/// x87 state (SDM 1, 8.1) and MXCSR, laid out as the first 160 bytes of FXSAVE's area (SDM 1, table 10-2), but that its registers
/// are in physical order, and not in the stack's. The selectors of both pointers are 0.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 160)]
internal struct X87State
{
    /// <summary>Control word.</summary>
    [FieldOffset(0)]
    public ushort Control;

    /// <summary>Status word, TOP included.</summary>
    [FieldOffset(2)]
    public ushort Status;

    /// <summary>Bit n is set while physical register n holds something (FXSAVE's form of the tag word).</summary>
    [FieldOffset(4)]
    public byte Valid;

    /// <summary>Opcode of the last instruction with an unmasked exception, 11 bits.</summary>
    [FieldOffset(6)]
    public ushort LastOpcode;

    /// <summary>EIP of the last instruction that didn't only control the x87.</summary>
    [FieldOffset(8)]
    public uint InstructionPointer;

    /// <summary>Offset of the operand of the last instruction with an unmasked exception.</summary>
    [FieldOffset(16)]
    public uint DataPointer;

    /// <summary>SSE's control and status (SDM 1, 10.2.3).</summary>
    [FieldOffset(24)]
    public uint Mxcsr;

    /// <summary>The data registers.</summary>
    [FieldOffset(32)]
    public X87Registers Registers;
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

/// <summary>SSE state (SDM 1, 10.2), laid out as FXSAVE's area from byte 160 to its end.</summary>
[StructLayout(LayoutKind.Sequential, Size = 352)]
internal struct SseState
{
    /// <summary>The XMM registers. Room for those of long mode, and what FXSAVE reserves, follows.</summary>
    public XmmRegisters Registers;
}
