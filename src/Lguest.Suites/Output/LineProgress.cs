using System.Globalization;
using System.Text;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;
using Lguest.Suites.Running;

namespace Lguest.Suites.Output;

/// <summary>A line for each boot when it is over, for logs.</summary>
/// <param name="stream">Where they go.</param>
/// <param name="total">How many boots there are.</param>
public sealed class LineProgress(Stream stream, int total) : ISuiteProgress
{
    private const int WidestStatus = 14;
    private readonly object _lock = new();
    private int _finished;

    /// <inheritdoc />
    public void Started(PlannedBoot boot, int attempt)
    {
    }

    /// <inheritdoc />
    public void Finished(BootResult result)
    {
        lock (_lock)
        {
            _finished++;
            try
            {
                stream.Write(Encoding.UTF8.GetBytes(Line(result, _finished, total) + "\n"));
            }
            catch (IOException)
            {
                // Who doesn't listen any more gets the results all the same.
            }
        }
    }

    /// <summary>What there is to say of a boot that is over.</summary>
    /// <param name="result">The boot.</param>
    /// <param name="finished">How many are over.</param>
    /// <param name="total">How many there are.</param>
    public static string Line(BootResult result, int finished, int total)
    {
        string count = finished.ToString(CultureInfo.InvariantCulture).PadLeft(total.ToString(CultureInfo.InvariantCulture).Length);
        string sentence = result.Sentence.Length > 0 && result.Status != BootStatus.Passed ? $": {PlainText.OneLine(result.Sentence)}" : string.Empty;
        double seconds = result.Attempts.Sum(attempt => attempt.WallSeconds);
        return string.Create(CultureInfo.InvariantCulture, $"{result.Status.ToWord().PadRight(WidestStatus)} {count}/{total} {result.Name} {seconds:f2} s{sentence}");
    }
}
