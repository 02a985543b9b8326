using System.Globalization;

namespace Lguest.CommandLine;

/// <summary>Where a debugger is waited for: <c>--gdb</c>, <c>--gdb=PORT</c>, <c>--gdb=SOCKET</c>.</summary>
/// <param name="Port">A TCP port of this host's own, 0 for any that is free; null for a socket.</param>
/// <param name="Socket">The path of a Unix socket; null for a port.</param>
internal sealed record GdbOption(int? Port, string? Socket)
{
    /// <summary>The port that debuggers of virtual machines are used to.</summary>
    public const int UsualPort = 1234;

    // sun_path has 108 bytes, with a NUL at its end.
    private const int LongestPath = 107;

    /// <summary>Reads it; null where there is none.</summary>
    /// <exception cref="CommandLineException">It is neither a port nor the path of a socket.</exception>
    public static GdbOption? Parse(GivenOptions options)
    {
        if (!options.Has(Options.Gdb))
        {
            return null;
        }

        string? value = options.Value(Options.Gdb);
        if (value is null)
        {
            return new GdbOption(UsualPort, null);
        }

        if (ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            return new GdbOption(port, null);
        }

        if (!value.Contains('/', StringComparison.Ordinal))
        {
            throw new CommandLineException(
                $"--{Options.Gdb.Name}={value} is neither a port nor the path of a socket: write --gdb, --gdb=1234 or --gdb=./socket");
        }

        int length = System.Text.Encoding.UTF8.GetByteCount(value);
        return length <= LongestPath
            ? new GdbOption(null, value)
            : throw new CommandLineException($"--{Options.Gdb.Name}={value} has {length} bytes, and a socket's path has {LongestPath} at most: give a shorter one");
    }
}
