using System.Runtime.InteropServices;

namespace Lguest.Devices.Backends;

/// <summary>
/// While this is alive, descriptor 1 is /dev/null if it was a terminal: for calls of libraries that would
/// touch System.Console, whose first use writes escape sequences to a terminal.
/// </summary>
public sealed class StandardOutputAside : IDisposable
{
    private const int StandardOutput = 1;
    private const string Nowhere = "/dev/null";
    private const int NotMoved = -1;

    private readonly int _terminal = NotMoved;

    /// <summary>Moves a terminal out of the way.</summary>
    public StandardOutputAside()
    {
        if (!DescriptorStream.IsTerminal(StandardDescriptors.Output))
        {
            return;
        }

        using var nowhere = HostFile.Open(Nowhere, FileAccess.Write);
        _terminal = SystemCalls.Fcntl(StandardOutput, SystemCalls.FcntlDuplicateCloseOnExec, SystemCalls.FirstFreeDescriptor);
        if (_terminal >= 0)
        {
            _ = SystemCalls.Duplicate((int)nowhere.DangerousGetHandle(), StandardOutput);
        }
    }

    /// <summary>Moves it back.</summary>
    public void Dispose()
    {
        if (_terminal < 0)
        {
            return;
        }

        _ = SystemCalls.Duplicate(_terminal, StandardOutput);
        _ = SystemCalls.Close(_terminal);
    }
}
