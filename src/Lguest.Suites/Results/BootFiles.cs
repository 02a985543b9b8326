using System.Text.Json;
using Lguest.Results.Reports;

namespace Lguest.Suites.Results;

/// <summary>The files of an attempt: <c>runs/NAME/ATTEMPT</c> in a folder of results.</summary>
/// <param name="folder">Where they are.</param>
public sealed class BootFiles(string folder)
{
    /// <summary>What the folder of all boots is called.</summary>
    public const string Runs = "runs";

    /// <summary>Where they are.</summary>
    public string Folder => folder;

    /// <summary>What the guest printed on its console.</summary>
    public string Console => In("console");

    /// <summary>The kernel's log.</summary>
    public string Kmsg => In("kmsg");

    /// <summary>What came on standard output.</summary>
    public string Output => In("stdout");

    /// <summary>What came on standard error.</summary>
    public string Errors => In("stderr");

    /// <summary>The report for people.</summary>
    public string Report => In("report.txt");

    /// <summary>The report for programs.</summary>
    public string Result => In("result.json");

    /// <summary>A script that repeats the boot.</summary>
    public string Repeat => In("repro.sh");

    /// <summary>A core of the guest, if one is wanted and it has died.</summary>
    public string Core => In("core");

    /// <summary>What went over its networks, if that is wanted.</summary>
    public string Frames => In("frames.pcapng");

    /// <summary>Where it spent its instructions, if that is wanted.</summary>
    public string Profile => In("profile");

    /// <summary>A picture of that.</summary>
    public string ProfilePicture => In("profile.svg");

    /// <summary>Those of an attempt.</summary>
    /// <param name="results">The folder of results.</param>
    /// <param name="boot">The boot's name.</param>
    /// <param name="attempt">From 1.</param>
    public static BootFiles Of(string results, string boot, int attempt) =>
        new(Path.Combine(results, Runs, boot, attempt.ToString(System.Globalization.CultureInfo.InvariantCulture)));

    /// <summary>Whether a boot's name, from a file that may be anybody's, would lead out of the folder of all boots.</summary>
    public static bool LeadsOut(string boot) => boot.Contains('\0', StringComparison.Ordinal) || boot.Split('/').Any(part => part is "" or "." or "..");

    /// <summary>Reads the report for programs; null if there is none, or half of one.</summary>
    public RunReport? ReadReport()
    {
        try
        {
            using FileStream stream = File.OpenRead(Result);
            RunReport report = JsonReport.Read(stream);

            // What isn't in the file is null, whatever the declarations say: then it isn't lguest's.
            return report is { Health: not null, Tests: not null, TestErrors: not null, Outcome.Sentence: not null } ? report : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private string In(string name) => Path.Combine(folder, name);
}
