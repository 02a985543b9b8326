using System.Runtime.CompilerServices;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>
/// Whether CR0 and CR4 let x87, MMX and SSE instructions execute (SDM 3A, 2.5 and tables 12-1 and 13-1). Each
/// answers false after it has raised: the handler then returns null.
/// </summary>
internal static unsafe class FloatingPointAccess
{
    /// <summary>For x87 instructions but WAIT: #NM with CR0.EM or CR0.TS.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckX87(ProcessorState* s, Operation* op) =>
        (s->Cr0 & (Cr0.Em | Cr0.Ts)) == 0 || Raise(s, op, ExceptionVector.DeviceNotAvailable);

    /// <summary>For WAIT (FWAIT): #NM with CR0.MP and CR0.TS both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckWait(ProcessorState* s, Operation* op) =>
        (s->Cr0 & (Cr0.Mp | Cr0.Ts)) != (Cr0.Mp | Cr0.Ts) || Raise(s, op, ExceptionVector.DeviceNotAvailable);

    /// <summary>For MMX: #UD with CR0.EM, then #NM with CR0.TS.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckMmx(ProcessorState* s, Operation* op) =>
        (s->Cr0 & (Cr0.Em | Cr0.Ts)) == 0 || RaiseSimd(s, op);

    /// <summary>For FXSAVE and FXRSTOR: #NM with CR0.EM or CR0.TS, whatever CR4 says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckFxsave(ProcessorState* s, Operation* op) => CheckX87(s, op);

    /// <summary>For SSE and later, LDMXCSR and STMXCSR too: #UD with CR0.EM or without CR4.OSFXSR, then #NM with CR0.TS.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckSse(ProcessorState* s, Operation* op) =>
        ((s->Cr0 & (Cr0.Em | Cr0.Ts)) | (~s->Cr4 & Cr4.Osfxsr)) == 0 || RaiseSse(s, op);

    private static bool RaiseSse(ProcessorState* s, Operation* op) =>
        (s->Cr4 & Cr4.Osfxsr) == 0 ? Raise(s, op, ExceptionVector.InvalidOpcode) : RaiseSimd(s, op);

    private static bool RaiseSimd(ProcessorState* s, Operation* op) =>
        Raise(s, op, (s->Cr0 & Cr0.Em) != 0 ? ExceptionVector.InvalidOpcode : ExceptionVector.DeviceNotAvailable);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Raise(ProcessorState* s, Operation* op, int vector)
    {
        Fault.Raise(s, op, vector);
        return false;
    }
}
