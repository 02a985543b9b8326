using System.Globalization;
using System.Security;
using System.Text;

namespace Lguest.Insight.Profiles;

/// <summary>Draws a profile: a box for each function in each stack, as wide as its instructions are many, on the box of its caller.</summary>
public static class FlameGraph
{
    private const double Width = 1200;
    private const double Margin = 10;
    private const double RowHeight = 17;
    private const double HeadHeight = 40;
    private const double Narrowest = 0.2;
    private const double LetterWidth = 6.6;
    private const double TextInset = 3;
    private const int FewestLetters = 3;

    /// <summary>Draws it as an SVG image that needs nothing else. Each box tells its name, count and share to whoever points at it.</summary>
    /// <param name="profile">The profile.</param>
    /// <param name="title">What stands above it.</param>
    /// <param name="output">Where it goes.</param>
    public static void Write(Profile profile, string title, Stream output)
    {
        var root = new Node("all");
        foreach ((string stack, ulong count) in profile.Stacks)
        {
            Node node = root;
            node.Count += count;
            foreach (string function in stack.Split(';'))
            {
                node = node.Child(function);
                node.Count += count;
            }
        }

        double height = HeadHeight + (root.Depth * RowHeight) + Margin;
        var text = new StringBuilder(string.Create(
            CultureInfo.InvariantCulture,
            $"""
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" width="{Width}" height="{height}" viewBox="0 0 {Width} {height}" font-family="monospace" font-size="11">
            <rect width="100%" height="100%" fill="#fffdf7"/>
            <text x="{Width / 2}" y="24" text-anchor="middle" font-size="16" font-family="sans-serif">{SecurityElement.Escape(title)}</text>

            """));
        if (root.Count > 0)
        {
            Draw(text, root, Margin, height - Margin - RowHeight, (Width - (2 * Margin)) / root.Count, root.Count);
        }

        text.Append("</svg>\n");
        output.Write(Encoding.UTF8.GetBytes(text.ToString()));
    }

    private static void Draw(StringBuilder text, Node node, double x, double y, double scale, ulong all)
    {
        const double Hundred = 100;
        double width = node.Count * scale;
        if (width < Narrowest)
        {
            return;
        }

        int letters = (int)((width - (2 * TextInset)) / LetterWidth);
        string label = letters < FewestLetters ? string.Empty : node.Name.Length <= letters ? node.Name : node.Name[..(letters - 2)] + "..";
        text.Append(
            CultureInfo.InvariantCulture,
            $"<g><title>{SecurityElement.Escape(node.Name)}: {node.Count:n0} instructions, {node.Count * Hundred / all:0.00} %</title><rect x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\" height=\"{RowHeight - 1}\" rx=\"1\" fill=\"{Colour(node.Name)}\"/>");
        if (label.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"<text x=\"{x + TextInset:0.##}\" y=\"{y + 12:0.##}\">{SecurityElement.Escape(label)}</text>");
        }

        text.Append("</g>\n");
        foreach (Node child in node.Children)
        {
            Draw(text, child, x, y - RowHeight, scale, all);
            x += child.Count * scale;
        }
    }

    /// <summary>The same for the same name in any picture, so that two can be compared: from yellow to red.</summary>
    private static string Colour(string name)
    {
        uint hash = 2166136261;
        foreach (char letter in name)
        {
            hash = (hash ^ letter) * 16777619;
        }

        return string.Create(CultureInfo.InvariantCulture, $"hsl({10 + (hash % 45)},{70 + ((hash >> 8) % 20)}%,{62 + ((hash >> 16) % 12)}%)");
    }

    private sealed class Node(string name)
    {
        private readonly SortedDictionary<string, Node> _children = new(StringComparer.Ordinal);

        public string Name => name;

        public ulong Count { get; set; }

        public IEnumerable<Node> Children => _children.Values;

        public int Depth => 1 + _children.Values.Select(child => child.Depth).DefaultIfEmpty(0).Max();

        public Node Child(string function)
        {
            if (!_children.TryGetValue(function, out Node? child))
            {
                child = new Node(function);
                _children.Add(function, child);
            }

            return child;
        }
    }
}
