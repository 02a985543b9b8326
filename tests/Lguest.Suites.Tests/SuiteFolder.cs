using System.Diagnostics;
using System.Globalization;
using System.Text;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;
using Lguest.Suites.Running;

namespace Lguest.Suites.Tests;

/// <summary>
/// A folder with a suite, and something that is started as lguest is: a script, which does what the test's <c>run</c> says. In that,
/// <c>finish CODE CONDITION SENTENCE [HEALTH [TESTS]]</c> writes a report and ends, and <c>$seed</c> is the seed. As a worker it runs each boot in a
/// subshell, so that <c>$$</c> is the worker; a file <c>broken</c> beside it keeps it from starting, a file
/// <c>deaf</c> from reading, and a file <c>deadly</c>, or the first time one <c>once</c>, from beginning what it has read.
/// </summary>
internal sealed class SuiteFolder : IDisposable, IBootLauncher
{
    private const string Script = """
        finish() {
          printf '{"outcome":{"condition":"%s","exitCode":%s,"sentence":"%s"},"times":{"started":"2026-01-01T00:00:00Z","wallSeconds":1,"guestSeconds":2,"idleSeconds":0},"instructions":3,"health":[%s],"tests":[%s],"testErrors":[]}' "$2" "$1" "$3" "$4" "$5" >"$json"
          exit "$1"
        }
        complain() { printf '{"class":"warning","title":"WARNING at a","fingerprint":"%s","counts":%s,"records":["WARNING: CPU: 0 at a"]}' "$1" "$2"; }
        not_ok() { printf '{"source":"kernel","suite":"s","name":"%s","isSuite":false,"status":"failed","kcidb":"FAIL","reason":"","output":"","jUnit":"Failure"}' "$1"; }
        boot() {
          for a; do
            case $a in
              --json=*) json=${a#*=};;
              --seed=*) seed=${a#*=};;
              --run=*) run=${a#*=};;
              --log=*) log=${a#*=};;
              --save-at-ready=*) saved=${a#*=};;
              --restore=*) restored=${a#*=};;
            esac
          done
          if [ -n "$saved" ]; then
            echo "$*" >>"${saved%/out/*}/saves"
            case " $* " in *broken*) finish 100 KernelDied x;; esac
            echo "$$" >"$saved"
            finish 0 PowerOff ''
          fi
          [ -z "$restored" ] || state=$(cat "$restored")
          eval "$run"
          finish 0 PowerOff ''
        }
        [ -n "$LGUEST_WORKER" ] || boot "$@"
        [ ! -e "${0%/*}/broken" ] || { echo 'lguest: too few of something' >&2; exit 125; }
        [ ! -e "${0%/*}/deaf" ] || exec sleep 30
        exec 3<&0 4>&1 </dev/null >/dev/null
        while read -r count <&3; do
          set --
          while [ "$count" -gt 0 ]; do
            IFS= read -r word <&3
            word=$(printf '%bx' "$word")
            set -- "$@" "${word%x}"
            count=$((count - 1))
          done
          [ ! -e "${0%/*}/once" ] || { rm "${0%/*}/once"; kill -9 $$; }
          [ ! -e "${0%/*}/deadly" ] || { echo $$ >>"${0%/*}/deadly"; kill -9 $$; }
          echo begins >&4
          output=$1 errors=$2
          shift 2
          (exec 3<&- 4>&-; boot "$@") >"$output" 2>"$errors"
          echo $? >&4
        done
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lguest-suite-");

    public SuiteFolder() => File.WriteAllText(Path("fake.sh"), Script.ReplaceLineEndings("\n"));

    public IReadOnlyList<string> Command => ["/bin/sh", Path("fake.sh")];

    public string ShippedKernel => Path("fake.sh");

    public List<int> Asked { get; } = [];

    public string Output => Path("out");

    public string Path(string name) => System.IO.Path.Combine(_folder.FullName, name);

    public TimeSpan Check(IReadOnlyList<string> arguments) =>
        arguments.Contains("--ktap=none") || (arguments.Contains("--restore=state") && !arguments.Any(word => word.StartsWith("--run=", StringComparison.Ordinal))) ? throw new SuiteException("that isn't understood") : TimeSpan.FromMinutes(1);

    public void AskToEnd(int processId)
    {
        lock (Asked)
        {
            Asked.Add(processId);
        }

        using var kill = System.Diagnostics.Process.Start("kill", ["-TERM", $"{processId}"]);
        kill.WaitForExit();
    }

    /// <summary>Writes a suite.</summary>
    public string Suite(string text)
    {
        string path = Path("suite.yaml");
        File.WriteAllText(path, text.ReplaceLineEndings("\n"));
        return path;
    }

    /// <summary>Runs one.</summary>
    public SuiteResult Run(string text, Func<SuiteRequest, SuiteRequest>? wish = null) => Run(out _, text, wish);

    /// <summary>Runs one, and gives what it said.</summary>
    public SuiteResult Run(out string said, string text, Func<SuiteRequest, SuiteRequest>? wish = null)
    {
        using var stream = new MemoryStream();
        SuiteResult result = RunTo(stream, text, wish, CancellationToken.None);
        said = Encoding.UTF8.GetString(stream.ToArray());
        return result;
    }

    /// <summary>Runs one until it is to stop.</summary>
    public SuiteResult RunUntil(string text, Func<SuiteRequest, SuiteRequest> wish, CancellationToken stop) => RunTo(Stream.Null, text, wish, stop);

    /// <summary>The text of a file of a boot's last attempt.</summary>
    public string Text(string boot, int attempt, Func<BootFiles, string> file) => File.ReadAllText(file(BootFiles.Of(Output, boot, attempt)));

    /// <summary>The boots of a suite.</summary>
    public IReadOnlyList<PlannedBoot> Plan(string text) => SuitePlan.Of(SuiteReader.Read(Suite(text)));

    /// <summary>Writes a script that can be run.</summary>
    public string Executable(string name, string text)
    {
        string path = Path(name);
        File.WriteAllText(path, text);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        return path;
    }

    /// <summary>Ends a suite of three boots in the middle of the second: there are results of all, and no process goes on.</summary>
    /// <param name="head">What is in the suite's file before the tests.</param>
    /// <param name="wait">What the second boot does until it is ended.</param>
    public async Task AssertEndsCleanly(string head, string wait)
    {
        using var stop = new CancellationTokenSource();
        string up = Path("up");
        Task<SuiteResult> run = Task.Run(() => RunUntil(
            $"{head}\ntests: {{a: {{run: ':'}}, b: {{run: 'echo $$ >{up}.tmp; mv {up}.tmp {up}; {wait}'}}, c: {{run: ':'}}}}",
            request => request with { Jobs = 1 },
            stop.Token), TestContext.Current.CancellationToken);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(up), TimeSpan.FromSeconds(60)));
        int process = int.Parse(await File.ReadAllTextAsync(up, TestContext.Current.CancellationToken), CultureInfo.InvariantCulture);

        await stop.CancelAsync();
        SuiteResult result = await run;

        Assert.Equal([BootStatus.Passed, BootStatus.NotRun, BootStatus.NotRun], result.Boots.Select(boot => boot.Status));
        Assert.Equal("a signal", result.Interrupted);
        Assert.Equal([process], Asked);
        Assert.Throws<ArgumentException>(() => Process.GetProcessById(process));
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private SuiteResult RunTo(Stream stream, string text, Func<SuiteRequest, SuiteRequest>? wish, CancellationToken stop)
    {
        var request = new SuiteRequest(Suite(text)) { Output = Output, Jobs = 2 };
        var session = new SuiteSession(this, stream, isTerminal: false, TimeProvider.System);
        return session.Run(session.Prepare(wish?.Invoke(request) ?? request), stop);
    }
}
