using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <content>Saving and loading: all that a guest can see of its processor, as bytes.</content>
public sealed unsafe partial class Processor
{
    private int SavedSize => (int)((byte*)&_state->Countdown - (byte*)_state);

    /// <summary>Saves the registers, hidden parts and all. Their layout is that of this version.</summary>
    /// <remarks>
    /// Cached translations aren't saved, and may be older than the page tables. They are dropped here too, so that a run
    /// that goes on sees the same memory as one that is loaded.
    /// </remarks>
    public byte[] Save()
    {
        ProcessorState copy = *_state;
        copy.RetiredLimit = Retired;
        Translation.FlushAll();
        return new ReadOnlySpan<byte>(&copy, SavedSize).ToArray();
    }

    /// <summary>Loads what <see cref="Save"/> has saved. Memory is loaded before.</summary>
    /// <exception cref="ArgumentException">It has another size, so it is from another version.</exception>
    public void Load(ReadOnlySpan<byte> saved)
    {
        if (saved.Length != SavedSize)
        {
            throw new ArgumentException($"A processor takes {SavedSize} bytes here, not {saved.Length}.", nameof(saved));
        }

        saved.CopyTo(new Span<byte>(_state, SavedSize));
        _state->Countdown = 0;
        _state->SetDebug(7, _state->GetDebug(7));
        Translation.FlushAll();
        Blocks.Clear();
        UpdateMode();
    }
}
