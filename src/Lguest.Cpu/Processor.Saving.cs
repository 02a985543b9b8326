using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <content>Saving and loading: all that a guest can see of its processor, as bytes.</content>
public sealed unsafe partial class Processor
{
    // The engine's own lies between the two parts of what is saved, and behind them.
    private int RegistersSize => (int)((byte*)&_state->Exit - (byte*)_state);

    private int RestStart => (int)((byte*)&_state->X87 - (byte*)_state);

    private int RestEnd => (int)((byte*)&_state->SupervisorTlb - (byte*)_state);

    private int SavedSize => RegistersSize + RestEnd - RestStart;

    /// <summary>Saves the registers, hidden parts and all. Their layout is that of this version.</summary>
    /// <remarks>
    /// Cached translations aren't saved, and may be older than the page tables. They are dropped here too, so that a run
    /// that goes on sees the same memory as one that is loaded.
    /// </remarks>
    public byte[] Save()
    {
        ProcessorState copy = *_state;
        copy.RetiredLimit = Retired;

        // The same flags can be kept in several ways: whoever compares two states wants one.
        copy.ArithmeticFlags = _state->ArithmeticFlags;
        Translation.FlushAll();
        var all = new ReadOnlySpan<byte>(&copy, RestEnd);
        return [.. all[..RegistersSize], .. all[RestStart..]];
    }

    /// <summary>Loads what <see cref="Save"/> has saved. Memory is loaded before.</summary>
    /// <param name="saved">The bytes.</param>
    /// <param name="keepsCode">Whether code that is cached is of memory as it is now.</param>
    /// <exception cref="ArgumentException">It has another size, so it is from another version.</exception>
    public void Load(ReadOnlySpan<byte> saved, bool keepsCode = false)
    {
        if (saved.Length != SavedSize)
        {
            throw new ArgumentException($"A processor takes {SavedSize} bytes here, not {saved.Length}.", nameof(saved));
        }

        var all = new Span<byte>(_state, RestEnd);
        saved[..RegistersSize].CopyTo(all);
        saved[RegistersSize..].CopyTo(all[RestStart..]);
        _state->Countdown = 0;
        _state->SetDebug(7, _state->GetDebug(7));
        Translation.FlushAll();
        if (!keepsCode)
        {
            Blocks.Clear();
        }

        UpdateMode();
    }

    /// <summary>
    /// Makes it as new, for another guest: nobody's hooks, nothing counted, the state after RESET. What was decoded and translated of memory stays;
    /// memory is renewed before (<see cref="Memory.PhysicalMemory.TryRenew"/>).
    /// </summary>
    public void Renew()
    {
        Stops.Release();
        Stops.PassNothing();
        Tracer = null;
        ExceptionHook = null;
        Ports = OpenBus.Instance;
        TimeStampClock = null;
        HostGdt = null;
        PortPrivilege = 0;
        DebugReadPrivilege = 0;
        Cpuid = CpuidModel.Default;
        PageTablePolicy = default;
        PageTableViolation = null;
        LastException = default;
        InterruptLine = false;
        _endOfNextRun = null;
        Statistics.Clear();
        Translations?.ForgetCounts();
        if (Translations is { IsLarge: true })
        {
            // What no guest comes to any more is in there as well: nothing else has an end to that.
            Blocks.Clear();
        }

        Reset();
    }
}
