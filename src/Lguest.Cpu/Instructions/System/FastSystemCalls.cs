using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Instructions.Control;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>SYSENTER and SYSEXIT (SDM 2B; SDM 3A, 5.8.7): into the kernel and out of it with segments that no descriptor is read for.</summary>
/// <remarks>Where CPUID doesn't claim them they are #GP(0), as with IA32_SYSENTER_CS 0: its registers aren't there either.</remarks>
internal static unsafe class FastSystemCalls
{
    private const uint SelectorIndex = 0xfffc;
    private const int KernelStack = 8;
    private const int UserCode = 16;
    private const int UserStack = 24;
    private const int PrivilegeShift = 13;
    private const int KernelLevel = 0;
    private const int UserLevel = 3;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Sysenter:
                op->Handler = &Enter;
                return Lowered.EndsBlock;
            case Mnemonic.Sysexit:
                op->Handler = &Exit;
                return Lowered.EndsBlock;
            default:
                return Lowered.Undefined;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operation* Enter(ProcessorState* s, Operation* op)
    {
        if (!IsConfigured(s))
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        s->SystemFlags &= ~(Eflags.Vm | Eflags.If);
        Go(s, s->Msrs.SysenterCs & SelectorIndex, KernelStack, KernelLevel, s->Msrs.SysenterEip, s->Msrs.SysenterEsp);
        return FarExit.Finish(s, op, done: true, default);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operation* Exit(ProcessorState* s, Operation* op)
    {
        if (!IsConfigured(s) || s->Cpl != KernelLevel)
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        Go(s, s->Msrs.SysenterCs + UserCode, UserStack - UserCode, UserLevel, s->Edx, s->Ecx);
        return FarExit.Finish(s, op, done: true, default);
    }

    private static bool IsConfigured(ProcessorState* s) =>
        Processor.From(s).Cpuid.HasFastSystemCalls && (s->Msrs.SysenterCs & SelectorIndex) != 0;

    private static void Go(ProcessorState* s, uint code, uint stackDistance, int level, uint eip, uint esp)
    {
        const SegmentAccess Flat = SegmentAccess.Present | SegmentAccess.CodeOrData | SegmentAccess.Accessed
            | SegmentAccess.WritableOrReadable | SegmentAccess.Default32 | SegmentAccess.Granularity;
        var flat = new SegmentRegister
        {
            Selector = (ushort)(code | (uint)level),
            Limit = uint.MaxValue,
            Access = Flat | (SegmentAccess)((uint)level << PrivilegeShift),
        };
        s->Cs = flat with { Access = flat.Access | SegmentAccess.Code };
        s->Ss = flat with { Selector = (ushort)(flat.Selector + stackDistance) };
        s->Eip = eip;
        s->Esp = esp;
        Processor.From(s).UpdateMode();
    }
}
