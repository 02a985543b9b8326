using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <summary>What a recipe's flags are those of.</summary>
internal enum FlagRecipeKind : byte
{
    /// <summary>No recipe.</summary>
    None,

    /// <summary>A sum, of which the result and one summand are still there.</summary>
    Add,

    /// <summary>A difference, of which the result and the subtrahend are still there.</summary>
    Subtract,

    /// <summary>A comparison: both operands are still there.</summary>
    Compare,

    /// <summary>A logical operation, of which the result is still there.</summary>
    Logic,

    /// <summary>TEST: both operands are still there.</summary>
    Test,
}

/// <summary>
/// How flags that nobody kept can be computed again from registers that still hold the operands. It is what makes flags free
/// that hardly anyone will see: those of an instruction before one that may fault.
/// </summary>
/// <param name="Kind">The operation.</param>
/// <param name="Size">Bytes of the operands: 1, 2 or 4.</param>
/// <param name="First">State offset of the first operand, or of what became of it.</param>
/// <param name="Second">State offset of the second, if it is a register.</param>
/// <param name="HasImmediate">Whether the second operand is the immediate.</param>
/// <param name="Immediate">The immediate, cut to the operands.</param>
internal readonly record struct FlagRecipe(
    FlagRecipeKind Kind, byte Size, byte First, byte Second, bool HasImmediate, uint Immediate)
{
    /// <summary>The general registers that its operands are in, as <see cref="RegisterChanges"/> has them.</summary>
    public int Registers => BitOf(First) | (HasImmediate ? 0 : BitOf(Second));

    /// <summary>Sets the state's arithmetic flags.</summary>
    public unsafe void Apply(ProcessorState* s)
    {
        switch (Size)
        {
            case 1:
                Apply<Size8>(s);
                break;
            case 2:
                Apply<Size16>(s);
                break;
            default:
                Apply<Size32>(s);
                break;
        }
    }

    private static int BitOf(byte offset) => 1 << (offset / sizeof(uint));

    private unsafe void Apply<TSize>(ProcessorState* s)
        where TSize : struct, IOperandSize
    {
        uint first = TSize.Load((byte*)s + First);
        uint second = HasImmediate ? Immediate : TSize.Load((byte*)s + Second);
        switch (Kind)
        {
            case FlagRecipeKind.Add:
                s->SetAddFlags<TSize>((first - second) & TSize.Mask, second, first);
                break;
            case FlagRecipeKind.Subtract:
                s->SetSubtractFlags<TSize>((first + second) & TSize.Mask, second, first);
                break;
            case FlagRecipeKind.Compare:
                s->SetSubtractFlags<TSize>(first, second, (first - second) & TSize.Mask);
                break;
            case FlagRecipeKind.Logic:
                s->SetLogicFlags<TSize>(first);
                break;
            case FlagRecipeKind.Test:
                s->SetLogicFlags<TSize>(first & second);
                break;
            default:
                throw new InvalidOperationException("There is no recipe for these flags.");
        }
    }
}
