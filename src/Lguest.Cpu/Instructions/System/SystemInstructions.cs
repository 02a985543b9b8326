using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>HLT, CPUID, and instructions that concern caches and translations (SDM 1, 5.18).</summary>
internal static unsafe class SystemInstructions
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Cpuid:
                op->Handler = &Identify;
                return Lowered.EndsBlock;
            case Mnemonic.Hlt:
                op->Handler = &Halt;
                return Lowered.EndsBlock;
            case Mnemonic.Invd or Mnemonic.Wbinvd or Mnemonic.Wbnoinvd:
                // Before WBNOINVD its REP was ignored, and is where CPUID doesn't claim it.
                op->Handler = &WriteBackCaches;
                return Lowered.Continues;
            case Mnemonic.Invlpg:
                Operands.SetMemory(instruction, op);
                op->Handler = &InvalidatePage;
                return Lowered.EndsBlock;
            default:
                return Lowered.Undefined;
        }
    }

    /// <summary>Whether the privilege level is 0; raises #GP(0) if not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPrivileged(ProcessorState* s, Operation* op)
    {
        if (s->Cpl == 0)
        {
            return true;
        }

        Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        return false;
    }

    /// <summary>CPUID, which serialises: the next instruction is fetched anew.</summary>
    private static Operation* Identify(ProcessorState* s, Operation* op)
    {
        CpuidLeaf leaf = Processor.From(s).Cpuid.Answer(s->Eax, s->Ecx);
        s->Eax = leaf.Eax;
        s->Ebx = leaf.Ebx;
        s->Ecx = leaf.Ecx;
        s->Edx = leaf.Edx;
        return BlockExit.Leave(s, op);
    }

    private static Operation* Halt(ProcessorState* s, Operation* op)
    {
        if (!IsPrivileged(s, op))
        {
            return null;
        }

        s->Halted = 1;
        return BlockExit.Leave(s, op);
    }

    /// <summary>Memory is always as the caches would have it.</summary>
    private static Operation* WriteBackCaches(ProcessorState* s, Operation* op) =>
        IsPrivileged(s, op) ? Operation.Next(s, op) : null;

    /// <summary>INVLPG looks at no limit and no rights: the address only names a page.</summary>
    private static Operation* InvalidatePage(ProcessorState* s, Operation* op)
    {
        if (!IsPrivileged(s, op))
        {
            return null;
        }

        Processor.From(s).FlushTlbPage(s->Segment(op->Segment).Base + EffectiveAddress.Of(s, op));
        return BlockExit.Leave(s, op);
    }
}
