using System.Reflection;
using Lguest.Results.Outcomes;

namespace Lguest.CommandLine;

/// <summary>What <c>--help</c> and <c>--version</c> print.</summary>
internal static class Usage
{
    /// <summary>The help.</summary>
    /// <param name="command">With what.</param>
    public static string Help(Command command) => command.Name switch
    {
        null => RunHelp(),
        "inspect" => InspectHelp(),
        _ => SuiteHelp(),
    };

    private static string SuiteHelp() => $"""
        Usage: lguest suite run FILE.yaml [--OPTION[=VALUE]...]
               lguest suite merge DIR... [--OPTION[=VALUE]...]

        Runs many guests: each test of a suite, with each kernel, command line, amount of memory and seed of its matrix.
        docs/suites.md says how a suite is written. Results go to a folder: results.json, junit.xml, index.html,
        summary.md, and the files of each boot. Several machines may run a shard each, of which `merge` makes one result.

        Options of `lguest suite run`:
        {OptionHelp.Text(Options.Table, Options.SuiteRun).Trim('\n').TrimEnd()}

        Options of `lguest suite merge`:
        {OptionHelp.Text(Options.Table, Options.SuiteMerge).Trim('\n').TrimEnd()}

        Exit codes: 0 nothing has failed, 1 something has, 125 the suite could not be run, 129, 130, 143 a signal.

        """;

    private static string InspectHelp() => $"""
        Usage: lguest inspect KERNEL [--OPTION...]

        Tells what a kernel is: format and compression, release, how it would be started, and as what kind of guest, how
        much memory it needs, and which drivers it has for lguest's devices. No guest is started.

          KERNEL    A vmlinux or bzImage.

        Options:
        {OptionHelp.Text(Options.Table, Options.Inspect).Trim('\n').TrimEnd()}

        """;

    private static string RunHelp() => $"""
        Usage: lguest MEMORY KERNEL [--OPTION[=VALUE]...] [WORD...] [-- WORD...]
               lguest [--OPTION[=VALUE]...]
               lguest inspect KERNEL [--json]     what a kernel is; `lguest inspect --help`
               lguest suite run FILE.yaml         many boots; `lguest suite --help`
               lguest qemu-system-i386 ...        what those words ask of QEMU, as kunit.py does: docs/ci.md

        Runs a 32-bit Linux as a guest, its console on this terminal. Without memory and kernel, it is the guest that
        ships: `images/build` makes it.

          MEMORY    How much the guest has: 64m, 1g, or 64 (MiB).
          KERNEL    A vmlinux or bzImage, built for i386 with CONFIG_LGUEST_GUEST=y.
          WORD      For the kernel's command line, such as root=/dev/lgba. Words that begin with two dashes
                    go after a -- of their own, which is not passed on.

        Options, anywhere before --:
        {OptionHelp.Text(Options.Table, Options.Run).Trim('\n').TrimEnd()}

        In a terminal, ^C goes to the guest; three within a second end the run. ^] opens a menu.
        Exit codes, the first that applies:
        {ExitCodes()}

        """;

    /// <summary>The table of exit codes. A line is as long as it is.</summary>
    private static string ExitCodes()
    {
        const int CodeWidth = 18;
        return string.Join('\n', ExitCodeTable.Rows.Select(row => $"  {row.Codes.PadRight(CodeWidth)}  {row.Meaning}"));
    }

    private const string Puppies = """

           _______               z
          /       \      .----. z
         | |o   o| |    / -  - \-----.
         | |  _  | |____|   w  /      )
          \_\ U /_/      `----'------'\
           `-----'                     )  _
           (_)  (_)-----------(__)----'--'

        """;

    /// <summary>The version.</summary>
    /// <param name="isOnTerminal">Whether somebody looks at it, and at whom lguest owes its name to.</param>
    public static string Version(bool isOnTerminal)
    {
        string version = typeof(Usage).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
        return $"lguest {version.Split('+')[0]}\n{(isOnTerminal ? Puppies : string.Empty)}";
    }
}
