using System.Globalization;
using Lguest.Host;
using Lguest.Host.Abi;

namespace Lguest.CommandLine;

/// <summary>How the values of options are written.</summary>
internal static class OptionValues
{
    private const string MemoryExample = "write 64m, 1g, or 64 for MiB";
    private const uint Page = 4096;

    private static readonly Unit[] MemoryUnits =
        [new("k", 1UL << 10), new("m", 1UL << 20), new("g", 1UL << 30), new(string.Empty, 1UL << 20)];

    private static readonly Unit[] CountUnits =
        [new("k", 1_000), new("m", 1_000_000), new("g", 1_000_000_000), new("t", 1_000_000_000_000), new(string.Empty, 1)];

    private static readonly Unit[] TimeUnits =
        [new("ms", 1), new("s", 1_000), new("m", 60_000), new("h", 3_600_000)];

    /// <summary>Bytes of memory: <c>64m</c>, <c>64</c> or <c>1g</c>.</summary>
    public static ulong Memory(string text)
    {
        if (Scaled(text, MemoryUnits) is not { } bytes || bytes == 0 || bytes % Page != 0)
        {
            throw new CommandLineException($"'{text}' is not an amount of memory: {MemoryExample}");
        }

        return bytes <= MemoryLayout.MostRam
            ? bytes
            : throw new CommandLineException($"'{text}' is more memory than a 32-bit guest can have: give it less, for instance 512m");
    }

    /// <summary>A count of instructions, at least 1: <c>5G</c>.</summary>
    public static ulong Instructions(string text) => Scaled(text, CountUnits) is { } count and > 0
        ? count
        : throw new CommandLineException($"--max-instructions={text} is not a count of instructions: write 5G or 200M");

    /// <summary>A span of time, at least a millisecond: <c>30s</c>.</summary>
    public static TimeSpan Time(Option option, string text) => Scaled(text, TimeUnits) is { } time and > 0 and <= uint.MaxValue - 1
        ? TimeSpan.FromMilliseconds(time)
        : throw new CommandLineException($"--{option.Name}={text} is not a time: write 30s, 500ms, 5m or 1h");

    /// <summary>Exit codes, 1 to 255, with commas between them.</summary>
    public static IReadOnlyList<int> ExitCodes(string text)
    {
        int[] codes = [.. text.Split(',').Select(code => byte.TryParse(code, NumberStyles.None, CultureInfo.InvariantCulture, out byte number) ? number : 0)];
        return codes.Contains(0)
            ? throw new CommandLineException($"--skip={text} is no list of exit codes from 1 to 255: write 124,103,4")
            : codes;
    }

    /// <summary>What is wanted of test output.</summary>
    public static TestWish Tests(string text) => text switch
    {
        "auto" => TestWish.Auto,
        "required" => TestWish.Required,
        "none" => TestWish.None,
        _ => throw new CommandLineException($"--ktap={text}: write auto, required or none"),
    };

    /// <summary>A clock.</summary>
    public static ClockKind Clock(string text) => text switch
    {
        "real" => ClockKind.Real,
        "virtual" => ClockKind.Virtual,
        _ => throw new CommandLineException($"--clock={text} is no clock: write real or virtual"),
    };

    /// <summary>A kind of guest.</summary>
    public static GuestAbi Abi(string text) => KnownAbis.All.FirstOrDefault(abi => abi.Id == text)
        ?? throw new CommandLineException($"--abi={text} is no kind of guest: write one of {string.Join(", ", KnownAbis.All.Select(abi => abi.Id))}");

    /// <summary>An engine.</summary>
    public static EngineKind Engine(string text) => text switch
    {
        "auto" => EngineKind.Auto,
        "interpreter" => EngineKind.Interpreter,
        "translator" => EngineKind.Translator,
        _ => throw new CommandLineException($"--engine={text} is no engine: write auto, interpreter or translator"),
    };

    /// <summary>A date from 1970 on, UTC unless it says otherwise.</summary>
    public static DateTimeOffset Date(string text)
    {
        const DateTimeStyles Styles = DateTimeStyles.AssumeUniversal | DateTimeStyles.AllowWhiteSpaces;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, Styles, out DateTimeOffset date) && date >= DateTimeOffset.UnixEpoch
            ? date
            : throw new CommandLineException($"--date={text} is not a date from 1970 on: write 2007-10-09 or 2007-10-09T20:31:38");
    }

    /// <summary>A seed: any number of 64 bits.</summary>
    public static ulong Seed(string text) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
        ? seed
        : throw new CommandLineException($"--seed={text} is not a number from 0 to {ulong.MaxValue}: write 42");

    /// <summary>Where a trace starts: an address in hexadecimal with 0x, or a count of instructions.</summary>
    public static TraceStart Trace(string text)
    {
        const string Hexadecimal = "0x";
        if (text.StartsWith(Hexadecimal, StringComparison.OrdinalIgnoreCase))
        {
            if (uint.TryParse(text.AsSpan(Hexadecimal.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint address))
            {
                return new TraceStart(address, null);
            }
        }
        else if (Scaled(text, CountUnits) is { } count)
        {
            return new TraceStart(null, count);
        }

        throw new CommandLineException($"--trace={text} is neither an address nor a count of instructions: write 0xc0100000 or 1000000");
    }

    // A whole number and one of the units, whatever their case; null for anything else, or too much.
    private static ulong? Scaled(string text, Unit[] units)
    {
        foreach (Unit unit in units)
        {
            if (text.EndsWith(unit.Suffix, StringComparison.OrdinalIgnoreCase)
                && ulong.TryParse(text.AsSpan(0, text.Length - unit.Suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
            {
                return number <= ulong.MaxValue / unit.Factor ? number * unit.Factor : null;
            }
        }

        return null;
    }

    private sealed record Unit(string Suffix, ulong Factor);
}

/// <summary>Where a trace starts: at the first instruction at an address, or after a count of instructions.</summary>
/// <param name="Address">EIP, or null.</param>
/// <param name="Retired">Instructions retired before, or null.</param>
internal readonly record struct TraceStart(uint? Address, ulong? Retired);
