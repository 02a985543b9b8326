using System.Collections.Concurrent;
using System.Globalization;
using Lguest.Results.Reports;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>Guests that have booted and were saved, for all boots that go on from them. They are gone when this is disposed of.</summary>
/// <param name="launcher">Starts lguest.</param>
/// <param name="results">The folder of results, an absolute path: they are in a folder there.</param>
/// <param name="today">The day, UTC.</param>
public sealed class SavedBoots(IBootLauncher launcher, string results, DateOnly today) : IDisposable
{
    /// <summary>What their folder is called in that of results.</summary>
    public const string Folder = "saved";

    private const string State = "state";

    private readonly string _folder = Path.Combine(results, Folder);
    private readonly ConcurrentDictionary<string, Lazy<string?>> _files = new(StringComparer.Ordinal);
    private int _count;

    /// <summary>The file from which a boot can go on. Who asks first boots it, and all others wait for that.</summary>
    /// <param name="boot">The boot.</param>
    /// <param name="stop">Cancelled when all is to end.</param>
    /// <returns>Null if it couldn't be saved: then the boot itself, from its start, says why.</returns>
    /// <remarks>As with <see cref="BootProcess"/>, the thread that calls this has to live until it returns.</remarks>
    public string? FileFor(PlannedBoot boot, CancellationToken stop)
    {
        IReadOnlyList<string> arguments = BootArguments.OfSaved(boot.Settings, today);
        return _files.GetOrAdd(string.Join('\0', arguments), _ => new Lazy<string?>(() => Save(arguments, boot.Limit, stop))).Value;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        try
        {
            if (Directory.Exists(_folder))
            {
                Directory.Delete(_folder, recursive: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Results that can't be cleaned are results; the next suite tries it again.
        }
    }

    private string? Save(IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken stop)
    {
        string name = Interlocked.Increment(ref _count).ToString(CultureInfo.InvariantCulture);
        var files = new BootFiles(Path.Combine(_folder, name));
        string file = Path.Combine(files.Folder, State);
        (AttemptResult result, RunReport? _) = new BootProcess(launcher, files).Run(name, 1, [.. arguments, BootArguments.Save(file)], limit, stop);
        return result.ExitCode == 0 && File.Exists(file) ? file : null;
    }
}
