using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Tests;

/// <summary>A terminal made for a test, and a person in front of it who reads the screen and types.</summary>
internal sealed partial class PseudoTerminal : IDisposable
{
    private const int ForThisProcessAlone = 2 | 0x100 | 0x80000;
    private const short PollIn = 1;
    private const int PollMilliseconds = 20;

    private readonly SafeFileHandle _master;
    private readonly FileStream _keyboard;
    private readonly StringBuilder _screen = new();
    private readonly Thread _reader;
    private volatile bool _closing;

    public PseudoTerminal()
    {
        int master = OpenMaster(ForThisProcessAlone);
        Assert.True(master >= 0 && Grant(master) == 0 && Unlock(master) == 0, "There is no terminal to be had.");
        _master = new SafeFileHandle(master, ownsHandle: true);
        _keyboard = new FileStream(_master, FileAccess.ReadWrite, bufferSize: 0);
        Name = Marshal.PtrToStringUTF8(NameOf(master))!;
        SavedSettings = Settings("-g");
        _reader = new Thread(ReadScreen) { IsBackground = true };
        _reader.Start();
    }

    /// <summary>The device: <c>/dev/pts/3</c>.</summary>
    public string Name { get; }

    /// <summary>The settings at first, as stty -g tells them.</summary>
    public string SavedSettings { get; }

    /// <summary>All that was written to it so far, a byte a character.</summary>
    public string Screen
    {
        get
        {
            lock (_screen)
            {
                return _screen.ToString();
            }
        }
    }

    /// <summary>What stty says.</summary>
    public string Settings(string form)
    {
        using Process stty = Process.Start(new ProcessStartInfo("stty", ["-F", Name, form]) { RedirectStandardOutput = true })!;
        return stty.StandardOutput.ReadToEnd().Trim();
    }

    /// <summary>Types.</summary>
    public void Type(string keys) => _keyboard.Write(Encoding.Latin1.GetBytes(keys));

    /// <summary>Waits until the screen has a text.</summary>
    public void Await(string text) =>
        Eventually(() => Screen.Contains(text, StringComparison.Ordinal), () => $"The screen never had '{text}', but '{Screen}'.");

    /// <summary>Waits until the settings are as they were at first.</summary>
    public void AwaitSavedSettings() =>
        Eventually(() => Settings("-g") == SavedSettings, () => $"The terminal was not restored: {Settings("-a")}");

    /// <summary>Waits until the settings are raw.</summary>
    public void AwaitRaw() =>
        Eventually(() => Settings("-a").Contains("-icanon", StringComparison.Ordinal), () => $"The terminal is not raw: {Settings("-a")}");

    /// <summary>Waits until something holds.</summary>
    public static void Eventually(Func<bool> condition, Func<string> otherwise)
    {
        var patience = Stopwatch.StartNew();
        while (!condition())
        {
            if (patience.Elapsed > TimeSpan.FromSeconds(30))
            {
                Assert.Fail(otherwise());
            }

            Thread.Sleep(20);
        }
    }

    /// <summary>Starts a program with the terminal for standard input, output and, as its leader, for its session.</summary>
    /// <returns>The process, with its standard error on a pipe.</returns>
    public Process Start(params string[] command)
    {
        string[] arguments = ["-c", "tty=$1; shift; exec setsid --ctty \"$@\" <\"$tty\" >\"$tty\"", "sh", Name, .. command];
        return Process.Start(new ProcessStartInfo("/bin/sh", arguments) { RedirectStandardError = true })!;
    }

    /// <summary>Pulls the plug.</summary>
    public void Dispose()
    {
        _closing = true;
        _reader.Join();
        _keyboard.Dispose();
    }

    private void ReadScreen()
    {
        // A read that waits would keep the terminal open after its end; and reading fails while no process has it open.
        byte[] buffer = new byte[4096];
        while (!_closing)
        {
            var wanted = new PollDescriptor { Descriptor = (int)_master.DangerousGetHandle(), Events = PollIn };
            if (Poll(ref wanted, 1, PollMilliseconds) <= 0 || (wanted.Returned & PollIn) == 0)
            {
                Thread.Sleep(1);
                continue;
            }

            try
            {
                int count = _keyboard.Read(buffer);
                lock (_screen)
                {
                    _screen.Append(Encoding.Latin1.GetString(buffer, 0, count));
                }
            }
            catch (IOException)
            {
                Thread.Sleep(5);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "posix_openpt")]
    private static partial int OpenMaster(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt")]
    private static partial int Grant(int master);

    [LibraryImport("libc", EntryPoint = "unlockpt")]
    private static partial int Unlock(int master);

    [LibraryImport("libc", EntryPoint = "ptsname")]
    private static partial nint NameOf(int master);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollDescriptor descriptor, nuint count, int milliseconds);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
