using System.Globalization;
using Iced.Intel;
using Lguest.Cpu.Tests.Encodings;

[assembly: AssemblyFixture(typeof(ExecutionRecord))]

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>
/// Which test class executed which encodings, and how often, in a run with <see cref="Engine.Traced"/>. It is measured on
/// the machines' processors, and written when all tests have run.
/// </summary>
public sealed class ExecutionRecord : IDisposable
{
    /// <summary>The variable that names the file.</summary>
    public const string Variable = "LGUEST_TEST_RECORD";

    private static readonly Lock Gate = new();
    private static readonly Dictionary<Key, long> Counts = [];

    /// <summary>An encoding, the class that executed it, and whether it retired or faulted.</summary>
    internal readonly record struct Key(Code Code, string TestClass, bool Retired);

    /// <summary>Writes the file, if one is asked for.</summary>
    public void Dispose()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } path)
        {
            lock (Gate)
            {
                File.WriteAllLines(path, Counts.Select(pair => string.Create(
                    CultureInfo.InvariantCulture, $"{pair.Key.Code} {pair.Key.TestClass} {pair.Key.Retired} {pair.Value}")));
            }
        }
    }

    /// <summary>Reads what a run has written.</summary>
    internal static Dictionary<Key, long> Read(string path) =>
        File.ReadLines(path).Select(line => line.Split(' ')).ToDictionary(
            words => new Key(Enum.Parse<Code>(words[0]), words[1], bool.Parse(words[2])),
            words => long.Parse(words[3], CultureInfo.InvariantCulture));

    internal static void Add(Key key, long count)
    {
        lock (Gate)
        {
            Counts[key] = Counts.GetValueOrDefault(key) + count;
        }
    }
}

/// <summary>Counts what one machine's processor executes.</summary>
internal sealed class ExecutionRecorder : IInstructionTracer
{
    private const int LongestInstruction = 15;

    /// <summary>The sets of instructions that Iced only decodes on request, for naming what is undefined here.</summary>
    private static readonly DecoderOptions[] Requests =
        [.. EncodingSample.All.Select(sample => sample.Code.ToOpCode().DecoderOption).Distinct().Where(o => o != DecoderOptions.None)];

    private readonly byte[] _lastBytes = new byte[LongestInstruction];
    private readonly Dictionary<ExecutionRecord.Key, long> _counts = [];
    private int _lastLength = -1;
    private bool _lastIs32;
    private Code[] _codes = [];
    private string? _testClass;
    private ulong _retiredBefore;

    /// <inheritdoc />
    public void OnInstruction(Processor processor, ReadOnlySpan<byte> code)
    {
        Note(processor);
        bool is32 = processor.State.Cs.IsDefault32;
        if (_lastLength != code.Length || _lastIs32 != is32 || !code.SequenceEqual(_lastBytes.AsSpan(0, _lastLength)))
        {
            code.CopyTo(_lastBytes);
            _lastLength = code.Length;
            _lastIs32 = is32;
            _codes = Identify(code.ToArray(), is32 ? 32 : 16);
        }

        _testClass = TestContext.Current.TestClass?.TestClassName ?? _testClass;
        _retiredBefore = processor.Retired;
    }

    /// <summary>Counts the last instruction, and adds all to the record.</summary>
    public void Finish(Processor processor)
    {
        Note(processor);
        _lastLength = -1;
        foreach ((ExecutionRecord.Key key, long count) in _counts)
        {
            ExecutionRecord.Add(key, count);
        }

        _counts.Clear();
    }

    /// <summary>Only now it is known whether the instruction before retired.</summary>
    private void Note(Processor processor)
    {
        if (_lastLength >= 0 && _testClass is not null)
        {
            string name = _testClass[(_testClass.LastIndexOf('.') + 1)..];
            foreach (Code code in _codes)
            {
                var key = new ExecutionRecord.Key(code, name, processor.Retired > _retiredBefore);
                _counts[key] = _counts.GetValueOrDefault(key) + 1;
            }
        }
    }

    /// <summary>The encoding; for what is undefined here, all that it is elsewhere.</summary>
    private static Code[] Identify(byte[] bytes, int bitness)
    {
        byte[] padded = [.. bytes, .. new byte[LongestInstruction]];
        Code code = Decoder.Create(bitness, padded).Decode().Code;
        return code != Code.INVALID
            ? [code]
            : [.. Requests.Select(request => Decoder.Create(bitness, padded, request).Decode().Code).Distinct()];
    }
}
