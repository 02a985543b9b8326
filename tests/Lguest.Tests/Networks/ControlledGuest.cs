using System.Diagnostics;
using System.Globalization;
using System.Text;
using Lguest.TestSupport;

namespace Lguest.Tests.Networks;

/// <summary>A guest that ships, whose shell does what the test tells it.</summary>
internal sealed class ControlledGuest : IDisposable
{
    // The console echoes what is typed, but nobody types this.
    private const string Script = """
        while read -r line; do eval "$line"; echo "status=$?"; done
        """;

    /// <summary>
    /// Prints the checksum of what one connection brings. Without an open input, nc would close its side, which makes the
    /// other side's nc end before it has sent all.
    /// </summary>
    public const string Receive = "nc -l -p 5000 <>/tmp/open | md5sum";

    private const string Status = "status=";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly TestFolder _folder = new();
    private readonly Process _process;

    /// <summary>Starts one, and waits until it is up.</summary>
    /// <param name="arguments">More of its command line.</param>
    public ControlledGuest(params string[] arguments)
    {
        _process = LguestProcess.Start(ShippedImages.Arguments(_folder, Script, arguments));
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginErrorReadLine();
        Do("mkfifo /tmp/open");
    }

    /// <summary>The process that is the guest.</summary>
    public Process Process => _process;

    /// <summary>Has a command carried out, which has to succeed.</summary>
    /// <returns>What it printed, and the command itself.</returns>
    public string Do(string command)
    {
        Begin(command);
        return End(command);
    }

    /// <summary>Has a command begun: <see cref="End"/> waits for its end.</summary>
    public void Begin(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
    }

    /// <summary>Waits for the end of a command that has to succeed.</summary>
    public string End(string command)
    {
        (int status, string output) = Finish();
        Assert.True(status == 0, $"'{command}' ended with {status}: {output}");
        return output;
    }

    /// <summary>Has a command carried out that may fail.</summary>
    public int Try(string command)
    {
        Begin(command);
        return Finish().Status;
    }

    /// <summary>A number that a command prints on a line of its own.</summary>
    public int Number(string command) => int.Parse(
        Do(command).Split('\n').Last(line => line.Length > 0 && line.All(char.IsAsciiDigit)), CultureInfo.InvariantCulture);

    /// <summary>Ends it at once.</summary>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
        _process.Dispose();
        _folder.Dispose();
    }

    private (int Status, string Output) Finish()
    {
        var output = new StringBuilder();
        while (true)
        {
            Task<string?> reading = _process.StandardOutput.ReadLineAsync();
            Assert.True(reading.Wait(Patience, TestContext.Current.CancellationToken), $"The guest doesn't answer, after: {output}");
            string line = reading.Result?.TrimEnd('\r') ?? throw new InvalidOperationException($"The guest has ended, after: {output}");
            if (line.StartsWith(Status, StringComparison.Ordinal))
            {
                return (int.Parse(line[Status.Length..], CultureInfo.InvariantCulture), output.ToString());
            }

            output.Append(line).Append('\n');
        }
    }
}
