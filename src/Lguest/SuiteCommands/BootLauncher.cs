using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Suites;
using Lguest.Suites.Running;

namespace Lguest.SuiteCommands;

/// <summary>This very program, for a suite's boots.</summary>
internal sealed class BootLauncher : IBootLauncher
{
    private const string Host = "dotnet";

    private readonly Lazy<string> _shippedKernel = new(() => ShippedGuest.KernelIn(ShippedGuest.Places()) is { } kernel
        ? Path.GetFullPath(kernel)
        : throw new SuiteException("it names no kernel, and the one that ships isn't built: run `images/build` in lguest's folder, or write `kernel: vmlinux`"));

    /// <inheritdoc />
    public IReadOnlyList<string> Command { get; } = FindCommand();

    /// <inheritdoc />
    public string ShippedKernel => _shippedKernel.Value;

    /// <inheritdoc />
    public TimeSpan Check(IReadOnlyList<string> arguments)
    {
        try
        {
            return Launch.Parse(arguments) is Request.Run { Launch.Timeout: { } limit }
                ? limit
                : throw new SuiteException($"'{arguments[0]}' is no amount of memory: write `memory: 64m`");
        }
        catch (CommandLineException e)
        {
            throw new SuiteException(e.Message, e);
        }
    }

    /// <inheritdoc />
    public void AskToEnd(int processId) => HostProcess.AskToEnd(processId);

    // Where it was started as `dotnet lguest.dll`, that is what starts it again.
    private static string[] FindCommand()
    {
        string program = Environment.ProcessPath ?? Host;
        return Path.GetFileNameWithoutExtension(program) == Host ? [program, Path.Combine(AppContext.BaseDirectory, "lguest.dll")] : [program];
    }
}
