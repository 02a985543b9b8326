using System.Collections.Immutable;

namespace Lguest.Insight.Health;

/// <summary>
/// Compares a kernel's taint with what it complained of: whatever tainted it and didn't show in the log, because it was
/// overwritten or has a form that nobody knows yet, is a complaint as well.
/// </summary>
public static class TaintCheck
{
    private static readonly ImmutableArray<(char Letter, ImmutableHashSet<ComplaintClass> Classes)> Explanations =
    [
        ('D', [ComplaintClass.Oops, ComplaintClass.KernelBug, ComplaintClass.GeneralProtection, ComplaintClass.InvalidOpcode, ComplaintClass.DivideError, ComplaintClass.StackSegment]),
        ('W', [ComplaintClass.Warning, ComplaintClass.Refcount, ComplaintClass.Atomic, ComplaintClass.Ubsan, ComplaintClass.Bug]),
        ('L', [ComplaintClass.SoftLockup]),
        ('B', [ComplaintClass.BadPage, ComplaintClass.Slab]),
        ('M', []),
    ];

    /// <summary>What the taint says and the log doesn't; null if there is nothing.</summary>
    /// <param name="mask">The kernel's <c>tainted_mask</c>.</param>
    /// <param name="complaints">What was found in the log.</param>
    public static Complaint? Unexplained(uint mask, IReadOnlyCollection<Complaint> complaints)
    {
        string letters = string.Concat(KernelTaint.ToCountingLetters(mask).Where(letter => !IsExplained(letter, complaints)));
        return letters.Length == 0 ? null : new Complaint
        {
            Class = ComplaintClass.Taint,
            Title = $"the kernel is tainted ({letters}), and its log doesn't say by what",
            Fingerprint = $"{ComplaintClass.Taint.ToWord()}/{letters}",
            Taint = KernelTaint.ToLetters(mask),
        };
    }

    private static bool IsExplained(char letter, IReadOnlyCollection<Complaint> complaints)
    {
        foreach ((char candidate, ImmutableHashSet<ComplaintClass> classes) in Explanations)
        {
            if (candidate == letter)
            {
                return complaints.Any(complaint => classes.Contains(complaint.Class));
            }
        }

        return false;
    }
}
