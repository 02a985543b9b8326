using System.Runtime.CompilerServices;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>Whether floating-point and SIMD instructions may execute at all (SDM 3A, 2.5 and 13.1).</summary>
internal static unsafe class FloatingPointAccess
{
    /// <summary>ES of the x87 status word: an unmasked exception waits to be reported.</summary>
    private const uint ErrorSummary = 1 << 7;

    /// <summary>For x87 instructions but WAIT: #NM with CR0.EM or CR0.TS.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckX87(ProcessorState* s, Operation* op) =>
        (s->Cr0 & (Cr0.Em | Cr0.Ts)) == 0 || Raise(s, op, ExceptionVector.DeviceNotAvailable);

    /// <summary>For WAIT (FWAIT): #NM with CR0.MP and CR0.TS both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckWait(ProcessorState* s, Operation* op) =>
        (s->Cr0 & (Cr0.Mp | Cr0.Ts)) != (Cr0.Mp | Cr0.Ts) || Raise(s, op, ExceptionVector.DeviceNotAvailable);

    /// <summary>For FXSAVE and FXRSTOR: #NM with CR0.EM or CR0.TS, whatever CR4 says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckFxsave(ProcessorState* s, Operation* op) => CheckX87(s, op);

    /// <summary>Whether MMX instructions may execute.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsMmxAvailable(ProcessorState* s) =>
        ((s->Cr0 & (Cr0.Em | Cr0.Ts)) | (s->X87.Status & ErrorSummary)) == 0;

    /// <summary>Whether SSE instructions may execute.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsSseAvailable(ProcessorState* s) =>
        ((s->Cr0 & (Cr0.Em | Cr0.Ts)) | (~s->Cr4 & Cr4.Osfxsr)) == 0;

    /// <summary>Raises what keeps an MMX instruction from executing.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operation* RaiseMmx(ProcessorState* s, Operation* op) =>
        Fault.Raise(
            s,
            op,
            (s->Cr0 & Cr0.Em) != 0 ? ExceptionVector.InvalidOpcode
            : (s->Cr0 & Cr0.Ts) != 0 ? ExceptionVector.DeviceNotAvailable
            : ExceptionVector.X87Error);

    /// <summary>Raises what keeps an SSE instruction from executing.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operation* RaiseSse(ProcessorState* s, Operation* op) =>
        Fault.Raise(
            s,
            op,
            (s->Cr0 & Cr0.Em) != 0 || (s->Cr4 & Cr4.Osfxsr) == 0
                ? ExceptionVector.InvalidOpcode
                : ExceptionVector.DeviceNotAvailable);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Raise(ProcessorState* s, Operation* op, int vector)
    {
        Fault.Raise(s, op, vector);
        return false;
    }
}
