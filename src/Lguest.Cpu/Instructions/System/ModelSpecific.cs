using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>RDMSR, WRMSR, RDTSC and RDPMC (SDM 4, 2.1; SDM 2B).</summary>
internal static unsafe class ModelSpecific
{
    private const uint TimeStampCounter = 0x10;
    private const uint ApicBase = 0x1b;
    private const uint BiosSignature = 0x8b;
    private const uint SysenterCs = 0x174;
    private const uint SysenterEsp = 0x175;
    private const uint SysenterEip = 0x176;
    private const uint MiscEnable = 0x1a0;
    private const uint PageAttributeTable = 0x277;
    private const uint ExtendedFeatureEnable = 0xc000_0080;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Rdtsc:
                op->Handler = &ReadTimeStamp;
                return Lowered.Continues;
            case Mnemonic.Rdmsr:
                op->Handler = &Read;
                return Lowered.Continues;
            case Mnemonic.Wrmsr:
                op->Handler = &Write;
                return Lowered.EndsBlock;
            case Mnemonic.Rdpmc:
                // There are no counters, so any number is wrong at any privilege level.
                op->Handler = &NoCounter;
                return Lowered.EndsBlock;
            default:
                return Lowered.Undefined;
        }
    }

    private static Operation* ReadTimeStamp(ProcessorState* s, Operation* op)
    {
        if ((s->Cr4 & Cr4.Tsd) != 0 && s->Cpl != 0)
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        SetPair(s, TimeStamp(s, op));
        return Operation.Next(s, op);
    }

    private static Operation* Read(ProcessorState* s, Operation* op)
    {
        if (!SystemInstructions.IsPrivileged(s, op))
        {
            return null;
        }

        switch (s->Ecx)
        {
            case TimeStampCounter:
                SetPair(s, TimeStamp(s, op));
                break;
            case ApicBase:
                SetPair(s, s->Msrs.ApicBase);
                break;
            case BiosSignature:
                SetPair(s, 0);
                break;
            case MiscEnable:
                SetPair(s, s->Msrs.MiscEnable);
                break;
            case PageAttributeTable:
                SetPair(s, s->Msrs.Pat);
                break;
            case SysenterCs or SysenterEsp or SysenterEip when HasFastSystemCalls(s):
                SetPair(s, *FastSystemCallRegister(s));
                break;
            case ExtendedFeatureEnable when Processor.From(s).Cpuid.HasExecuteDisable:
                SetPair(s, s->Msrs.Efer);
                break;
            default:
                return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        return Operation.Next(s, op);
    }

    private static Operation* Write(ProcessorState* s, Operation* op)
    {
        if (!SystemInstructions.IsPrivileged(s, op))
        {
            return null;
        }

        ulong value = s->Eax | ((ulong)s->Edx << 32);
        switch (s->Ecx)
        {
            case TimeStampCounter:
                s->Msrs.TimeStampOffset += value - TimeStamp(s, op);
                break;
            case ApicBase:
                s->Msrs.ApicBase = value;
                break;
            case BiosSignature:
                // No microcode was ever loaded: the register reads 0 whatever is written before CPUID.
                break;
            case MiscEnable:
                s->Msrs.MiscEnable = value;
                break;
            case PageAttributeTable when IsPageAttributeTable(value):
                s->Msrs.Pat = value;
                break;
            case SysenterCs or SysenterEsp or SysenterEip when HasFastSystemCalls(s):
                *FastSystemCallRegister(s) = s->Eax;
                break;
            case ExtendedFeatureEnable when Processor.From(s).Cpuid.HasExecuteDisable && (value & ~(ulong)Efer.Nxe) == 0:
                s->Msrs.Efer = s->Eax;
                Processor.From(s).Translation.FlushAll();
                break;
            default:
                return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        return BlockExit.Leave(s, op);
    }

    private static bool HasFastSystemCalls(ProcessorState* s) => Processor.From(s).Cpuid.HasFastSystemCalls;

    /// <summary>The one that ECX names. On a processor of 32 bits it has as many.</summary>
    private static uint* FastSystemCallRegister(ProcessorState* s) => s->Ecx switch
    {
        SysenterCs => &s->Msrs.SysenterCs,
        SysenterEsp => &s->Msrs.SysenterEsp,
        _ => &s->Msrs.SysenterEip,
    };

    private static Operation* NoCounter(ProcessorState* s, Operation* op) =>
        Fault.Raise(s, op, ExceptionVector.GeneralProtection);

    /// <summary>Eight memory types of which 2, 3 and those above 7 don't exist (SDM 3A, table 11-10).</summary>
    private static bool IsPageAttributeTable(ulong value)
    {
        for (int shift = 0; shift < 64; shift += 8)
        {
            if ((byte)(value >> shift) is 2 or 3 or > 7)
            {
                return false;
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong TimeStamp(ProcessorState* s, Operation* op)
    {
        ulong retired = BlockExit.RetiredBefore(s, op);
        ulong clock = Processor.From(s).TimeStampClock?.Read(retired) ?? retired;
        return clock + s->Msrs.TimeStampOffset;
    }

    private static void SetPair(ProcessorState* s, ulong value)
    {
        s->Eax = (uint)value;
        s->Edx = (uint)(value >> 32);
    }
}
