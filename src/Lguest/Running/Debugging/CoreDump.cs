using Lguest.Host;
using Lguest.Insight.Cores;
using Lguest.Logging;
using Lguest.Results.Reports;
using Microsoft.Extensions.Logging;

namespace Lguest.Running.Debugging;

/// <summary>Writes a guest's memory and registers to a file when it comes to an end that isn't its own: a death, a limit, a signal.</summary>
/// <param name="path">As the user wrote it.</param>
/// <param name="logger">For messages.</param>
internal sealed class CoreDump(string path, ILogger logger)
{
    // Refused, if it is, before the boot.
    private readonly WholeFile _file = WholeFile.At(path);

    /// <summary>Writes it, if the run has ended so.</summary>
    /// <param name="guest">The guest, after its run.</param>
    /// <param name="outcome">How that ended.</param>
    /// <param name="pageOffset">Where the kernel maps physical address 0.</param>
    /// <returns>Why it couldn't be written: a sentence; null when there is nothing to complain of.</returns>
    public string? Write(Guest guest, GuestOutcome outcome, uint pageOffset)
    {
        if (outcome is GuestOutcome.PowerOff or GuestOutcome.Restart)
        {
            return null;
        }

        try
        {
            IEnumerable<(ulong, ulong)> ram = [(guest.Layout.LowRam.Start, guest.Layout.LowRam.End), .. guest.Layout.HighRam.Select(range => (range.Start, range.End))];
            _file.Write(stream => CoreFile.Write(stream, guest.Processor, guest.PhysicalMemory, ram, pageOffset));
        }
        catch (ReportException e)
        {
            return e.Message;
        }

        string sentence = $"the guest's memory and registers are in '{path}', for gdb";
        LaunchLog.Information(logger, sentence);
        return null;
    }
}
