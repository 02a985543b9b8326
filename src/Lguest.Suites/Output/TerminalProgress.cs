using System.Globalization;
using System.Text;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;
using Lguest.Suites.Running;
using Spectre.Console;

namespace Lguest.Suites.Output;

/// <summary>A bar, what runs now, and above them what hasn't passed, for a terminal.</summary>
public sealed class TerminalProgress : ISuiteProgress
{
    private readonly object _lock = new();
    private readonly SortedDictionary<string, string> _running = new(StringComparer.Ordinal);
    private readonly Queue<BootResult> _news = [];
    private readonly IAnsiConsole _console;
    private readonly int _total;
    private int _finished;
    private int _failed;

    /// <summary>Makes one.</summary>
    /// <param name="stream">The terminal.</param>
    /// <param name="total">How many boots there are.</param>
    public TerminalProgress(Stream stream, int total)
    {
        _total = total;
        var writer = new StreamWriter(stream, new UTF8Encoding(false)) { AutoFlush = true };
        _console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer), Ansi = AnsiSupport.Yes, Interactive = InteractionSupport.Yes });
    }

    /// <summary>Shows it while something is done.</summary>
    public T While<T>(Func<T> action)
    {
        var work = Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            ShowUntilDone(work);
        }
        catch (IOException)
        {
            // The terminal is gone; the suite goes on, and its results are in files.
        }

        return work.GetAwaiter().GetResult();
    }

    private void ShowUntilDone(Task work) =>
        _console.Progress()
            .AutoClear(true)
            .Columns(new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
            .Start(context =>
            {
                ProgressTask bar = context.AddTask("boots", maxValue: Math.Max(_total, 1));
                while (!work.IsCompleted)
                {
                    Show(bar);
                    _ = Task.WhenAny(work, Task.Delay(100)).GetAwaiter().GetResult();
                }

                Show(bar);
            });

    /// <inheritdoc />
    public void Started(PlannedBoot boot, int attempt)
    {
        lock (_lock)
        {
            _running[boot.Name] = attempt == 1 ? boot.Name : string.Create(CultureInfo.InvariantCulture, $"{boot.Name} ({attempt})");
        }
    }

    /// <inheritdoc />
    public void Finished(BootResult result)
    {
        lock (_lock)
        {
            _finished++;
            _failed += result.Status.IsFailure() ? 1 : 0;
            _running.Remove(result.Name);
            if (result.Status is not (BootStatus.Passed or BootStatus.NotRun))
            {
                _news.Enqueue(result);
            }
        }
    }

    private void Show(ProgressTask bar)
    {
        lock (_lock)
        {
            while (_news.TryDequeue(out BootResult? result))
            {
                string colour = result.Status.IsFailure() ? "red" : "yellow";
                _console.MarkupLine($"[{colour}]{Markup.Escape(LineProgress.Line(result, _finished, _total))}[/]");
            }

            bar.Value = _finished;
            string failed = _failed > 0 ? string.Create(CultureInfo.InvariantCulture, $", [red]{_failed} failed[/]") : string.Empty;
            bar.Description = string.Create(
                CultureInfo.InvariantCulture, $"{_finished}/{_total}{failed}  [grey]{Markup.Escape(string.Join("  ", _running.Values))}[/]");
        }
    }
}
