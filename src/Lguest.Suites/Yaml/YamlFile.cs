using System.Diagnostics.CodeAnalysis;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Lguest.Suites.Yaml;

/// <summary>Reads a YAML file into a tree in which everything knows its place.</summary>
/// <remarks>
/// It is made from the library's events, because the library's own tree is built by recursion, as deep as a file likes, and drops
/// duplicate keys or reports them without saying which.
/// </remarks>
internal sealed class YamlFile
{
    private const int DeepestNesting = 32;
    private const string TextTag = "tag:yaml.org,2002:str";

    private readonly string _name;
    private readonly Parser _parser;
    private readonly Dictionary<string, YamlNode> _anchors = new(StringComparer.Ordinal);

    private YamlFile(string name, string text)
    {
        _name = name;
        _parser = new Parser(new StringReader(text));
    }

    /// <summary>Reads one.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="text">All of it.</param>
    /// <exception cref="SuiteException">It is no YAML, has a key twice, or isn't one document.</exception>
    public static YamlNode Read(string name, string text) => new YamlFile(name, text).ReadDocument();

    /// <summary>Says where something is wrong, as compilers do.</summary>
    public static SuiteException Error(string name, TextPlace place, string sentence) =>
        new($"{name}:{place.Line}:{place.Column}: {sentence}");

    private YamlNode ReadDocument()
    {
        Expect<StreamStart>();
        if (Next() is StreamEnd end)
        {
            throw Error(_name, PlaceOf(end), "the file is empty");
        }

        Move();
        YamlNode root = ReadNode(0);
        Expect<DocumentEnd>();
        return Next() is StreamEnd ? root : throw Error(_name, PlaceOf(Next()), "a second document begins here, and a suite is one");
    }

    private YamlNode ReadNode(int depth)
    {
        ParsingEvent start = Next();
        TextPlace place = PlaceOf(start);
        if (depth > DeepestNesting)
        {
            throw Error(_name, place, "this is nested too deep");
        }

        // Who writes !!binary means another text than the one that is here.
        if (start is NodeEvent { Tag.IsEmpty: false } tagged && !(start is Scalar && tagged.Tag.Value == TextTag))
        {
            throw Error(_name, place, $"the tag {tagged.Tag.Value} means nothing here: leave it out");
        }

        Move();
        YamlNode node = start switch
        {
            Scalar scalar => new YamlText(scalar.Value, IsNothing(scalar), place),
            SequenceStart => new YamlList(ReadItems(depth), place),
            MappingStart => new YamlMap(ReadEntries(depth), place),
            AnchorAlias alias => _anchors.GetValueOrDefault(alias.Value.Value) ?? throw Error(_name, place, $"there is no anchor &{alias.Value.Value} before this"),
            _ => throw Error(_name, place, "a value is missing here"),
        };
        if (start is NodeEvent { Anchor.IsEmpty: false } named)
        {
            _anchors[named.Anchor.Value] = node;
        }

        return node;
    }

    private List<YamlNode> ReadItems(int depth)
    {
        var items = new List<YamlNode>();
        while (Next() is not SequenceEnd)
        {
            items.Add(ReadNode(depth + 1));
        }

        Move();
        return items;
    }

    private List<YamlEntry> ReadEntries(int depth)
    {
        var entries = new List<YamlEntry>();
        var keys = new Dictionary<string, TextPlace>(StringComparer.Ordinal);
        while (Next() is not MappingEnd)
        {
            YamlNode key = ReadNode(depth + 1);
            if (key is not YamlText text)
            {
                throw Error(_name, key.Place, "a key is to be a word");
            }

            if (!keys.TryAdd(text.Value, text.Place))
            {
                throw Error(_name, text.Place, $"'{text.Value}' is here for the second time: it is in line {keys[text.Value].Line} already");
            }

            entries.Add(new YamlEntry(text, ReadNode(depth + 1)));
        }

        Move();
        return entries;
    }

    private static bool IsNothing(Scalar scalar) => scalar.Style == ScalarStyle.Plain && scalar.Value is "" or "~" or "null";

    private void Expect<T>()
        where T : ParsingEvent
    {
        if (Next() is not T)
        {
            throw Error(_name, PlaceOf(Next()), "this is no YAML");
        }

        Move();
    }

    private ParsingEvent Next()
    {
        if (_parser.Current is null)
        {
            Move();
        }

        return _parser.Current!;
    }

    [SuppressMessage("Design", "CA1031", Justification = "The parser throws InvalidOperationException and others at some texts that aren't YAML.")]
    private void Move()
    {
        try
        {
            _parser.MoveNext();
        }
        catch (YamlException e)
        {
            throw new SuiteException(Error(_name, new TextPlace(e.Start.Line, e.Start.Column), $"this is no YAML: {FirstLine(e.Message)}").Message, e);
        }
        catch (Exception e)
        {
            throw new SuiteException(Error(_name, PlaceOf(_parser.Current), "this, or what follows it, is no YAML").Message, e);
        }
    }

    private static string FirstLine(string text) => text.Split('\n')[0].TrimEnd('.', '\r');

    private static TextPlace PlaceOf(ParsingEvent? parsed) => parsed is null ? new TextPlace(1, 1) : new TextPlace(parsed.Start.Line, parsed.Start.Column);
}
