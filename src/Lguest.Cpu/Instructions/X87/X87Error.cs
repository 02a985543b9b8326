using System.Runtime.CompilerServices;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>Unmasked x87 exceptions: they wait in the status word for the next instruction that looks.</summary>
internal static unsafe class X87Error
{
    private const byte FirstEscape = 0xd8;
    private const byte LastEscape = 0xdf;
    private const int LongestInstruction = 15;

    /// <summary>
    /// Notes that an exception isn't masked: only then are the last instruction's opcode and the address of its operand recorded (as
    /// processors do that have CPUID's FDP_EXCPTN_ONLY).
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Record(ProcessorState* s, Operation* op)
    {
        X87State* x87 = &s->X87;
        x87->Status |= (ushort)(X87Status.Es | X87Status.B);
        x87->LastOpcode = ReadOpcode(s, s->BlockEip + op->EipOffset);
        bool hasMemory = (op->Immediate & X87Stack.HasMemoryOperand) != 0;
        x87->DataPointer = hasMemory ? EffectiveAddress.Of(s, op) : 0;
    }

    /// <summary>Makes ES and B what the exceptions and their masks say, after either has been loaded.</summary>
    public static void Summarize(ProcessorState* s)
    {
        uint status = s->X87.Status;
        bool pending = (status & ~s->X87.Control & X87Status.Exceptions) != 0;
        status &= ~(X87Status.Es | X87Status.B);
        s->X87.Status = (ushort)(pending ? status | X87Status.Es | X87Status.B : status);
    }

    // The three low bits of the escape, and ModRM. An operation doesn't keep these, so they are read again.
    private static ushort ReadOpcode(ProcessorState* s, uint eip)
    {
        uint linear = s->Cs.Base + eip;
        for (uint at = 0; at < LongestInstruction; at++)
        {
            byte escape = ReadCode(s, linear + at);
            if (escape is >= FirstEscape and <= LastEscape)
            {
                return (ushort)(((escape & 7) << 8) | ReadCode(s, linear + at + 1));
            }
        }

        return 0;
    }

    private static byte ReadCode(ProcessorState* s, uint linear)
    {
        Span<byte> code = stackalloc byte[1];
        return Processor.From(s).TryReadLinear(linear, code, out _) ? code[0] : (byte)0;
    }
}
