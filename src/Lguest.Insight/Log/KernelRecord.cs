namespace Lguest.Insight.Log;

/// <summary>A record of the kernel's log.</summary>
public sealed record KernelRecord
{
    /// <summary>The kernel itself, among syslog's facilities; whatever a program writes to /dev/kmsg has another.</summary>
    public const int KernelFacility = 0;

    /// <summary>Its number; the numbers of what was lost before it are missing.</summary>
    public ulong Sequence { get; init; }

    /// <summary>Nanoseconds since the guest's start; null where the log keeps none.</summary>
    public ulong? Nanoseconds { get; init; }

    /// <summary>Syslog's level: 0 (emergency) to 7 (debug).</summary>
    public int Level { get; init; }

    /// <summary>Syslog's facility; null in a log that doesn't keep it, where anybody who may write to the log can pretend to be the kernel.</summary>
    public int? Facility { get; init; }

    /// <summary>Whether it goes on with the line before it.</summary>
    public bool IsContinuation { get; init; }

    /// <summary>The text, without a newline at its end; there may be some in it.</summary>
    public required string Text { get; init; }

    /// <summary>Whether the kernel wrote it, as far as the log tells.</summary>
    public bool IsOfKernel => Facility is null or KernelFacility;

    /// <summary>As dmesg shows it.</summary>
    public override string ToString() => Nanoseconds is { } time
        ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"[{time / 1_000_000_000,5}.{time % 1_000_000_000 / 1000:d6}] {Text}")
        : Text;
}
