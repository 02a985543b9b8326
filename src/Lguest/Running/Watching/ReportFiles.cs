using Lguest.CommandLine;
using Lguest.Results.Reports;

namespace Lguest.Running.Watching;

/// <summary>The reports that the user wants at the end of a run.</summary>
internal sealed class ReportFiles
{
    private readonly List<(WholeFile File, Action<Stream, RunReport> Write)> _files = [];

    /// <summary>Sees that all of them can be written.</summary>
    /// <exception cref="ReportException">One can't.</exception>
    public ReportFiles(WatchOptions options)
    {
        Add(options.Json, JsonReport.Write);
        Add(options.JUnit, JUnitReport.Write);
        Add(options.Report, TextReport.Write);
    }

    /// <summary>Whether there are any.</summary>
    public bool Any => _files.Count > 0;

    /// <summary>Writes all of them, even if one of them can't be.</summary>
    /// <exception cref="ReportException">One couldn't be written.</exception>
    public void Write(RunReport report)
    {
        ReportException? first = null;
        foreach ((WholeFile file, Action<Stream, RunReport> write) in _files)
        {
            try
            {
                file.Write(stream => write(stream, report));
            }
            catch (ReportException e)
            {
                first ??= e;
            }
        }

        if (first is not null)
        {
            throw first;
        }
    }

    private void Add(string? path, Action<Stream, RunReport> write)
    {
        if (path is not null)
        {
            _files.Add((WholeFile.At(path), write));
        }
    }
}
