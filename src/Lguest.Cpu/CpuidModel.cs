namespace Lguest.Cpu;

/// <summary>The four registers of a CPUID leaf.</summary>
public readonly record struct CpuidLeaf(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>What CPUID answers: constants, so that every run of a guest sees the same processor.</summary>
/// <param name="Leaves">Basic and extended leaves by number, subleaf 0.</param>
public sealed record CpuidModel(IReadOnlyDictionary<uint, CpuidLeaf> Leaves)
{
    /// <summary>The processor this emulator is: family 6, with what its instruction set really has.</summary>
    public static CpuidModel Default { get; } = new(new Dictionary<uint, CpuidLeaf>());
}
