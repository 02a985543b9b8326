using System.Text;
using Lguest.Devices.Backends;
using Lguest.Running;
using Lguest.Suites.Running;

namespace Lguest.SuiteCommands;

/// <summary>
/// The other end of a suite's <see cref="BootWorker"/>: runs one command line after another, each as a process would that had its arguments and
/// streams. What isn't caught ends it, as it would end that process.
/// </summary>
internal static class Worker
{
    /// <summary>Runs what comes on standard input, until nothing comes any more.</summary>
    /// <param name="run">Runs a command line, and gives the exit code.</param>
    /// <returns>The exit code for this process.</returns>
    public static int Serve(Func<IReadOnlyList<string>, int> run)
    {
        (Stream input, Stream output) = StandardDescriptors.TakeAside();
        using var reader = new StreamReader(input);
        using var writer = new StreamWriter(output, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        while (WorkerProtocol.Await(reader) is [string outputFile, string errorFile, .. string[] arguments])
        {
            WorkerProtocol.Begin(writer);
            WorkerProtocol.Answer(writer, TryRedirect(outputFile, errorFile) ? run(arguments) : ExitCode.CouldNotRun);
        }

        return ExitCode.PowerOff;
    }

    private static bool TryRedirect(string output, string errors)
    {
        try
        {
            StandardDescriptors.Redirect(output, errors);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
