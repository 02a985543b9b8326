namespace Lguest.Host.Tests.Dialects;

/// <summary>Something that no kernel should do, and what becomes of one that does.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Do">Writes the kernel's program, which would switch itself off afterwards.</param>
/// <param name="Sentence">What the host's last sentence says; null for a guest that goes on.</param>
public sealed record Misuse(string Name, Action<DialectKernel> Do, string? Sentence)
{
    /// <summary>Whether a trap ends the guest that its kernel has no gate for, and not the host.</summary>
    public bool IsDeath { get; init; }

    /// <summary>Another end of the guest.</summary>
    public GuestOutcome? Outcome { get; init; }

    /// <summary>Runs a kernel of a dialect that does it.</summary>
    /// <returns>Null if what comes of it is right; a line otherwise.</returns>
    public string? Try(Dialect dialect)
    {
        using var devices = new WalkDevices();
        using var guest = new DialectGuest(dialect, devices.Of(dialect));
        var kernel = new DialectKernel(dialect, guest);
        devices.Type("typed");
        Do(kernel);
        kernel.Code.PowerOff();
        GuestOutcome outcome = kernel.Run(1_000_000);
        bool isRight = outcome switch
        {
            GuestOutcome.Killed killed => !IsDeath && Sentence is not null && killed.Sentence.Contains(Sentence, StringComparison.Ordinal),
            GuestOutcome.Died died => IsDeath && Sentence is not null && died.Sentence.Contains(Sentence, StringComparison.Ordinal),
            _ => Sentence is null && outcome == (Outcome ?? new GuestOutcome.PowerOff(0)),
        };
        return isRight ? null : $"{Name}: {outcome}, not {Sentence ?? (Outcome ?? new GuestOutcome.PowerOff(0)).ToString()}";
    }
}
