using System.Text.RegularExpressions;
using Lguest.Results.Matching;
using Lguest.Results.Reports;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>A line of what a guest printed.</summary>
/// <param name="Text">As text: nothing in it moves a cursor.</param>
/// <param name="IsMarked">Whether it is what the boot failed with.</param>
internal sealed record ExcerptLine(string Text, bool IsMarked);

/// <summary>The beginning and the end of what a guest printed, with the failure marked.</summary>
internal static partial class ConsoleExcerpt
{
    private const int HeadBytes = 16 << 10;
    private const int TailBytes = 48 << 10;
    private const int LongestLine = 1000;

    /// <summary>Makes one of the console, or, where that is silent, of the kernel's log.</summary>
    /// <param name="files">The attempt's.</param>
    /// <param name="report">lguest's; null where there is none.</param>
    public static IReadOnlyList<ExcerptLine> Of(BootFiles files, RunReport? report)
    {
        HashSet<string> records =
        [
            .. report?.Health.Where(complaint => complaint.Class != "end").SelectMany(complaint => complaint.Records).Select(record => record.Trim()) ?? [],
        ];
        records.Remove(string.Empty);
        List<string> lines = Read(files.Console);
        List<string> log = lines.Any(line => IsFailure(line, records)) ? [] : Read(files.Kmsg);
        if (log.Any(line => IsFailure(line, records)) || lines.Count == 0)
        {
            lines = log.Count > 0 ? log : lines;
        }

        List<ExcerptLine> excerpt = [.. lines.Select(line => new ExcerptLine(Shown(line), IsFailure(line, records)))];
        int last = excerpt.FindLastIndex(line => line.Text.Length > 0);
        if (last >= 0 && !excerpt.Any(line => line.IsMarked))
        {
            excerpt[last] = excerpt[last] with { IsMarked = true };
        }

        return excerpt;
    }

    private static bool IsFailure(string line, HashSet<string> records) =>
        records.Contains(Prefix().Replace(line, string.Empty).Trim()) || NotOk().IsMatch(line);

    private static string Shown(string line) => GuestText.ForPeople(line.Length <= LongestLine ? line : line[..LongestLine] + "...");

    private static List<string> Read(string path)
    {
        var lines = new List<string>();
        try
        {
            using FileStream file = File.OpenRead(path);
            var text = new ConsoleText(lines.Add);
            byte[] buffer = new byte[HeadBytes];
            int count = file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            text.Write(buffer.AsSpan(0, count));
            if (file.Length > HeadBytes + TailBytes)
            {
                text.Write(System.Text.Encoding.UTF8.GetBytes($"\n... {file.Length - HeadBytes - TailBytes} bytes ...\n"));
                file.Seek(-TailBytes, SeekOrigin.End);
            }

            for (byte[] rest = new byte[TailBytes]; (count = file.Read(rest)) > 0;)
            {
                text.Write(rest.AsSpan(0, count));
            }

            text.Finish();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // There is none: a boot that couldn't begin.
        }

        return lines;
    }

    /// <summary>The priority that a log's file has, and the time that the kernel puts before its records.</summary>
    [GeneratedRegex(@"^(<\d+>)?\[ *\d+\.\d+(\]|\] *\[[^\]]*\]) ?")]
    private static partial Regex Prefix();

    /// <summary>A failed test: KTAP's form, which the kernel indents and puts a time before.</summary>
    [GeneratedRegex(@"^(<\d+>)?(\[ *\d+\.\d+\])? *(# )*not ok \d")]
    private static partial Regex NotOk();
}
