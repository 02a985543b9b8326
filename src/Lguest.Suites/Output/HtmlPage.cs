using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Lguest.Results.Reports;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>A suite for browsers, in one file. Whatever a guest had a hand in is text there, and its script is the only one that may run.</summary>
internal sealed class HtmlPage : IDisposable
{
    // What consoles may take of the page: browsers become slow.
    private const int MostExcerptCharacters = 8 << 20;
    private const int MostBars = 600;
    private const int PlotWidth = 1200;
    private const int PlotHeight = 120;

    private const string Style = """
        :root { color-scheme: light dark; --passed: #2da44e; --failed: #cf222e; --known: #9a6700; --quiet: #888; }
        body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1240px; padding: 0 1em; }
        h1 { font-size: 1.5em; margin-bottom: 0; }
        p.sub, .axis { color: var(--quiet); }
        svg { width: 100%; height: auto; border-bottom: 1px solid var(--quiet); }
        .passed { fill: var(--passed); color: var(--passed); }
        .failed, .crashed, .timeout, .error { fill: var(--failed); color: var(--failed); }
        .known, .flaky, .seed-dependent { fill: var(--known); color: var(--known); }
        .not-run { fill: var(--quiet); color: var(--quiet); }
        form { display: flex; flex-wrap: wrap; gap: 1em; margin: 1em 0; align-items: center; }
        form input[type=search] { min-width: 22em; padding: .3em; }
        table { border-collapse: collapse; width: 100%; }
        th, td { text-align: left; padding: .25em .6em; border-top: 1px solid #8884; vertical-align: top; }
        td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
        td.name { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
        td.word { font-weight: 600; white-space: nowrap; }
        td.tests { min-width: 8em; }
        pre { white-space: pre-wrap; overflow-wrap: anywhere; overflow-y: auto; background: #8881; padding: .6em; max-height: 40em; font-size: 12px; }
        mark { background: #cf222e33; color: inherit; display: inline-block; min-width: 100%; }
        code { overflow-wrap: anywhere; }
        [hidden] { display: none; }
        """;

    private const string Script = """
        (function () {
          var text = document.getElementById('text'), boxes = document.querySelectorAll('form input[type=checkbox]');
          function show() {
            var words = text.value, wanted = {};
            boxes.forEach(function (box) { wanted[box.value] = box.checked; });
            document.querySelectorAll('tbody').forEach(function (boot) {
              boot.hidden = !wanted[boot.dataset.status] || boot.dataset.name.indexOf(words) < 0;
            });
          }
          text.addEventListener('input', show);
          boxes.forEach(function (box) { box.addEventListener('change', show); });
          document.querySelectorAll('details').forEach(function (more) {
            more.addEventListener('toggle', function () {
              var pre = more.querySelector('pre'), mark = more.querySelector('mark');
              if (mark) { pre.scrollTop = mark.offsetTop - pre.offsetTop - pre.clientHeight / 2; }
            });
          });
          document.querySelector('form').addEventListener('submit', function (event) { event.preventDefault(); });
        })();
        """;

    private readonly SuiteResult _result;
    private readonly string _folder;
    private readonly StreamWriter _writer;
    private int _excerptCharacters;

    private HtmlPage(Stream stream, SuiteResult result, string folder)
    {
        _result = result;
        _folder = folder;
        _writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
    }

    /// <summary>Writes it, in UTF-8.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="result">The suite.</param>
    /// <param name="folder">The folder of results, in which the boots' files are.</param>
    public static void Write(Stream stream, SuiteResult result, string folder)
    {
        using var page = new HtmlPage(stream, result, folder);
        page.Write();
    }

    /// <inheritdoc />
    public void Dispose() => _writer.Dispose();

    private void Write()
    {
        // Line ends are those of the source otherwise, and the hash is of what the browser sees.
        string script = Script.ReplaceLineEndings("\n");
        string hash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)));
        _writer.Write($"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'">
            <meta name="viewport" content="width=device-width">
            <title>{Text(_result.Name)}</title>
            <style>
            {Style}
            </style>
            </head>
            <body>
            <h1>{Text(_result.Name)}</h1>
            <p class="sub">{Text(SuiteSummary.Line(_result))}; begun {_result.Started.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)} UTC</p>

            """.ReplaceLineEndings("\n"));
        if (_result.Interrupted is { } why)
        {
            _writer.WriteLine($"<p><strong>This is not all: the suite was ended by {Text(why)}.</strong></p>");
        }

        WritePlot();
        WriteFilters();
        _writer.WriteLine("<table>");
        _writer.WriteLine("<thead><tr><th>boot</th><th>status</th><th class=\"number\">seconds</th><th class=\"number\">the guest's</th><th>tests</th><th>what happened</th></tr></thead>");
        foreach (BootResult boot in _result.Boots)
        {
            WriteBoot(boot);
        }

        _writer.WriteLine("</table>");
        _writer.WriteLine($"<script>{script}</script>");
        _writer.WriteLine("</body>\n</html>");
    }

    /// <summary>A bar for each boot, as high as it took long; of very many, one for each few, as high as the longest.</summary>
    private void WritePlot()
    {
        BootResult[] ran = [.. _result.Boots.Where(boot => boot.Attempts.Count > 0)];
        if (ran.Length == 0)
        {
            return;
        }

        BootResult[][] bars = [.. ran.Chunk((ran.Length + MostBars - 1) / MostBars)];
        double longest = Math.Max(ran.Max(Seconds), 0.001);
        double width = (double)PlotWidth / bars.Length;
        _writer.WriteLine(Invariant($"<p class=\"axis\">seconds of each boot, {longest:f2} at most</p>"));
        _writer.WriteLine(Invariant($"<svg viewBox=\"0 0 {PlotWidth} {PlotHeight}\" role=\"img\" aria-label=\"seconds of each boot\">"));
        for (int i = 0; i < bars.Length; i++)
        {
            BootResult slowest = bars[i].MaxBy(Seconds)!;
            BootResult worst = bars[i].FirstOrDefault(boot => boot.Status.IsFailure()) ?? slowest;
            double height = Math.Max(Seconds(slowest) / longest * PlotHeight, 1);
            _writer.WriteLine(Invariant($"<rect class=\"{worst.Status.ToWord()}\" x=\"{i * width:f2}\" y=\"{PlotHeight - height:f2}\" width=\"{Math.Max(width * 0.85, 0.5):f2}\" height=\"{height:f2}\">")
                + Invariant($"<title>{Text(slowest.Name)}: {Seconds(slowest):f2} s, {slowest.Status.ToWord()}</title></rect>"));
        }

        _writer.WriteLine("</svg>");
    }

    private void WriteFilters()
    {
        _writer.WriteLine("<form><input type=\"search\" id=\"text\" placeholder=\"a part of a boot's name\" aria-label=\"a part of a boot's name\">");
        foreach (IGrouping<BootStatus, BootResult> group in _result.Boots.GroupBy(boot => boot.Status).OrderBy(group => group.Key))
        {
            string word = group.Key.ToWord();
            _writer.WriteLine(Invariant($"<label class=\"{word}\"><input type=\"checkbox\" value=\"{word}\" checked> {word} ({group.Count()})</label>"));
        }

        _writer.WriteLine("</form>");
    }

    private void WriteBoot(BootResult boot)
    {
        string word = boot.Status.ToWord();
        AttemptResult? last = boot.Attempts.Count > 0 ? boot.Attempts[^1] : null;
        string tests = last is null ? string.Empty : string.Join(", ", last.Tests.Select(test => Invariant($"{test.Value} {test.Key}")));
        _writer.WriteLine($"<tbody data-status=\"{word}\" data-name=\"{Text(boot.Name)}\">");
        _writer.Write($"<tr><td class=\"name\">{Text(boot.Name)}</td><td class=\"word {word}\">{word}</td>");
        _writer.Write(Invariant($"<td class=\"number\">{Seconds(boot):f2}</td><td class=\"number\">{last?.GuestSeconds:f2}</td>"));
        _writer.WriteLine($"<td class=\"tests\">{Text(tests)}</td><td>{Text(boot.Sentence)}</td></tr>");
        if (last is not null && boot.Status != BootStatus.Passed)
        {
            WriteDetails(boot, last);
        }

        _writer.WriteLine("</tbody>");
    }

    private void WriteDetails(BootResult boot, AttemptResult last)
    {
        var files = BootFiles.Of(_folder, boot.Name, last.Number);
        RunReport? report = files.ReadReport();
        _writer.WriteLine("<tr><td colspan=\"6\"><details><summary>more</summary>");
        foreach (string print in boot.Fingerprints)
        {
            _writer.WriteLine($"<p><code>{Text(print)}</code></p>");
        }

        _writer.WriteLine("<p>" + string.Join(" ", boot.Attempts.SelectMany(attempt => Links(boot, attempt))) + "</p>");
        if (_excerptCharacters < MostExcerptCharacters)
        {
            var text = new StringBuilder();
            foreach (ExcerptLine line in ConsoleExcerpt.Of(files, report))
            {
                text.Append(line.IsMarked ? $"<mark>{Text(line.Text)}</mark>" : Text(line.Text)).Append('\n');
            }

            _excerptCharacters += text.Length;
            _writer.WriteLine($"<pre>{text}</pre>");
        }

        _writer.WriteLine("</details></td></tr>");
    }

    private IEnumerable<string> Links(BootResult boot, AttemptResult attempt)
    {
        var files = BootFiles.Of(_folder, boot.Name, attempt.Number);
        string prefix = boot.Attempts.Count > 1 ? Invariant($"{attempt.Number}/") : string.Empty;
        foreach (string path in (string[])[files.Report, files.Console, files.Kmsg, files.Output, files.Errors, files.Result, files.Profile, files.ProfilePicture, files.Frames, files.Core, files.Repeat])
        {
            string name = Path.GetFileName(path);
            if (File.Exists(path))
            {
                yield return Invariant($"<a href=\"{BootFiles.Runs}/{Uri.EscapeDataString(boot.Name)}/{attempt.Number}/{name}\">{prefix}{name}</a>");
            }
        }
    }

    private static double Seconds(BootResult boot) => boot.Attempts.Sum(attempt => attempt.WallSeconds);

    private static string Text(string text) => WebUtility.HtmlEncode(GuestText.ForPeople(text));

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
