using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Backends;

/// <summary>
/// A child process that restores the terminal when this one has died without doing so: of SIGKILL, or a crash,
/// after which nothing of ours runs.
/// </summary>
/// <remarks>
/// It is a shell that waits for a line from a pipe. A line is a farewell; the end of the pipe is a death, and then, if the
/// terminal is still as lguest had set it (the user's shell may be faster), stty(1) sets it back. It has a session
/// of its own, so that no signal meant for lguest's process group reaches it.
/// </remarks>
internal sealed unsafe class TerminalWatcher : IDisposable
{
    private const string Shell = "/bin/sh";
    private const int PipeInChild = 3;
    private const string Script = "read -r farewell <&3 || { [ \"$(stty -g)\" != \"$1\" ] || stty \"$2\"; }";

    private readonly int _pipe;

    private TerminalWatcher(int pipe) => _pipe = pipe;

    /// <summary>Starts a watcher.</summary>
    /// <param name="terminal">The terminal's descriptor.</param>
    /// <param name="raw">The settings that lguest has made.</param>
    /// <param name="saved">The settings to restore.</param>
    /// <param name="logger">Hears why there is no watcher.</param>
    /// <returns>Null when there can be none: lguest works without.</returns>
    public static TerminalWatcher? Start(int terminal, in TerminalSettings raw, in TerminalSettings saved, ILogger logger)
    {
        int* ends = stackalloc int[2];
        if (SystemCalls.Pipe(ends, SystemCalls.OpenCloseOnExec) != 0)
        {
            BackendLog.NoWatcher(logger, Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
            return null;
        }

        int error = Spawn(terminal, ends[0], [Shell, "-c", Script, "lguest-terminal", raw.ToString(), saved.ToString()]);
        _ = SystemCalls.Close(ends[0]);
        if (error != 0)
        {
            _ = SystemCalls.Close(ends[1]);
            BackendLog.NoWatcher(logger, Marshal.GetPInvokeErrorMessage(error));
            return null;
        }

        return new TerminalWatcher(ends[1]);
    }

    /// <summary>Sends the watcher away: the terminal is as it was.</summary>
    public void Dispose()
    {
        byte farewell = (byte)'\n';
        _ = SystemCalls.Write(_pipe, &farewell, 1);
        _ = SystemCalls.Close(_pipe);
    }

    // System.Diagnostics.Process would do, but not cheaply, and it takes signals and the terminal for itself.
    private static int Spawn(int terminal, int pipe, string[] arguments)
    {
        byte* actions = stackalloc byte[SystemCalls.SpawnObjectSize];
        byte* attributes = stackalloc byte[SystemCalls.SpawnObjectSize];
        byte** argumentPointers = stackalloc byte*[arguments.Length + 1];
        byte** environment = stackalloc byte*[2];
        try
        {
            for (int i = 0; i < arguments.Length; i++)
            {
                argumentPointers[i] = (byte*)Marshal.StringToCoTaskMemUTF8(arguments[i]);
            }

            environment[0] = (byte*)Marshal.StringToCoTaskMemUTF8("PATH=/usr/bin:/bin");
            argumentPointers[arguments.Length] = null;
            environment[1] = null;

            _ = SystemCalls.SpawnActionsInit(actions);
            _ = SystemCalls.SpawnActionsDuplicate(actions, pipe, PipeInChild);
            _ = SystemCalls.SpawnActionsDuplicate(actions, terminal, 0);
            _ = SystemCalls.SpawnActionsOpen(actions, 1, "/dev/null", SystemCalls.OpenReadWrite, 0);
            _ = SystemCalls.SpawnActionsDuplicate(actions, 1, 2);
            _ = SystemCalls.SpawnAttributesInit(attributes);
            _ = SystemCalls.SpawnAttributesSetFlags(attributes, SystemCalls.SpawnSetSession);
            int process;
            return SystemCalls.Spawn(&process, arguments[0], actions, attributes, argumentPointers, environment);
        }
        finally
        {
            _ = SystemCalls.SpawnActionsDestroy(actions);
            _ = SystemCalls.SpawnAttributesDestroy(attributes);
            for (int i = 0; i < arguments.Length; i++)
            {
                Marshal.FreeCoTaskMem((nint)argumentPointers[i]);
            }

            Marshal.FreeCoTaskMem((nint)environment[0]);
        }
    }
}
