using Lguest.Cpu;

namespace Lguest.Host;

/// <summary>
/// Time that is made of instructions: each takes <see cref="NanosecondsPerInstruction"/>, and while the guest
/// waits, time jumps to the next thing that happens. Two runs with the same input see the same times.
/// </summary>
public sealed class VirtualClock : GuestClock
{
    /// <summary>
    /// How long an instruction takes: the guest has a processor of 200 million instructions a second, about what
    /// the interpreter does, so that the guest's idea of its own speed isn't far off.
    /// </summary>
    public const ulong NanosecondsPerInstruction = 5;

    private readonly Processor _processor;
    private readonly DateTimeOffset _start;
    private ulong _skipped;

    /// <summary>Starts a clock at 0.</summary>
    /// <param name="processor">Whose instructions count.</param>
    /// <param name="date">The date at the guest's start; null: <see cref="DefaultDate"/>.</param>
    public VirtualClock(Processor processor, DateTimeOffset? date = null)
    {
        _processor = processor;
        _start = date ?? DefaultDate;
        _skipped = unchecked(0 - (processor.Retired * NanosecondsPerInstruction));
    }

    /// <summary>The date of a guest that isn't told another: when Linux 2.6.23 came out.</summary>
    public static DateTimeOffset DefaultDate { get; } = new(2007, 10, 9, 20, 31, 38, TimeSpan.Zero);

    /// <inheritdoc />
    public override bool IsVirtual => true;

    /// <inheritdoc />
    public override ulong Now => Read(_processor.Retired);

    /// <inheritdoc />
    public override WallTime WallTime => WallTime.From(_start.AddTicks((long)(Now / TimeSpan.NanosecondsPerTick)));

    /// <inheritdoc />
    public override ulong Read(ulong retired) => unchecked((retired * NanosecondsPerInstruction) + _skipped);

    /// <inheritdoc />
    public override ulong InstructionsUntil(ulong moment)
    {
        ulong now = Now;
        return moment <= now ? 0 : ((moment - now - 1) / NanosecondsPerInstruction) + 1;
    }

    /// <inheritdoc />
    public override void SkipTo(ulong moment)
    {
        ulong now = Now;
        if (moment > now)
        {
            _skipped += moment - now;
        }
    }

    /// <inheritdoc />
    protected override void ContinueFrom(ulong now) =>
        _skipped = unchecked(now - (_processor.Retired * NanosecondsPerInstruction));
}
