using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <summary>The four registers of a CPUID leaf.</summary>
public readonly record struct CpuidLeaf(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>An answer of CPUID.</summary>
/// <param name="Leaf">EAX.</param>
/// <param name="Answer">The registers.</param>
/// <param name="Subleaf">ECX, for leaves that have several.</param>
public sealed record CpuidEntry(uint Leaf, CpuidLeaf Answer, uint Subleaf = 0);

/// <summary>Features in EDX of CPUID leaf 1 (SDM 2A, table 3-11).</summary>
[Flags]
public enum CpuidFeatures : uint
{
    /// <summary>An x87.</summary>
    Fpu = 1 << 0,

    /// <summary>4 MiB pages, and CR4.PSE.</summary>
    Pse = 1 << 3,

    /// <summary>RDTSC, and CR4.TSD.</summary>
    Tsc = 1 << 4,

    /// <summary>RDMSR and WRMSR.</summary>
    Msr = 1 << 5,

    /// <summary>PAE paging and CR4.PAE; and execute-disable bits, which have a leaf of their own (80000001H, EDX bit 20).</summary>
    Pae = 1 << 6,

    /// <summary>CMPXCHG8B.</summary>
    Cx8 = 1 << 8,

    /// <summary>SYSENTER, SYSEXIT and their model-specific registers.</summary>
    Sep = 1 << 11,

    /// <summary>Global pages, and CR4.PGE.</summary>
    Pge = 1 << 13,

    /// <summary>CMOVcc and FCMOVcc.</summary>
    Cmov = 1 << 15,

    /// <summary>CLFLUSH.</summary>
    Clfsh = 1 << 19,

    /// <summary>MMX.</summary>
    Mmx = 1 << 23,

    /// <summary>FXSAVE and FXRSTOR, and CR4.OSFXSR.</summary>
    Fxsr = 1 << 24,

    /// <summary>SSE, and CR4.OSXMMEXCPT.</summary>
    Sse = 1 << 25,

    /// <summary>SSE2.</summary>
    Sse2 = 1 << 26,
}

/// <summary>Features in ECX of CPUID leaf 1 (SDM 2A, table 3-10).</summary>
[Flags]
public enum CpuidExtendedFeatures : uint
{
    /// <summary>None of them.</summary>
    None = 0,

    /// <summary>SSE3, without MONITOR and MWAIT.</summary>
    Sse3 = 1 << 0,

    /// <summary>SSSE3.</summary>
    Ssse3 = 1 << 9,
}

/// <summary>
/// What CPUID answers: constants, so that every run of a guest sees the same processor. It claims exactly what the
/// instruction set here has, and CR4 can hold exactly what it claims.
/// </summary>
/// <param name="Leaves">The answers; what isn't there is answered as the manual says for leaves that don't exist.</param>
public sealed record CpuidModel(IReadOnlyList<CpuidEntry> Leaves)
{
    /// <summary>Family 6, model 28, stepping 10: a 32-bit in-order processor that has no errata to work around.</summary>
    private const uint Signature = 0x0001_06ca;

    private const uint MaxBasicLeaf = 7;

    /// <summary>EBX of leaf 7: the x87's data pointer is updated on unmasked exceptions only; its selectors are 0.</summary>
    private const uint FdpExceptionOnly = 1 << 6;
    private const uint NoFcsFds = 1 << 13;

    private const uint MaxExtendedLeaf = 0x8000_0008;
    private const uint FirstExtendedLeaf = 0x8000_0000;
    private const uint ExtendedFeatureLeaf = FirstExtendedLeaf + 1;

    /// <summary>EDX of leaf 80000001H: execute-disable bits.</summary>
    private const uint ExecuteDisable = 1 << 20;
    private const string Brand = "lguest virtual 32-bit processor";

    private const CpuidFeatures BaseFeatures = CpuidFeatures.Fpu | CpuidFeatures.Tsc | CpuidFeatures.Msr | CpuidFeatures.Cx8
        | CpuidFeatures.Pge | CpuidFeatures.Cmov | CpuidFeatures.Clfsh | CpuidFeatures.Mmx | CpuidFeatures.Fxsr
        | CpuidFeatures.Sse | CpuidFeatures.Sse2;

    private const CpuidExtendedFeatures BaseExtendedFeatures = CpuidExtendedFeatures.Sse3 | CpuidExtendedFeatures.Ssse3;

    /// <summary>For kernels that a host deprivileges: no large pages, and no SYSENTER, which would lead to CPL 0.</summary>
    public static CpuidModel Default { get; } = Create(BaseFeatures, BaseExtendedFeatures);

    /// <summary>The same for those with page tables of three levels.</summary>
    public static CpuidModel DefaultWithPae { get; } = Create(BaseFeatures | CpuidFeatures.Pae, BaseExtendedFeatures);

    /// <summary>For kernels that run at CPL 0: large pages, PAE and SYSENTER too.</summary>
    public static CpuidModel RingZero { get; } = Create(
        BaseFeatures | CpuidFeatures.Pse | CpuidFeatures.Pae | CpuidFeatures.Sep, BaseExtendedFeatures);

    /// <summary>The bits that CR4 can hold: those of the features that are claimed.</summary>
    internal uint WritableCr4 { get; } = ControlBitsOf(Leaves);

    /// <summary>Whether SYSENTER and SYSEXIT are claimed.</summary>
    internal bool HasFastSystemCalls { get; } = ((Find(Leaves, 1)?.Answer.Edx ?? 0) & (uint)CpuidFeatures.Sep) != 0;

    /// <summary>Whether execute-disable bits, and IA32_EFER with them, are claimed.</summary>
    internal bool HasExecuteDisable { get; } = ((Find(Leaves, ExtendedFeatureLeaf)?.Answer.Edx ?? 0) & ExecuteDisable) != 0;

    /// <summary>Makes a model of the processor that this emulator is.</summary>
    /// <param name="features">EDX of leaf 1.</param>
    /// <param name="extendedFeatures">ECX of leaf 1.</param>
    public static CpuidModel Create(CpuidFeatures features, CpuidExtendedFeatures extendedFeatures)
    {
        // CLFLUSH handles lines of 8 * 8 bytes.
        const uint LineSize = 8 << 8;
        bool hasPae = features.HasFlag(CpuidFeatures.Pae);
        CpuidEntry[] leaves =
        [
            // "Genu" "ineI" "ntel", in the order EBX, EDX, ECX.
            new(0, new(MaxBasicLeaf, 0x756e_6547, 0x6c65_746e, 0x4965_6e69)),
            new(1, new(Signature, LineSize, (uint)extendedFeatures, (uint)features)),

            // Descriptors of caches and TLBs, a byte each (SDM 2A, table 3-12): data TLBs, instruction TLB; L2 of 512 KiB,
            // L1 of 32 KiB for instructions and 24 KiB for data, all in lines of 64 bytes.
            new(2, new(0x4fba_5901, 0x0e30_80c0, 0, 0)),
            new(3, default),

            // The same caches; subleaf 3 and all above have type 0, which ends the list.
            new(4, new(CacheType(1, 1), CacheShape(ways: 6), 0, 63), Subleaf: 0),
            new(4, new(CacheType(2, 1), CacheShape(ways: 8), 0, 63), Subleaf: 1),
            new(4, new(CacheType(3, 2), CacheShape(ways: 8), 0, 1023), Subleaf: 2),
            new(5, default),
            new(6, default),
            new(MaxBasicLeaf, new(0, FdpExceptionOnly | NoFcsFds, 0, 0), Subleaf: 0),
            new(MaxBasicLeaf, default, Subleaf: 1),
            new(FirstExtendedLeaf, new(MaxExtendedLeaf, 0, 0, 0)),
            new(ExtendedFeatureLeaf, new(0, 0, 0, hasPae ? ExecuteDisable : 0)),
            new(FirstExtendedLeaf + 2, BrandLeaf(0)),
            new(FirstExtendedLeaf + 3, BrandLeaf(1)),
            new(FirstExtendedLeaf + 4, BrandLeaf(2)),
            new(FirstExtendedLeaf + 5, default),

            // L2: 512 KiB, 8 ways, lines of 64 bytes.
            new(FirstExtendedLeaf + 6, new(0, 0, (512 << 16) | (6 << 12) | 64, 0)),
            new(FirstExtendedLeaf + 7, default),

            // Bits of physical and of linear address.
            new(MaxExtendedLeaf, new((32 << 8) | (hasPae ? PhysicalMemory.AddressBits : 32u), 0, 0, 0)),
        ];
        return new CpuidModel(leaves);
    }

    /// <summary>What CPUID answers to EAX and ECX.</summary>
    /// <remarks>
    /// A leaf above the highest is answered as the highest basic one is (SDM 2A, CPUID); a subleaf that a leaf doesn't have
    /// is all zero, and leaves without subleaves don't look at ECX.
    /// </remarks>
    public CpuidLeaf Answer(uint leaf, uint subleaf)
    {
        CpuidEntry? entry = Find(Leaves, leaf);
        if (entry is null)
        {
            leaf = Find(Leaves, 0)?.Answer.Eax ?? 0;
            entry = Find(Leaves, leaf);
        }

        bool hasSubleaves = Find(Leaves, leaf, 1) is not null;
        return (hasSubleaves ? Find(Leaves, leaf, subleaf) : entry)?.Answer ?? default;
    }

    private static CpuidEntry? Find(IReadOnlyList<CpuidEntry> leaves, uint leaf, uint subleaf = 0)
    {
        foreach (CpuidEntry entry in leaves)
        {
            if (entry.Leaf == leaf && entry.Subleaf == subleaf)
            {
                return entry;
            }
        }

        return null;
    }

    private static uint ControlBitsOf(IReadOnlyList<CpuidEntry> leaves)
    {
        var features = (CpuidFeatures)(Find(leaves, 1)?.Answer.Edx ?? 0);
        return Cr4.Pce
            | (features.HasFlag(CpuidFeatures.Tsc) ? Cr4.Tsd : 0)
            | (features.HasFlag(CpuidFeatures.Pse) ? Cr4.Pse : 0)
            | (features.HasFlag(CpuidFeatures.Pae) ? Cr4.Pae : 0)
            | (features.HasFlag(CpuidFeatures.Pge) ? Cr4.Pge : 0)
            | (features.HasFlag(CpuidFeatures.Fxsr) ? Cr4.Osfxsr : 0)
            | (features.HasFlag(CpuidFeatures.Sse) ? Cr4.Osxmmexcpt : 0);
    }

    /// <summary>EAX of leaf 4: type, level, self-initialising.</summary>
    private static uint CacheType(uint type, uint level) => type | (level << 5) | (1 << 8);

    /// <summary>EBX of leaf 4: lines of 64 bytes, one partition, and the ways, each less one.</summary>
    private static uint CacheShape(uint ways) => 63 | ((ways - 1) << 22);

    private static CpuidLeaf BrandLeaf(int part)
    {
        const int RegistersPerLeaf = 4;
        Span<uint> registers = stackalloc uint[RegistersPerLeaf];
        for (int i = 0; i < RegistersPerLeaf * sizeof(uint); i++)
        {
            int index = (part * RegistersPerLeaf * sizeof(uint)) + i;
            uint character = index < Brand.Length ? Brand[index] : 0u;
            registers[i / sizeof(uint)] |= character << (8 * (i % sizeof(uint)));
        }

        return new CpuidLeaf(registers[0], registers[1], registers[2], registers[3]);
    }
}
