namespace Lguest.Suites.Yaml;

/// <summary>A place in a file, as editors count.</summary>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1.</param>
public sealed record TextPlace(long Line, long Column);

/// <summary>What a YAML file is made of, with the place where it begins.</summary>
/// <param name="Place">Where.</param>
internal abstract record YamlNode(TextPlace Place);

/// <summary>A scalar. What it is a number or a date to YAML is left to who reads it: <c>on</c> is a text like any other.</summary>
/// <param name="Value">The text.</param>
/// <param name="IsNothing">Whether it is nothing at all, not even an empty text in quotes.</param>
/// <param name="Place">Where.</param>
internal sealed record YamlText(string Value, bool IsNothing, TextPlace Place) : YamlNode(Place);

/// <summary>A sequence.</summary>
/// <param name="Items">In their order.</param>
/// <param name="Place">Where.</param>
internal sealed record YamlList(IReadOnlyList<YamlNode> Items, TextPlace Place) : YamlNode(Place);

/// <summary>A mapping. No two of its keys are the same.</summary>
/// <param name="Entries">In their order.</param>
/// <param name="Place">Where.</param>
internal sealed record YamlMap(IReadOnlyList<YamlEntry> Entries, TextPlace Place) : YamlNode(Place);

/// <summary>A key of a mapping, with its value.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
internal sealed record YamlEntry(YamlText Key, YamlNode Value);
