using System.Runtime.CompilerServices;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>Whether floating-point and SIMD instructions may execute at all (SDM 3A, 2.5 and 13.1).</summary>
internal static unsafe class FloatingPointAccess
{
    /// <summary>ES of the x87 status word: an unmasked exception waits to be reported.</summary>
    private const uint ErrorSummary = 1 << 7;

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
}
