using System.Text;

namespace Lguest.Insight.Health;

/// <summary>What <c>tainted_mask</c> says (Documentation/admin-guide/tainted-kernels.rst; kernel/panic.c).</summary>
public static class KernelTaint
{
    // G is printed for bit 0 when it is clear, so it isn't here. N is KUnit's own.
    private const string Letters = "PFSRMBUDAWCIOELKXTNJ";
    private const string Counting = "DWLBM";

    /// <summary>The letters of a mask.</summary>
    public static string ToLetters(uint mask)
    {
        var letters = new StringBuilder();
        for (int bit = 0; bit < Letters.Length; bit++)
        {
            if ((mask & (1u << bit)) != 0)
            {
                letters.Append(Letters[bit]);
            }
        }

        return letters.ToString();
    }

    /// <summary>Those of the letters that say that something went wrong: died, warned, locked up, a bad page, a machine check.</summary>
    public static string ToCountingLetters(uint mask) => string.Concat(ToLetters(mask).Where(letter => Counting.Contains(letter)));
}
