using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;

namespace Lguest.Mutations;

/// <summary>One fault that can be put into a source file.</summary>
/// <param name="Tree">The file.</param>
/// <param name="Span">What is replaced in it.</param>
/// <param name="Replacement">What stands there then.</param>
internal sealed record Mutation(SyntaxTree Tree, TextSpan Span, string Replacement)
{
    /// <summary>The file with the fault in it.</summary>
    public SyntaxTree Apply()
    {
        SourceText text = Tree.GetText();
        return Tree.WithChangedText(text.WithChanges(new TextChange(Span, Replacement)));
    }

    /// <summary>The fault as a reader wants it: where, the line before and the line after.</summary>
    /// <param name="root">What paths are shown relative to.</param>
    public string Describe(string root)
    {
        int line = Tree.GetText().Lines.GetLineFromPosition(Span.Start).LineNumber + 1;
        LineChange change = GetChange(root);
        return $"{change.Path}:{line}\n  - {change.Before}\n  + {change.After}";
    }

    /// <summary>The same without the line's number, which every change above it moves.</summary>
    /// <param name="root">What the path is relative to.</param>
    public LineChange GetChange(string root)
    {
        SourceText text = Tree.GetText();
        int start = text.Lines.GetLineFromPosition(Span.Start).Start;
        int end = text.Lines.GetLineFromPosition(Span.End).End;
        string before = text.ToString(TextSpan.FromBounds(start, end));
        string after = before.Remove(Span.Start - start, Span.Length).Insert(Span.Start - start, Replacement);
        return new LineChange(Path.GetRelativePath(root, Tree.FilePath), Flatten(before), Flatten(after));
    }

    private static string Flatten(string lines) =>
        string.Join(' ', lines.Split('\n').Select(line => line.Trim()));
}

/// <summary>A fault as text.</summary>
/// <param name="Path">The file, relative to the repository.</param>
/// <param name="Before">The line as it is, without indentation; of several, all in one.</param>
/// <param name="After">The line with the fault.</param>
internal sealed record LineChange(string Path, string Before, string After);
