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
    /// <summary>Whether the recipe's operands include some of these bytes of the state.</summary>
    public bool Uses(int offset, int bytes) =>
        Overlaps(First, offset, bytes) || (!HasImmediate && Overlaps(Second, offset, bytes));

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

    private bool Overlaps(byte operand, int offset, int bytes) => operand < offset + bytes && offset < operand + Size;

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
