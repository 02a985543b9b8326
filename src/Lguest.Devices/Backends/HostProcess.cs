namespace Lguest.Devices.Backends;

/// <summary>What this process is to its host.</summary>
public static class HostProcess
{
    private const string Status = "/proc/self/stat";
    private const int StartTime = 20;

    /// <summary>Puts in order what a process may have been given or made before its first line: first of all.</summary>
    public static void Prepare()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        StandardDescriptors.TakeClosed();
        RemoveDiagnosticsFiles();

        // A file that becomes too large is an error then, and not the end.
        _ = SystemCalls.Signal(SystemCalls.SigFileTooLarge, SystemCalls.SignalIgnored);
    }

    /// <summary>Has this process end when the one that started it does, whatever ends that: nothing is to be left behind.</summary>
    /// <param name="parent">The number of the process that is expected to have started it.</param>
    /// <returns>Whether that one is still there.</returns>
    public static bool FollowParent(int parent) => !OperatingSystem.IsLinux()
        || (SystemCalls.ProcessControl(SystemCalls.ProcessControlParentDeath, SystemCalls.SigKill) == 0 && SystemCalls.Parent() == parent);

    /// <summary>Asks a process to end.</summary>
    public static void AskToEnd(int process)
    {
        if (!OperatingSystem.IsWindows())
        {
            _ = SystemCalls.Kill(process, SystemCalls.SigTerminate);
        }
    }

    /// <summary>
    /// Removes the names of what the runtime has made for debuggers: it does so itself only when it ends in an orderly way, and no
    /// setting of a program's own keeps it from making them. Who wants to debug sets DOTNET_EnableDiagnostics to 1.
    /// </summary>
    private static void RemoveDiagnosticsFiles()
    {
        if (Environment.GetEnvironmentVariable("DOTNET_EnableDiagnostics") != "1" && ReadStartTime() is { } started)
        {
            string process = $"{Environment.ProcessId}-{started}";
            foreach (string name in (string[])[$"clr-debug-pipe-{process}-in", $"clr-debug-pipe-{process}-out", $"dotnet-diagnostic-{process}-socket"])
            {
                _ = SystemCalls.RemoveName(Path.Combine(Path.GetTempPath(), name));
            }
        }
    }

    // proc(5): the process, its name in parentheses, its state, and then numbers; the runtime names its files by the same.
    private static unsafe string? ReadStartTime()
    {
        const int MostBytes = 1024;
        byte* text = stackalloc byte[MostBytes];
        int file = SystemCalls.Open(Status, SystemCalls.OpenCloseOnExec);
        if (file < 0)
        {
            return null;
        }

        nint length = SystemCalls.Read(file, text, MostBytes);
        _ = SystemCalls.Close(file);
        var fields = new ReadOnlySpan<byte>(text, (int)Math.Max(length, 0));
        fields = fields[(fields.LastIndexOf((byte)')') + 1)..];
        for (int i = 0; i < StartTime && !fields.IsEmpty; i++)
        {
            fields = fields[(fields.IndexOf((byte)' ') + 1)..];
        }

        int end = fields.IndexOf((byte)' ');
        fixed (byte* start = fields)
        {
            return end > 0 ? new string((sbyte*)start, 0, end) : null;
        }
    }
}
