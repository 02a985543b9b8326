namespace Lguest.Cpu.FloatingPoint;

/// <summary>How one operand stands to another (IEEE 754, 5.11).</summary>
internal enum Relation : byte
{
    /// <summary>The first is less.</summary>
    Less,

    /// <summary>They are equal; +0 and -0 are.</summary>
    Equal,

    /// <summary>The first is greater.</summary>
    Greater,

    /// <summary>At least one is a NaN or unsupported.</summary>
    Unordered,
}

/// <summary>Comparison, minimum and maximum.</summary>
internal static class FloatComparison
{
    /// <summary>Compares two operands.</summary>
    /// <param name="first">The first operand.</param>
    /// <param name="second">The second operand.</param>
    /// <param name="quietIsInvalid">
    /// Whether a quiet NaN, too, raises invalid: true for FCOM, FCOMI, COMISS, false for FUCOM, FUCOMI, UCOMISS.
    /// </param>
    /// <param name="context">Raises invalid and denormal only.</param>
    public static Relation Compare<T>(T first, T second, bool quietIsInvalid, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass a = FloatArithmetic.Classify(first, context);
        NumberClass b = FloatArithmetic.Classify(second, context);
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            if (quietIsInvalid || a > NumberClass.QuietNan || b > NumberClass.QuietNan)
            {
                context.Raise(FloatingPointExceptions.Invalid);
            }

            return Relation.Unordered;
        }

        if (a == NumberClass.Denormal || b == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }

        return CompareOrdered(first, a, second, b);
    }

    /// <summary>MINSS and its kin: the second operand unless the first is less (SDM 2B, MINSS).</summary>
    public static T Minimum<T>(T first, T second, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T> => Choose(first, second, Relation.Less, ref context);

    /// <summary>MAXSS and its kin: the second operand unless the first is greater (SDM 2B, MAXSS).</summary>
    public static T Maximum<T>(T first, T second, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T> => Choose(first, second, Relation.Greater, ref context);

    private static T Choose<T>(T first, T second, Relation wanted, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        Relation relation = Compare(first, second, quietIsInvalid: true, ref context);
        T chosen = relation == wanted ? first : second;
        return context.DenormalsAreZero && chosen.Class == NumberClass.Denormal
            ? Rounding.Zero<T>(chosen.IsNegative)
            : chosen;
    }

    private static Relation CompareOrdered<T>(T first, NumberClass a, T second, NumberClass b)
        where T : struct, IBinaryFormat<T>
    {
        if (a == NumberClass.Zero && b == NumberClass.Zero)
        {
            return Relation.Equal;
        }

        bool firstNegative = first.IsNegative;
        if (a == NumberClass.Zero)
        {
            return second.IsNegative ? Relation.Greater : Relation.Less;
        }

        if (b == NumberClass.Zero || firstNegative != second.IsNegative)
        {
            return firstNegative ? Relation.Less : Relation.Greater;
        }

        int order = CompareMagnitude(first, a, second, b);
        return order == 0 ? Relation.Equal : order < 0 != firstNegative ? Relation.Less : Relation.Greater;
    }

    private static int CompareMagnitude<T>(T first, NumberClass a, T second, NumberClass b)
        where T : struct, IBinaryFormat<T>
    {
        if (a == NumberClass.Infinity || b == NumberClass.Infinity)
        {
            return ((int)a).CompareTo((int)b);
        }

        Unpacked x = first.Unpack();
        Unpacked y = second.Unpack();
        return x.Exponent != y.Exponent
            ? x.Exponent.CompareTo(y.Exponent)
            : x.Significand.CompareTo(y.Significand);
    }
}
