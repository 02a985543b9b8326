using System.Runtime.Intrinsics.X86;
using System.Text;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>Whose processor the tests run on, as CPUID tells it (SDM 2A, CPUID).</summary>
/// <param name="Name">Twelve letters.</param>
/// <param name="Family">With the extended family added.</param>
/// <param name="Model">With the extended model.</param>
internal sealed record HostVendor(string Name, int Family, int Model)
{
    /// <summary>The name of AMD's processors.</summary>
    public const string Amd = "AuthenticAMD";

    /// <summary>The name of Intel's processors.</summary>
    public const string Intel = "GenuineIntel";

    private const int ExtendedFamily = 15;

    /// <summary>The host's, or null where there is no CPUID.</summary>
    public static HostVendor? Current { get; } = X86Base.IsSupported ? Read() : null;

    /// <inheritdoc />
    public override string ToString() => $"{Name}, family {Family}, model {Model}";

    private static HostVendor Read()
    {
        (_, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        byte[] name = [.. BitConverter.GetBytes(ebx), .. BitConverter.GetBytes(edx), .. BitConverter.GetBytes(ecx)];
        (int version, _, _, _) = X86Base.CpuId(1, 0);
        int family = (version >> 8) & 15;
        int model = (version >> 4) & 15;
        if (family is ExtendedFamily or 6)
        {
            model |= (version >> 12) & 0xF0;
        }

        if (family == ExtendedFamily)
        {
            family += (version >> 20) & 0xFF;
        }

        return new HostVendor(Encoding.ASCII.GetString(name), family, model);
    }
}
