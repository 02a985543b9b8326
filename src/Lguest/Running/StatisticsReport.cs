using System.Globalization;
using Lguest.Devices;
using Lguest.Devices.Disks;
using Lguest.Devices.Networks;
using Lguest.Host;

namespace Lguest.Running;

/// <summary>What <c>--stats</c> tells at the end of a run.</summary>
internal static class StatisticsReport
{
    private const double Million = 1e6;

    /// <summary>The most instructions that are named as what wasn't translated.</summary>
    private const int MostLimits = 10;

    /// <summary>The lines.</summary>
    /// <param name="guest">After its run.</param>
    /// <param name="disks">Its disks, with their names.</param>
    /// <param name="networks">Its networks, with theirs.</param>
    /// <param name="streams">Its console, and its command if it has one.</param>
    /// <param name="elapsed">Wall time of the run.</param>
    public static IEnumerable<string> Lines(
        Guest guest,
        IReadOnlyList<Disk> disks,
        IReadOnlyList<Network> networks,
        GuestStreams streams,
        TimeSpan elapsed)
    {
        var idle = TimeSpan.FromTicks((long)(guest.IdleNanoseconds / TimeSpan.NanosecondsPerTick));
        double busySeconds = Math.Max((elapsed - idle).TotalSeconds, 1 / Million);
        yield return Line(
            $"{guest.Processor.Retired:n0} instructions in {elapsed.TotalSeconds:f3} s, {idle.TotalSeconds:f3} of them idle: {guest.Processor.Retired / Million / busySeconds:f1} million a second");
        if (guest.IsTranslating)
        {
            double share = 100.0 * guest.Processor.TranslatedInstructions / Math.Max(guest.Processor.Retired, 1);
            yield return Line(
                $"{share:f1} % of them translated, in {guest.Processor.TranslatedBlocks:n0} blocks; the interpreter was asked for: {Listing(guest.Processor.TranslationLimits.Take(MostLimits))}");
        }

        yield return Line($"{guest.Processor.Statistics.PageFaults:n0} page faults, {guest.Processor.Statistics.Exceptions:n0} exceptions of all kinds");
        yield return "interrupts: " + Listing(guest.Interrupts.Delivered.Select((count, irq) => KeyValuePair.Create($"IRQ {irq}", count)));
        yield return "hypercalls: " + Listing(guest.HypercallCounts);
        foreach (Disk disk in disks)
        {
            BlockStatistics done = disk.Device.Statistics;
            yield return Line(
                $"{disk.Name}: {done.Requests:n0} requests, {done.BytesRead:n0} bytes read, {done.BytesWritten:n0} written, {done.Flushes:n0} flushes, {done.Errors:n0} errors");
        }

        foreach (Network network in networks)
        {
            NetworkStatistics done = network.Device.Statistics;
            yield return Line(
                $"{network.Name}: {done.FramesSent:n0} frames sent, {done.BytesSent:n0} bytes, {done.SendingDropped:n0} dropped; {done.FramesReceived:n0} received, {done.BytesReceived:n0} bytes, {done.ReceivingDropped:n0} dropped");
        }

        if (streams.Command is { } command)
        {
            yield return Line($"command: {command.BytesWritten:n0} bytes out, {command.ErrorBytesWritten:n0} of errors, {command.BytesRead:n0} in");
        }

        yield return Line($"console: {streams.Console.BytesWritten:n0} bytes out, {streams.Console.BytesRead:n0} in");
    }

    private static string Listing(IEnumerable<KeyValuePair<string, ulong>> counts)
    {
        string list = string.Join(", ", counts.Where(count => count.Value > 0).Select(count => Line($"{count.Key} {count.Value:n0}")));
        return list.Length > 0 ? list : "none";
    }

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
