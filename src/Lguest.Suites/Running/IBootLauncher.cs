namespace Lguest.Suites.Running;

/// <summary>What a suite needs of the command that runs it.</summary>
public interface IBootLauncher
{
    /// <summary>The program, and its first arguments, that is lguest.</summary>
    IReadOnlyList<string> Command { get; }

    /// <summary>The kernel that ships.</summary>
    /// <exception cref="SuiteException">It isn't there.</exception>
    string ShippedKernel { get; }

    /// <summary>Sees that lguest understands a command line. No file is touched.</summary>
    /// <returns>The wall time after which it will end that run.</returns>
    /// <exception cref="SuiteException">It doesn't.</exception>
    TimeSpan Check(IReadOnlyList<string> arguments);

    /// <summary>Asks a process to end, as SIGTERM does.</summary>
    void AskToEnd(int processId);
}
