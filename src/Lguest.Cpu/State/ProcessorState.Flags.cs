using System.Numerics;
using System.Runtime.CompilerServices;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.State;

/// <content>
/// The arithmetic flags, kept as two words and evaluated when somebody asks.
/// <para>
/// <c>FlagsResult</c> is the last result, sign-extended: ZF is "it is 0", SF its top bit, PF the parity of its
/// low byte. <c>FlagsCarries</c> has in bit 31 the carry out of the operand's top bit (CF), in bit 30 the carry into it
/// (OF is where the two differ) and in bit 3 the carry out of bit 3 (AF). So that any set of flags can be
/// expressed (POPF), its bit 0 inverts SF and its bits 8-15 are exclusive-ored into the byte that PF is taken from.
/// </para>
/// </content>
public unsafe partial struct ProcessorState
{
    private const uint CarryOut = 1u << 31;
    private const uint CarryIntoTop = 1u << 30;
    private const uint CarryOutOfBit3 = 1u << 3;
    private const uint CarryBits = CarryOut | CarryIntoTop | CarryOutOfBit3;
    private const uint InvertSign = 1;
    private const int ParityShift = 8;

    /// <summary>The whole of EFLAGS. Setting it changes every bit that exists; privilege is the caller's matter.</summary>
    internal uint Eflags
    {
        readonly get => SystemFlags | ArithmeticFlags;
        set
        {
            SystemFlags = (value & WritableSystemFlags) | Cpu.State.Eflags.Fixed;
            ArithmeticFlags = value;
        }
    }

    private const uint WritableSystemFlags = Cpu.State.Eflags.Tf | Cpu.State.Eflags.If | Cpu.State.Eflags.Df | Cpu.State.Eflags.Iopl | Cpu.State.Eflags.Nt
        | Cpu.State.Eflags.Rf | Cpu.State.Eflags.Vm | Cpu.State.Eflags.Ac | Cpu.State.Eflags.Vif | Cpu.State.Eflags.Vip | Cpu.State.Eflags.Id;

    /// <summary>CF, PF, AF, ZF, SF and OF as an image of EFLAGS with all else 0.</summary>
    internal uint ArithmeticFlags
    {
        readonly get => (FlagsCarries >> 31)
            | (ParityFlag ? Cpu.State.Eflags.Pf : 0)
            | ((FlagsCarries & CarryOutOfBit3) << 1)
            | (FlagsResult == 0 ? Cpu.State.Eflags.Zf : 0)
            | (SignFlag ? Cpu.State.Eflags.Sf : 0)
            | (OverflowFlag ? Cpu.State.Eflags.Of : 0);
        set
        {
            // A result that isn't zero has even parity and a clear sign here; the carries' extra bits say the rest.
            FlagsResult = (value & Cpu.State.Eflags.Zf) != 0 ? 0 : 1u << ParityShift;
            uint carry = (value & Cpu.State.Eflags.Cf) << 31;
            uint overflow = (value & Cpu.State.Eflags.Of) != 0 ? CarryIntoTop : 0;
            FlagsCarries = carry | ((carry >> 1) ^ overflow)
                | ((value & Cpu.State.Eflags.Af) >> 1)
                | ((value & Cpu.State.Eflags.Sf) != 0 ? InvertSign : 0)
                | ((value & Cpu.State.Eflags.Pf) != 0 ? 0 : 1u << ParityShift);
        }
    }

    /// <summary>CF.</summary>
    internal readonly bool CarryFlag => (int)FlagsCarries < 0;

    /// <summary>CF as 0 or 1.</summary>
    internal readonly uint Carry => FlagsCarries >> 31;

    /// <summary>AF.</summary>
    internal readonly bool AuxiliaryFlag => (FlagsCarries & CarryOutOfBit3) != 0;

    /// <summary>ZF.</summary>
    internal readonly bool ZeroFlag => FlagsResult == 0;

    /// <summary>SF.</summary>
    internal readonly bool SignFlag => (int)(FlagsResult ^ (FlagsCarries << 31)) < 0;

    /// <summary>OF.</summary>
    internal readonly bool OverflowFlag => (int)(FlagsCarries ^ (FlagsCarries << 1)) < 0;

    /// <summary>SF differs from OF: the last comparison was "less", signed.</summary>
    internal readonly bool IsLess => (int)(FlagsResult ^ (FlagsCarries << 31) ^ FlagsCarries ^ (FlagsCarries << 1)) < 0;

    /// <summary>PF.</summary>
    internal readonly bool ParityFlag =>
        (BitOperations.PopCount((FlagsResult ^ (FlagsCarries >> ParityShift)) & byte.MaxValue) & 1) == 0;

    /// <summary>Flags of a sum (ADD, ADC): <paramref name="result"/> is a + b (+ carry), cut to the operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetAddFlags<TSize>(uint a, uint b, uint result)
        where TSize : struct, IOperandSize =>
        SetFlags<TSize>(result, (a & b) | ((a | b) & ~result));

    /// <summary>Flags of a difference (SUB, SBB, CMP, NEG): <paramref name="result"/> is a - b (- borrow), cut to the operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetSubtractFlags<TSize>(uint a, uint b, uint result)
        where TSize : struct, IOperandSize =>
        SetFlags<TSize>(result, (~a & b) | (~(a ^ b) & result));

    /// <summary>Flags of a logical operation: CF, OF and AF clear.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetLogicFlags<TSize>(uint result)
        where TSize : struct, IOperandSize
    {
        FlagsResult = TSize.SignExtend(result);
        FlagsCarries = 0;
    }

    /// <summary>SF, ZF and PF of a result, with the other three as given.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetResultFlags<TSize>(uint result, bool carry, bool overflow, bool auxiliary)
        where TSize : struct, IOperandSize
    {
        FlagsResult = TSize.SignExtend(result);
        FlagsCarries = (carry ? CarryOut : 0) | (carry != overflow ? CarryIntoTop : 0) | (auxiliary ? CarryOutOfBit3 : 0);
    }

    /// <summary>
    /// SF, ZF and PF of a result. CF is bit 31 of <paramref name="carries"/>, OF is whether bit 30 differs from it; AF is clear.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetShiftFlags<TSize>(uint result, uint carries)
        where TSize : struct, IOperandSize
    {
        FlagsResult = TSize.SignExtend(result);
        FlagsCarries = carries & (CarryOut | CarryIntoTop);
    }

    /// <summary>Replaces CF by bit 31 of <paramref name="carries"/> and OF by whether bit 30 differs from it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetRotateFlags(uint carries) =>
        FlagsCarries = (FlagsCarries & ~(CarryOut | CarryIntoTop)) | (carries & (CarryOut | CarryIntoTop));

    /// <summary>Replaces CF, keeping the other five.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetCarry(bool carry) => SetCarry(carry ? CarryOut : 0);

    /// <summary>Replaces CF by bit 31 of <paramref name="carries"/>, keeping the other five.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetCarry(uint carries)
    {
        // OF is where the two carries differ, so both change or neither.
        uint change = (FlagsCarries ^ carries) & CarryOut;
        FlagsCarries ^= change | (change >> 1);
    }

    /// <summary>Replaces ZF, keeping the other five.</summary>
    internal void SetZero(bool zero) =>
        ArithmeticFlags = (ArithmeticFlags & ~Cpu.State.Eflags.Zf) | (zero ? Cpu.State.Eflags.Zf : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SetFlags<TSize>(uint result, uint carries)
        where TSize : struct, IOperandSize
    {
        FlagsResult = TSize.SignExtend(result);
        FlagsCarries = TSize.Bits == 32
            ? carries & CarryBits
            : ((carries << (32 - TSize.Bits)) & (CarryOut | CarryIntoTop)) | (carries & CarryOutOfBit3);
    }
}
