using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Lguest.Mutations;

/// <summary>
/// The mistakes people make in a line: a wrong operator, a condition the wrong way round, a number off by one, a statement
/// forgotten.
/// </summary>
internal static class MutationSites
{
    private static readonly Dictionary<SyntaxKind, string> Operators = new()
    {
        [SyntaxKind.PlusToken] = "-",
        [SyntaxKind.MinusToken] = "+",
        [SyntaxKind.AmpersandToken] = "|",
        [SyntaxKind.BarToken] = "&",
        [SyntaxKind.CaretToken] = "|",
        [SyntaxKind.LessThanLessThanToken] = ">>",
        [SyntaxKind.GreaterThanGreaterThanToken] = "<<",
        [SyntaxKind.LessThanToken] = "<=",
        [SyntaxKind.LessThanEqualsToken] = "<",
        [SyntaxKind.GreaterThanToken] = ">=",
        [SyntaxKind.GreaterThanEqualsToken] = ">",
        [SyntaxKind.EqualsEqualsToken] = "!=",
        [SyntaxKind.ExclamationEqualsToken] = "==",
        [SyntaxKind.AmpersandAmpersandToken] = "||",
        [SyntaxKind.BarBarToken] = "&&",
        [SyntaxKind.PlusEqualsToken] = "-=",
        [SyntaxKind.MinusEqualsToken] = "+=",
        [SyntaxKind.AmpersandEqualsToken] = "|=",
        [SyntaxKind.BarEqualsToken] = "&=",
        [SyntaxKind.CaretEqualsToken] = "|=",
        [SyntaxKind.LessThanLessThanEqualsToken] = ">>=",
        [SyntaxKind.GreaterThanGreaterThanEqualsToken] = "<<=",
        [SyntaxKind.PlusPlusToken] = "--",
        [SyntaxKind.MinusMinusToken] = "++",
    };

    /// <summary>Every fault that can be made in the bodies of a file's members.</summary>
    public static IEnumerable<Mutation> Find(SyntaxTree tree) =>
        tree.GetRoot().DescendantNodes().Where(IsInBody).SelectMany(node => Of(tree, node));

    // Not in initialisers of fields: those are tables and names of bits, and would be most of the sites. Nor where memory is
    // given back, which no guest can see.
    private static bool IsInBody(SyntaxNode node) =>
        node.Ancestors().Any(ancestor => ancestor is BlockSyntax or ArrowExpressionClauseSyntax)
        && !node.Ancestors().Any(ancestor => ancestor is MethodDeclarationSyntax { Identifier.Text: "Dispose" });

    private static IEnumerable<Mutation> Of(SyntaxTree tree, SyntaxNode node)
    {
        switch (node)
        {
            case BinaryExpressionSyntax binary:
                return Replace(tree, binary.OperatorToken);
            case AssignmentExpressionSyntax assignment:
                return Replace(tree, assignment.OperatorToken);
            case PostfixUnaryExpressionSyntax postfix:
                return Replace(tree, postfix.OperatorToken);
            case PrefixUnaryExpressionSyntax prefix when prefix.OperatorToken.Kind()
                is SyntaxKind.ExclamationToken or SyntaxKind.TildeToken or SyntaxKind.MinusToken:
                return [new Mutation(tree, prefix.OperatorToken.Span, "")];
            case ConditionalExpressionSyntax choice:
                return [new Mutation(tree, choice.Condition.Span, $"!({choice.Condition})")];
            case IfStatementSyntax condition:
                return [new Mutation(tree, condition.Condition.Span, $"!({condition.Condition})")];
            case ExpressionStatementSyntax statement:
                return [new Mutation(tree, statement.Span, ";")];
            case LiteralExpressionSyntax literal:
                return OfLiteral(tree, literal);
            default:
                return [];
        }
    }

    private static IEnumerable<Mutation> Replace(SyntaxTree tree, SyntaxToken token) =>
        Operators.TryGetValue(token.Kind(), out string? other) ? [new Mutation(tree, token.Span, other)] : [];

    private static IEnumerable<Mutation> OfLiteral(SyntaxTree tree, LiteralExpressionSyntax literal)
    {
        string? other = literal.Token.Value switch
        {
            true => "false",
            false => "true",
            1 => "0",
            int number when number < int.MaxValue => (number + 1).ToString(CultureInfo.InvariantCulture),
            _ => null,
        };
        return other is null ? [] : [new Mutation(tree, literal.Span, other)];
    }
}
