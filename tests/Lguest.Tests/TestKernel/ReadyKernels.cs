using Lguest.Results.Reports;
using Lguest.TestSupport;

namespace Lguest.Tests.TestKernel;

/// <summary>
/// The guest that goes wrong on request, booted once for each command line and saved when it was ready for a command: a test
/// goes on from there. It runs in virtual time, and its kernel prints nothing on its console.
/// </summary>
public sealed class ReadyKernels : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly Dictionary<string, string> _states = [];

    public void Dispose() => _folder.Dispose();

    /// <summary>Runs a command.</summary>
    /// <param name="command">For the guest's shell; it finds debugfs mounted, and 0 is the status.</param>
    /// <param name="words">More for the kernel's command line.</param>
    /// <param name="arguments">More of lguest's.</param>
    internal RunReport Command(string command, string words = "", params string[] arguments)
    {
        if (!_states.TryGetValue(words, out string? state))
        {
            state = _folder.Path($"state{_states.Count}");
            LguestResult saved = LguestProcess.Run(string.Empty, TestKernelRun.Patience, TestKernelRun.Arguments(words, $"--save-at-ready={state}", "--clock=virtual"));
            Assert.True(saved.ExitCode == 0, saved.Errors);
            _states.Add(words, state);
        }

        return TestKernelRun.Command(_folder, command, words, [$"--restore={state}", .. arguments]);
    }
}
