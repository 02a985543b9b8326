using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Lguest.CommandLine;
using Lguest.Suites.Yaml;

namespace Lguest.Suites.Plans;

/// <summary>Reads a suite's file, strictly: what isn't known, or isn't as it should be, is an error with its place.</summary>
public sealed class SuiteReader
{
    private const int Version = 1;
    private const int MostBytes = 16 << 20;
    private const int LongestName = 40;
    private const int MostRetries = 100;
    private const string MatrixKey = "matrix";
    private const string OnlyKey = "only";

    private static readonly string[] AxisNames = ["kernel", "cmdline", "memory", "seed"];

    private readonly string _path;
    private readonly string _folder;
    private readonly List<MatrixAxis> _matrix = [];
    private readonly List<SuiteTest> _tests = [];
    private BootSettings _defaults = new();
    private string _name;

    private SuiteReader(string path)
    {
        _path = path;
        _folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        _name = Path.GetFileNameWithoutExtension(path);
    }

    /// <summary>Reads one.</summary>
    /// <param name="path">The file. Paths in it begin in its folder.</param>
    /// <exception cref="SuiteException">It can't be read, or isn't right.</exception>
    public static SuiteFile Read(string path)
    {
        byte[] bytes = ReadBytes(path);
        string text;
        try
        {
            text = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new SuiteException($"'{path}' is not text in UTF-8", e);
        }

        var reader = new SuiteReader(path);
        reader.ReadSuite(YamlFile.Read(path, text.TrimStart('\ufeff')));
        return new SuiteFile(path, reader._name, Convert.ToHexStringLower(SHA256.HashData(bytes)), reader._matrix, reader._tests);
    }

    private static byte[] ReadBytes(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            using var bytes = new MemoryStream();
            byte[] buffer = new byte[1 << 16];
            for (int count; (count = file.Read(buffer)) > 0;)
            {
                bytes.Write(buffer, 0, count);
                if (bytes.Length > MostBytes)
                {
                    throw new SuiteException($"'{path}' has more than {MostBytes >> 20} MiB, and is no suite");
                }
            }

            return bytes.ToArray();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SuiteException($"there is no suite '{path}'", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new SuiteException($"the suite '{path}' can't be read: {e.Message.TrimEnd('.')}", e);
        }
    }

    private void ReadSuite(YamlNode root)
    {
        YamlMap suite = Map(root, "a suite");
        if (suite.Entries.FirstOrDefault(entry => entry.Key.Value == "version") is not { } version)
        {
            throw Error(suite.Place, $"the suite has no version: begin it with `version: {Version}`");
        }

        if (Number(version, int.MaxValue) != Version)
        {
            throw Error(version.Value.Place, $"this lguest reads suites of version {Version}");
        }

        // What tests are made of comes before them, wherever it stands in the file.
        foreach (YamlEntry entry in suite.Entries)
        {
            switch (entry.Key.Value)
            {
                case "version" or "tests":
                    break;
                case "name":
                    _name = Name(entry.Value as YamlText ?? throw Wrong(entry, "a name"));
                    break;
                case "defaults":
                    _defaults = Settings(Map(entry.Value, "the defaults"), only: null);
                    break;
                case MatrixKey:
                    ReadMatrix(Map(entry.Value, "the matrix"));
                    break;
                default:
                    throw Unknown(entry.Key, "version, name, defaults, matrix, tests");
            }
        }

        YamlEntry tests = suite.Entries.FirstOrDefault(entry => entry.Key.Value == "tests") ?? throw Error(suite.Place, "the suite has no tests");
        foreach (YamlEntry test in Map(tests.Value, "tests").Entries)
        {
            ReadTest(test);
        }
    }

    private void ReadMatrix(YamlMap matrix)
    {
        foreach (YamlEntry axis in matrix.Entries)
        {
            if (!AxisNames.Contains(axis.Key.Value))
            {
                throw Unknown(axis.Key, string.Join(", ", AxisNames));
            }

            var values = new List<AxisValue>();
            foreach (YamlEntry value in Map(axis.Value, $"the {axis.Key.Value}s, each with a name,").Entries)
            {
                values.Add(new AxisValue(Name(value.Key), AxisSettings(axis.Key.Value, value)));
            }

            _matrix.Add(new MatrixAxis(axis.Key.Value, values));
        }
    }

    private BootSettings AxisSettings(string axis, YamlEntry value) => axis switch
    {
        "kernel" when value.Value is YamlMap kernel => KernelSettings(kernel),
        "kernel" => new BootSettings { Kernel = FilePath(value) },
        "cmdline" => new BootSettings { CommandLine = Text(value, mayBeEmpty: true) },
        "memory" => new BootSettings { Memory = Text(value) },
        _ => new BootSettings { Seed = Number(value, ulong.MaxValue) },
    };

    private BootSettings KernelSettings(YamlMap kernel)
    {
        var settings = new BootSettings();
        foreach (YamlEntry entry in kernel.Entries)
        {
            settings = entry.Key.Value switch
            {
                "image" => settings with { Kernel = FilePath(entry) },
                "modules" => settings with { Modules = FolderPath(entry) },
                "initrd" => settings with { Initrd = ExistingPath(entry) },
                "abi" => settings with { Abi = Text(entry) },
                _ => throw Unknown(entry.Key, "image, modules, initrd, abi"),
            };
        }

        return settings.Kernel is null ? throw Error(kernel.Place, "the kernel has no image: write `image: vmlinux`") : settings;
    }

    private void ReadTest(YamlEntry test)
    {
        string name = Name(test.Key);
        var only = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        YamlMap map = Map(test.Value, "a test");
        BootSettings settings = Settings(map, only);
        foreach (YamlEntry entry in map.Entries)
        {
            // What the matrix says for all tests, and a test otherwise, would be said in its name and not be so.
            if (entry.Key.Value != "cmdline" && _matrix.Any(axis => axis.Name == entry.Key.Value))
            {
                throw Error(entry.Key.Place, $"{entry.Key.Value} is in the matrix: leave it out here, or choose with `{OnlyKey}: {{{entry.Key.Value}: NAME}}`");
            }
        }

        _tests.Add(new SuiteTest(name, test.Key.Place, settings.Over(_defaults), only));
    }

    private BootSettings Settings(YamlMap map, Dictionary<string, IReadOnlyList<string>>? only)
    {
        var settings = new BootSettings();
        foreach (YamlEntry entry in map.Entries)
        {
            settings = entry.Key.Value switch
            {
                "kernel" => settings with { Kernel = FilePath(entry) },
                "modules" => settings with { Modules = FolderPath(entry) },
                "initrd" => settings with { Initrd = ExistingPath(entry) },
                "abi" => settings with { Abi = Text(entry) },
                "memory" => settings with { Memory = Text(entry) },
                "cmdline" => settings with { CommandLine = Text(entry, mayBeEmpty: true) },
                "seed" => settings with { Seed = Number(entry, ulong.MaxValue) },
                "run" when entry.Value is YamlList { Items.Count: > 0 } words => settings with { RunWords = [.. words.Items.Select(word => Word(entry.Key, word))] },
                "run" => settings with { Run = Text(entry) },
                "from" => settings with { From = OneOf(entry, BootSettings.FromBoot, BootSettings.FromStart) },
                "share" => settings with { Shares = [.. Texts(entry).Select(text => Share(text))] },
                "block" => settings with { Disks = [.. Texts(entry).Select(Disk)] },
                "network" => settings with { Networks = [.. Texts(entry).Select(Network)] },
                "ktap" => settings with { Ktap = OneOf(entry, "auto", "required", "none") },
                "fail-on" => settings with { FailOn = string.Join(',', Texts(entry).Select(text => text.Value)) },
                "known" => settings with { Known = Known(entry) },
                "expect" => settings with { Expect = [.. Texts(entry).Select(text => text.Value)] },
                "forbid" => settings with { Forbid = [.. Texts(entry).Select(text => text.Value)] },
                "send" => settings with { Send = [.. Texts(entry).Select(text => text.Value)] },
                "status-token" => settings with { StatusToken = Text(entry) },
                "keep" => settings with { Keep = [.. Texts(entry).Select(Kept)] },
                "profile-compare" => settings with { ProfileCompare = Profile(entry) },
                "retries" => settings with { Retries = (int)Number(entry, MostRetries) },
                "clock" => settings with { Clock = OneOf(entry, "virtual", "real") },
                "date" => settings with { Date = Text(entry) },
                "engine" => settings with { Engine = OneOf(entry, "auto", "interpreter", "translator") },
                "timeout" => settings with { Timeout = Text(entry) },
                "max-guest-time" => settings with { MaxGuestTime = Text(entry) },
                "max-silence" => settings with { MaxSilence = Text(entry) },
                "max-instructions" => settings with { MaxInstructions = Text(entry) },
                OnlyKey when only is not null => ReadOnly(entry, only, settings),
                _ => throw Unknown(
                    entry.Key,
                    "kernel, modules, initrd, abi, memory, cmdline, seed, run, from, share, block, network, ktap, fail-on, known, expect, forbid, send, "
                    + $"status-token, keep, profile-compare, retries, clock, date, engine, timeout, max-guest-time, max-silence, max-instructions{(only is null ? string.Empty : $", {OnlyKey}")}"),
            };
        }

        return settings;
    }

    private BootSettings ReadOnly(YamlEntry only, Dictionary<string, IReadOnlyList<string>> chosen, BootSettings settings)
    {
        foreach (YamlEntry entry in Map(only.Value, "what the test is only for").Entries)
        {
            MatrixAxis axis = _matrix.FirstOrDefault(each => each.Name == entry.Key.Value)
                ?? throw Error(entry.Key.Place, $"'{entry.Key.Value}' isn't in the matrix");
            foreach (YamlText value in Texts(entry))
            {
                if (!axis.Values.Any(each => each.Name == value.Value))
                {
                    throw Error(value.Place, $"the matrix has no {axis.Name} '{value.Value}'");
                }
            }

            chosen[axis.Name] = [.. Texts(entry).Select(value => value.Value)];
        }

        return settings;
    }

    private List<KnownFailure> Known(YamlEntry known)
    {
        var failures = new List<KnownFailure>();
        foreach (YamlNode item in known.Value is YamlList list ? list.Items : throw Wrong(known, "a list"))
        {
            YamlMap map = Map(item, "a known failure");
            string? fingerprint = null;
            string? issue = null;
            DateOnly? until = null;
            foreach (YamlEntry entry in map.Entries)
            {
                switch (entry.Key.Value)
                {
                    case "fingerprint":
                        fingerprint = Text(entry);
                        break;
                    case "issue":
                        issue = Text(entry);
                        break;
                    case "until":
                        until = DateOnly.TryParseExact(Text(entry), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly day)
                            ? day
                            : throw Wrong(entry, "a day, such as 2026-12-31");
                        break;
                    default:
                        throw Unknown(entry.Key, "fingerprint, issue, until");
                }
            }

            failures.Add(new KnownFailure(
                fingerprint ?? throw Error(map.Place, "the known failure has no fingerprint: copy one from a report"),
                issue ?? throw Error(map.Place, "the known failure has no issue: say where somebody works on it"),
                until));
        }

        return failures;
    }

    /// <summary>A name that may be part of a file's.</summary>
    private string Name(YamlText text)
    {
        string name = text.Value;
        bool isName = name.Length is > 0 and <= LongestName
            && char.IsAsciiLetterOrDigit(name[0])
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        return isName
            ? name
            : throw Error(text.Place, $"'{name}' is no name: it has letters, digits, '-', '_' and '.', {LongestName} at most, and begins with one of the first two");
    }

    private string Text(YamlEntry entry, bool mayBeEmpty = false)
    {
        YamlText text = entry.Value as YamlText ?? throw Wrong(entry, "a text");
        return Checked(text, entry.Key.Value, mayBeEmpty);
    }

    /// <summary>A word of a command, which may be empty, but for the program.</summary>
    private string Word(YamlText key, YamlNode word)
    {
        YamlText text = word as YamlText ?? throw Error(word.Place, $"{key.Value} is to be a text, or a list of texts");
        return Checked(text, key.Value, mayBeEmpty: true);
    }

    private IEnumerable<YamlText> Texts(YamlEntry entry)
    {
        IReadOnlyList<YamlNode> items = entry.Value is YamlList list ? list.Items : [entry.Value];
        foreach (YamlNode item in items)
        {
            YamlText text = item as YamlText ?? throw Error(item.Place, $"{entry.Key.Value} is to be a text, or a list of texts");
            Checked(text, entry.Key.Value, mayBeEmpty: false);
            yield return text;
        }
    }

    private string Checked(YamlText text, string key, bool mayBeEmpty)
    {
        if (text.IsNothing || (text.Value.Length == 0 && !mayBeEmpty))
        {
            throw Error(text.Place, $"{key} has no value{(mayBeEmpty ? ": write \"\" for an empty one" : string.Empty)}");
        }

        return text.Value.Contains('\0', StringComparison.Ordinal) ? throw Error(text.Place, $"there is a NUL in {key}") : text.Value;
    }

    private ulong Number(YamlEntry entry, ulong most)
    {
        return entry.Value is YamlText { IsNothing: false } text
            && ulong.TryParse(text.Value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) && number <= most
            ? number
            : throw Wrong(entry, $"a number from 0 to {most}");
    }

    private string OneOf(YamlEntry entry, params string[] words)
    {
        string text = Text(entry);
        return words.Contains(text) ? text : throw Wrong(entry, string.Join(" or ", words));
    }

    private string FilePath(YamlEntry entry)
    {
        string path = Path.GetFullPath(Text(entry), _folder);
        return File.Exists(path) ? Readable(path, entry) : throw Error(entry.Value.Place, $"there is no file '{path}'");
    }

    /// <summary>A file that is to be read by each boot: a pipe would be waited for, and then be at its end.</summary>
    private string Readable(string path, YamlEntry entry)
    {
        var file = new FileInfo(path);
        return (file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file).Length > 0
            ? path
            : throw Error(entry.Value.Place, $"'{path}' is empty, or can be read only once, as pipes can: give a file");
    }

    private string FolderPath(YamlEntry entry)
    {
        string path = Path.GetFullPath(Text(entry), _folder);
        return Directory.Exists(path) ? path : throw Error(entry.Value.Place, $"there is no folder '{path}'");
    }

    private string ExistingPath(YamlEntry entry)
    {
        string path = Path.GetFullPath(Text(entry), _folder);
        return Directory.Exists(path) ? path
            : File.Exists(path) ? Readable(path, entry)
            : throw Error(entry.Value.Place, $"there is no file or folder '{path}'");
    }

    private string Share(YamlText share)
    {
        const string UsualMount = "/share";
        IReadOnlyList<string> parts = CommaParts.Split(share.Value);
        string words = string.Concat(parts.Skip(1).Select(word => $",{CommaParts.Escape(word)}"));
        string place = parts[0];
        int colon = place.LastIndexOf(':');
        string folder = Path.GetFullPath(colon < 0 ? place : place[..colon], _folder);
        string mount = colon < 0 ? UsualMount : place[(colon + 1)..];
        return Directory.Exists(folder) ? $"{CommaParts.Escape($"{folder}:{mount}")}{words}" : throw Error(share.Place, $"there is no folder '{folder}'");
    }

    // As on the command line, commas of a name are doubled, and that has to be so of the folder's, too.
    private string Disk(YamlText disk) =>
        Path.IsPathRooted(disk.Value) ? disk.Value : $"{CommaParts.Escape(_folder)}/{disk.Value}";

    private string Network(YamlText network)
    {
        const string Shared = "sharenet";
        string[] parts = network.Value.Split('=', 2);
        return (parts[0], parts.Length == 2 ? parts[1] : null) switch
        {
            ("usernet", _) or ("tunnet", { Length: > 0 }) => network.Value,
            (Shared, { Length: > 0 } path) => $"{Shared}={Path.GetFullPath(path, _folder)}",
            _ => throw Error(network.Place, $"'{network.Value}' is no network: write usernet, usernet=OPTIONS, sharenet=FILE or tunnet=ADDRESS"),
        };
    }

    private string Kept(YamlText file) => file.Value is BootArguments.Dump or BootArguments.Pcap or BootArguments.Profile
        ? file.Value
        : throw Error(file.Place, $"keep is to be {BootArguments.Dump}, {BootArguments.Pcap} or {BootArguments.Profile}, or a list of them");

    private string Profile(YamlEntry entry)
    {
        IReadOnlyList<string> parts = CommaParts.Split(Text(entry));
        string path = Path.GetFullPath(parts[0], _folder);
        string share = string.Concat(parts.Skip(1).Select(part => $",{CommaParts.Escape(part)}"));
        return File.Exists(path) ? $"{CommaParts.Escape(Readable(path, entry))}{share}" : throw Error(entry.Value.Place, $"there is no file '{path}'");
    }

    private YamlMap Map(YamlNode node, string what) => node as YamlMap ?? throw Error(node.Place, $"{what} is to be a mapping: keys with values");

    private SuiteException Unknown(YamlText key, string known) => Error(key.Place, $"there is no '{key.Value}' here, only {known}");

    private SuiteException Wrong(YamlEntry entry, string what) => Error(entry.Value.Place, $"{entry.Key.Value} is to be {what}");

    private SuiteException Error(TextPlace place, string sentence) => YamlFile.Error(_path, place, sentence);
}
