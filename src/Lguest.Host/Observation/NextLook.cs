namespace Lguest.Host.Observation;

/// <summary>When an observer wants to look again. Of several wishes, the first that comes true counts.</summary>
public readonly record struct NextLook
{
    /// <summary>Never again, unless somebody asks for a look.</summary>
    public static NextLook Never => default;

    /// <summary>Not at all any more in this run, which ends with <see cref="GuestOutcome.Stopped"/>. It can be continued.</summary>
    public static NextLook EndOfRun => new() { EndsRun = true };

    /// <summary>After so many more instructions, exactly: at least 1. Null: it doesn't matter how many.</summary>
    public ulong? Instructions { get; init; }

    /// <summary>
    /// When <see cref="Guest.Age"/> has come to so many nanoseconds, also while the guest sleeps. What is past by then means
    /// at the end of the next slice, at most 50,000 instructions away. Null: whenever.
    /// </summary>
    public ulong? Age { get; init; }

    /// <summary>Whether the run is to end.</summary>
    public bool EndsRun { get; init; }

    /// <summary>At an age.</summary>
    /// <param name="nanoseconds">See <see cref="Age"/>.</param>
    public static NextLook AtAge(ulong nanoseconds) => new() { Age = nanoseconds };

    /// <summary>After more instructions.</summary>
    /// <param name="count">See <see cref="Instructions"/>.</param>
    public static NextLook AfterInstructions(ulong count) => new() { Instructions = count };
}
