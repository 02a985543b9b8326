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
        SourceText text = Tree.GetText();
        TextLine first = text.Lines.GetLineFromPosition(Span.Start);
        TextLine last = text.Lines.GetLineFromPosition(Span.End);
        string before = text.ToString(TextSpan.FromBounds(first.Start, last.End));
        string after = before.Remove(Span.Start - first.Start, Span.Length).Insert(Span.Start - first.Start, Replacement);
        string path = Path.GetRelativePath(root, Tree.FilePath);
        return $"{path}:{first.LineNumber + 1}\n  - {Flatten(before)}\n  + {Flatten(after)}";
    }

    private static string Flatten(string lines) =>
        string.Join(' ', lines.Split('\n').Select(line => line.Trim()));
}
