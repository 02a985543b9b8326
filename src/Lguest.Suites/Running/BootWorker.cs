using System.Diagnostics;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>
/// A process that runs boots one after another: it starts once, and what it executes is compiled once. If it dies, that costs the boot that it
/// ran, and another one takes the next; one that had nothing to run has cost nothing. There is one from the first boot on until this is disposed of.
/// </summary>
/// <param name="launcher">Starts lguest.</param>
/// <remarks>It belongs to one thread, which has to live as long: to Linux, that thread is what the process follows into death.</remarks>
public sealed class BootWorker(IBootLauncher launcher) : IDisposable
{
    // Until the first boot has files, what it says is for that one's.
    private const string Redirection = "e=$1; shift; exec \"$@\" 2>\"$e\"";

    private Process? _process;
    private int _boots;

    /// <summary>How many boots one process runs: what each leaves in it, little as it is, has an end so.</summary>
    public int MostBoots { get; init; } = 1000;

    /// <summary>Runs a boot to its end.</summary>
    /// <param name="arguments">Its command line.</param>
    /// <param name="files">Where its streams go.</param>
    /// <param name="limit">How long it may take until it is ended.</param>
    /// <param name="stop">Cancelled when it is to end.</param>
    public ProcessEnd Run(IReadOnlyList<string> arguments, BootFiles files, TimeSpan limit, CancellationToken stop) =>
        TryRun(arguments, files, limit, stop, out ProcessEnd end) ? end : RunByAnother(arguments, files, limit, stop);

    /// <inheritdoc />
    public void Dispose() => _ = End();

    /// <summary>That a process has ended is known only a while later: it may have been given the boot nevertheless, and then another one begins it.</summary>
    private ProcessEnd RunByAnother(IReadOnlyList<string> arguments, BootFiles files, TimeSpan limit, CancellationToken stop)
    {
        _ = TryRun(arguments, files, limit, stop, out ProcessEnd end);
        return end;
    }

    /// <returns>Whether it has begun, or wasn't to go on.</returns>
    private bool TryRun(IReadOnlyList<string> arguments, BootFiles files, TimeSpan limit, CancellationToken stop, out ProcessEnd end)
    {
        if (_boots == MostBoots || _process is { HasExited: true })
        {
            _ = End();
        }

        _process ??= Start(files);
        _boots++;
        bool hasBegun;
        int? exitCode;
        var watch = new EndWatch(launcher, _process, limit, stop);
        using (watch)
        {
            try
            {
                // A worker that doesn't read has this wait, too.
                WorkerProtocol.Ask(_process.StandardInput, [files.Output, files.Errors, .. arguments]);
            }
            catch (IOException)
            {
                // It has ended, and its exit code says why.
            }

            hasBegun = WorkerProtocol.HasBegun(_process.StandardOutput);
            exitCode = hasBegun ? WorkerProtocol.Read(_process.StandardOutput.ReadLine()) : null;
        }

        end = exitCode is { } code ? new ProcessEnd(code, watch.IsStopped) : new ProcessEnd(End(), watch.IsStopped);
        return hasBegun || watch.IsAsked;
    }

    private Process Start(BootFiles files)
    {
        ProcessStartInfo start = BootProcess.StartInfo(["-c", Redirection, "lguest", files.Errors, .. launcher.Command]);
        start.Environment[WorkerProtocol.Variable] = "1";
        start.RedirectStandardInput = start.RedirectStandardOutput = true;
        return BootProcess.Start(start);
    }

    /// <returns>Its exit code; 0 if there is none.</returns>
    private int End()
    {
        if (_process is not { } process)
        {
            return 0;
        }

        _process = null;
        _boots = 0;
        using (process)
        {
            try
            {
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It has ended already.
            }

            if (!process.WaitForExit(BootProcess.Grace))
            {
                EndWatch.Kill(process);
                process.WaitForExit();
            }

            return process.ExitCode;
        }
    }
}

/// <summary>What a boot goes on from that doesn't begin at its start.</summary>
/// <param name="File">The saved guest.</param>
/// <param name="Worker">Who runs it.</param>
public sealed record WarmStart(string File, BootWorker Worker);
