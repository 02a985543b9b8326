using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Backends;

/// <summary>
/// Watches for ^C. Each goes to the guest like any other byte; three within a second are a person who wants out.
/// </summary>
internal sealed class InterruptKey(TimeProvider time, ILogger logger, Action thirdPress)
{
    private const byte ControlC = 3;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    // When the last two were pressed; the older first.
    private long? _beforeLast;
    private long? _last;

    /// <summary>Looks at input that has just arrived.</summary>
    public void Observe(ReadOnlySpan<byte> input)
    {
        int presses = input.Count(ControlC);
        for (int i = 0; i < presses; i++)
        {
            Press();
        }
    }

    private void Press()
    {
        long now = time.GetTimestamp();
        if (IsRecent(_beforeLast, now))
        {
            (_beforeLast, _last) = (null, null);
            thirdPress();
            return;
        }

        if (IsRecent(_last, now))
        {
            BackendLog.OnceMore(logger);
        }

        (_beforeLast, _last) = (_last, now);
    }

    private bool IsRecent(long? moment, long now) => moment is { } then && time.GetElapsedTime(then, now) <= Patience;
}
