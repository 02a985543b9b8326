namespace Lguest.Insight.Health;

/// <summary>What kind of thing a kernel complains of.</summary>
public enum ComplaintClass
{
    /// <summary>WARN_ON() and its kin.</summary>
    Warning,

    /// <summary>A reference count that overflowed or fell below zero: a warning too.</summary>
    Refcount,

    /// <summary>A page fault of the kernel's own, or another trap that has no class here.</summary>
    Oops,

    /// <summary>BUG().</summary>
    KernelBug,

    /// <summary>A general protection fault.</summary>
    GeneralProtection,

    /// <summary>An invalid opcode that is no BUG().</summary>
    InvalidOpcode,

    /// <summary>A divide error.</summary>
    DivideError,

    /// <summary>A stack segment fault.</summary>
    StackSegment,

    /// <summary>A line that begins with BUG, of no other class.</summary>
    Bug,

    /// <summary>The undefined-behaviour sanitizer.</summary>
    Ubsan,

    /// <summary>The lock validator.</summary>
    Lockdep,

    /// <summary>A task that hangs.</summary>
    HungTask,

    /// <summary>A processor that doesn't get away from one task, or a workqueue that doesn't come to its work.</summary>
    SoftLockup,

    /// <summary>A processor or task that RCU waits for.</summary>
    RcuStall,

    /// <summary>Sleeping where nobody may.</summary>
    Atomic,

    /// <summary>A page, or what counts pages, in a state that can't be.</summary>
    BadPage,

    /// <summary>Slab memory that was written where it mustn't be, and KFENCE's finds.</summary>
    Slab,

    /// <summary>Memory that nobody refers to any more.</summary>
    Kmemleak,

    /// <summary>A tracked reference that wasn't given back, or twice.</summary>
    RefTracker,

    /// <summary>An interrupt that nobody cared for.</summary>
    NobodyCared,

    /// <summary>A network device that somebody keeps.</summary>
    UnregisterNetdevice,

    /// <summary>The kernel gave up.</summary>
    Panic,

    /// <summary>The kernel is tainted by a complaint that the log doesn't show any more.</summary>
    Taint,
}

/// <summary>Names of classes.</summary>
public static class ComplaintClasses
{
    /// <summary>The word for a class, in lists of options and in fingerprints.</summary>
    public static string ToWord(this ComplaintClass value) => value switch
    {
        ComplaintClass.Warning => "warning",
        ComplaintClass.Refcount => "refcount",
        ComplaintClass.Oops => "oops",
        ComplaintClass.KernelBug => "kernel-bug",
        ComplaintClass.GeneralProtection => "general-protection",
        ComplaintClass.InvalidOpcode => "invalid-opcode",
        ComplaintClass.DivideError => "divide-error",
        ComplaintClass.StackSegment => "stack-segment",
        ComplaintClass.Bug => "bug",
        ComplaintClass.Ubsan => "ubsan",
        ComplaintClass.Lockdep => "lockdep",
        ComplaintClass.HungTask => "hung-task",
        ComplaintClass.SoftLockup => "soft-lockup",
        ComplaintClass.RcuStall => "rcu-stall",
        ComplaintClass.Atomic => "atomic",
        ComplaintClass.BadPage => "bad-page",
        ComplaintClass.Slab => "slab",
        ComplaintClass.Kmemleak => "kmemleak",
        ComplaintClass.RefTracker => "ref-tracker",
        ComplaintClass.NobodyCared => "nobody-cared",
        ComplaintClass.UnregisterNetdevice => "unregister-netdevice",
        ComplaintClass.Panic => "panic",
        _ => "taint",
    };

    /// <summary>The class of a word.</summary>
    public static bool TryParse(string word, out ComplaintClass value)
    {
        foreach (ComplaintClass candidate in Enum.GetValues<ComplaintClass>())
        {
            if (candidate.ToWord() == word)
            {
                value = candidate;
                return true;
            }
        }

        value = default;
        return false;
    }
}
