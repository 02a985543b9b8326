using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Tests.Networks;

/// <summary>
/// A network namespace, and a mount namespace with it. A process of the test's holds it, and takes it
/// along when it ends, also when the test dies.
/// </summary>
internal sealed partial class NetworkNamespace : IDisposable
{
    private const int Forever = 1000;

    private readonly Process _holder;

    private NetworkNamespace(Process holder) => _holder = holder;

    /// <summary>Makes one; the test is skipped where that can't be done.</summary>
    /// <param name="setUp">Commands for a shell in the namespace, whose last has to succeed.</param>
    /// <param name="loopback">Whether its loopback is switched on.</param>
    public static NetworkNamespace Make(string setUp = "true", bool loopback = true)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "This needs root, for a network namespace.");
        Assert.SkipUnless(File.Exists("/usr/sbin/ip") || File.Exists("/sbin/ip"), "ip(8) isn't installed (package iproute2).");
        Process holder = Process.Start(new ProcessStartInfo(
            "unshare", ["-n", "-m", "sh", "-c", $"PATH=$PATH:/usr/sbin:/sbin; {(loopback ? "ip link set lo up" : "true")} && {setUp} && echo ready && read end"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        bool isReady = holder.StandardOutput.ReadLine() == "ready";
        Assert.SkipUnless(isReady, $"No network namespace can be set up here: {(isReady ? string.Empty : holder.StandardError.ReadToEnd())}");
        return new NetworkNamespace(holder);
    }

    /// <summary>Skips the test where there are no taps.</summary>
    public static void NeedTaps() => Assert.SkipUnless(File.Exists("/dev/net/tun"), "There is no /dev/net/tun here.");

    /// <summary>Skips the test where there is no libslirp.</summary>
    public static void NeedLibslirp() =>
        Assert.SkipUnless(NativeLibrary.TryLoad("libslirp.so.0", out _), "libslirp isn't installed (package libslirp0).");

    /// <summary>Starts lguest in here.</summary>
    public Process Start(params string[] arguments) => StartProgram(LguestProcess.Path, arguments);

    /// <summary>Runs lguest in here to its end.</summary>
    public LguestResult Run(params string[] arguments)
    {
        using Process process = Start(arguments);
        return LguestProcess.Finish(process, string.Empty, TimeSpan.FromMinutes(5));
    }

    /// <summary>Runs a command of the host's in here.</summary>
    public LguestResult Shell(string command)
    {
        using Process process = StartProgram("/bin/sh", "-c", $"PATH=$PATH:/usr/sbin:/sbin; {command}");
        return LguestProcess.Finish(process, string.Empty);
    }

    /// <summary>Makes something whose sockets are to be in here: a socket stays where it was made.</summary>
    public T In<T>(Func<T> make)
    {
        T? made = default;
        Exception? error = null;

        // The thread moves, and isn't used again.
        var thread = new Thread(() =>
        {
            try
            {
                using SafeFileHandle place = File.OpenHandle($"/proc/{_holder.Id}/ns/net");
                if (SetNamespace(place, 0) != 0)
                {
                    throw new InvalidOperationException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
                }

                made = make();
            }
            catch (Exception e)
            {
                error = e;
            }
        });
        thread.Start();
        thread.Join();
        Assert.True(error is null, error?.ToString());
        return made!;
    }

    /// <summary>Ends the holder; what others still do in here ends the namespace with them.</summary>
    public void Dispose()
    {
        _holder.StandardInput.Close();
        if (!_holder.WaitForExit(Forever))
        {
            _holder.Kill();
        }

        _holder.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNamespace(SafeFileHandle place, int kind);

    private Process StartProgram(string program, params string[] arguments) => Process.Start(new ProcessStartInfo(
        "nsenter", ["-t", $"{_holder.Id}", "-n", "-m", program, .. arguments])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        StandardInputEncoding = System.Text.Encoding.Latin1,
        StandardOutputEncoding = System.Text.Encoding.Latin1,
    })!;
}
