using System.Runtime.InteropServices;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// The host's own processor in compatibility mode, where a 64-bit process executes 32-bit code (SDM 3A, 9.8.5): the judge of what
/// 64-bit mode has no encoding for, of segments and of 16-bit addresses.
/// </summary>
/// <remarks>
/// The code runs at CPL 3, IOPL 0, with Linux's descriptor tables, and mustn't make system calls. It has
/// <see cref="LowMemory"/> and <see cref="LocalDescriptors"/>, of which there is one each: so there is one such processor at a time,
/// and the next waits for it.
/// </remarks>
internal sealed unsafe class CompatibilityProcessor : IDisposable
{
    private const byte Breakpoint = 0xCC;

    private static readonly SemaphoreSlim Turn = new(1);

    private static readonly Lazy<string?> Found = new(FindObstacle);

    /// <summary>Makes one, when the last one is gone.</summary>
    public CompatibilityProcessor()
    {
        Turn.Wait();
        State->Reset();
    }

    /// <summary>What the code finds, and what it left.</summary>
    public CompatibilityState* State { get; } = CompatibilityEntry.State;

    /// <summary>Why there is no such processor here, or null if there is.</summary>
    public static string? Obstacle => Found.Value;

    /// <summary>Skips the test that calls this, with the reason, where there is no such processor.</summary>
    public static void SkipUnlessSupported() => Assert.SkipWhen(Obstacle is not null, Obstacle ?? string.Empty);

    /// <summary>Executes from the state to the first exception.</summary>
    /// <param name="code">The page of code, from its start.</param>
    public void Execute(ReadOnlySpan<byte> code)
    {
        State->Signal = 0;
        LowMemory.WriteCode(code);
        CompatibilityEntry.Execute();
    }

    /// <inheritdoc />
    public void Dispose() => Turn.Release();

    private static string? FindObstacle()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return "32-bit code can be executed in a 64-bit process only on x86-64 Linux.";
        }

        if (!FaultCatcher.IsInstalled || !HasSignalStack())
        {
            return "Faults of 32-bit code can't be caught here.";
        }

        if (LowMemory.Base == 0 || !LowMemory.IsAlone())
        {
            return "The memory below 4 GiB isn't free here for 32-bit code.";
        }

        if (!LocalDescriptors.IsInstalled)
        {
            return "This Linux gives no segments to 32-bit code: it has no modify_ldt.";
        }

        return Probe() ? null : "This host doesn't execute 32-bit code in a 64-bit process.";
    }

    /// <summary>Whether INC EAX, which is a prefix in 64-bit mode, does what it should.</summary>
    private static bool Probe()
    {
        const byte incrementEax = 0x40;
        const uint before = 41;
        using var processor = new CompatibilityProcessor();
        CompatibilityState* state = processor.State;
        state->General[0] = before;
        state->Eip = LowMemory.Code;
        state->Flags = Eflags.Fixed | Eflags.If;
        state->Selectors[(int)SegmentName.Cs] = CompatibilityEntry.FlatCode;
        state->Selectors[(int)SegmentName.Ss] = CompatibilityEntry.FlatData;
        processor.Execute([incrementEax, Breakpoint]);
        return state->Vector == ExceptionVector.Breakpoint && state->General[0] == before + 1;
    }

    /// <summary>Whether signals have a stack of their own: ESP can be anything.</summary>
    private static bool HasSignalStack() => SignalStack.IsThere();
}
