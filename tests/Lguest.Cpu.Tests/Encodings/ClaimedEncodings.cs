using Iced.Intel;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>What becomes of an encoding on the processor that CPUID describes.</summary>
internal enum Verdict
{
    /// <summary>It executes, or faults over its operands.</summary>
    Executes,

    /// <summary>It executes as an older instruction does, whose encoding a later one took over.</summary>
    ExecutesAsOlder,

    /// <summary>#UD, always.</summary>
    InvalidOpcode,

    /// <summary>#GP(0), always.</summary>
    GeneralProtection,
}

/// <summary>Tells from the manual and from what CPUID claims what becomes of each encoding.</summary>
internal static class ClaimedEncodings
{
    /// <summary>What every processor of this kind has; CPUID has no bit for it.</summary>
    private static readonly HashSet<CpuidFeature> Basic =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486,
        CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.CPUID, CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE,
        CpuidFeature.RDPMC, CpuidFeature.SMM,
    ];

    private static readonly Dictionary<CpuidFeature, CpuidFeatures> Features = new()
    {
        [CpuidFeature.FPU] = CpuidFeatures.Fpu,
        [CpuidFeature.TSC] = CpuidFeatures.Tsc,
        [CpuidFeature.MSR] = CpuidFeatures.Msr,
        [CpuidFeature.CX8] = CpuidFeatures.Cx8,
        [CpuidFeature.SEP] = CpuidFeatures.Sep,
        [CpuidFeature.CMOV] = CpuidFeatures.Cmov,
        [CpuidFeature.CLFSH] = CpuidFeatures.Clfsh,
        [CpuidFeature.MMX] = CpuidFeatures.Mmx,
        [CpuidFeature.FXSR] = CpuidFeatures.Fxsr,
        [CpuidFeature.SSE] = CpuidFeatures.Sse,
        [CpuidFeature.SSE2] = CpuidFeatures.Sse2,
    };

    private static readonly Dictionary<CpuidFeature, CpuidExtendedFeatures> ExtendedFeatures = new()
    {
        [CpuidFeature.SSE3] = CpuidExtendedFeatures.Sse3,
        [CpuidFeature.SSSE3] = CpuidExtendedFeatures.Ssse3,
    };

    /// <summary>
    /// Later instructions whose encodings were made so that older processors execute something else, and what that is
    /// (SDM 2: REP before BSF, BSR and WBINVD is ignored; 0F 0D and 0F 18 to 0F 1F are no-operations).
    /// </summary>
    private static readonly Dictionary<Mnemonic, string> OlderMeanings = new()
    {
        [Mnemonic.Tzcnt] = "BSF",
        [Mnemonic.Lzcnt] = "BSR",
        [Mnemonic.Wbnoinvd] = "WBINVD",
        [Mnemonic.Endbr32] = "NOP",
        [Mnemonic.Endbr64] = "NOP",
        [Mnemonic.Rdsspd] = "NOP",
        [Mnemonic.Cldemote] = "NOP",
        [Mnemonic.Prefetch] = "NOP",
        [Mnemonic.Prefetchw] = "NOP",
        [Mnemonic.Prefetchwt1] = "NOP",
        [Mnemonic.Prefetchit0] = "NOP",
        [Mnemonic.Prefetchit1] = "NOP",
    };

    /// <summary>What becomes of an encoding.</summary>
    /// <param name="code">What its bytes mean (see <see cref="EncodingSample.Meaning"/>).</param>
    /// <param name="model">What CPUID claims.</param>
    public static Verdict Of(Code code, CpuidModel model)
    {
        if (code == Code.INVALID)
        {
            return Verdict.InvalidOpcode;
        }

        if (OlderMeaning(code) is not null)
        {
            return Verdict.ExecutesAsOlder;
        }

        return code.Mnemonic() switch
        {
            // Undefined by definition; and RSM is outside system management mode.
            Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2 or Mnemonic.Rsm => Verdict.InvalidOpcode,

            // There are no counters: no value of ECX names one.
            Mnemonic.Rdpmc => Verdict.GeneralProtection,

            // As with IA32_SYSENTER_CS 0 (SDM 2B, SYSENTER).
            Mnemonic.Sysenter or Mnemonic.Sysexit when !IsClaimed(CpuidFeature.SEP, model) => Verdict.GeneralProtection,
            _ => code.CpuidFeatures().All(feature => IsClaimed(feature, model)) ? Verdict.Executes : Verdict.InvalidOpcode,
        };
    }

    /// <summary>What an older processor executes for an encoding, if it is another instruction; else null.</summary>
    public static string? OlderMeaning(Code code) => OlderMeanings.GetValueOrDefault(code.Mnemonic());

    private static bool IsClaimed(CpuidFeature feature, CpuidModel model)
    {
        CpuidLeaf leaf = model.Answer(1, 0);
        return Basic.Contains(feature)
            || (Features.TryGetValue(feature, out CpuidFeatures bit) && (leaf.Edx & (uint)bit) != 0)
            || (ExtendedFeatures.TryGetValue(feature, out CpuidExtendedFeatures extended) && (leaf.Ecx & (uint)extended) != 0);
    }
}
