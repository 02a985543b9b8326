using System.Text.Json.Serialization;
using Lguest.Cpu;

namespace Lguest.Host.Saving;

/// <summary>All of a saved state but RAM: what the guest was made of, and what has become of it.</summary>
internal sealed record SavedStateDescription
{
    /// <summary>Name of the kernel's ABI.</summary>
    public required string Dialect { get; init; }

    /// <summary>What CPUID answers.</summary>
    public required IReadOnlyList<CpuidEntry> Cpuid { get; init; }

    /// <summary>Bytes of RAM.</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>What whoever saved it wants to find again.</summary>
    public required IReadOnlyList<SavedFact> Facts { get; init; }

    /// <summary>Which clock it has.</summary>
    public required ClockKind Clock { get; init; }

    /// <summary>The date at its start, if it was stated.</summary>
    public required DateTimeOffset? Date { get; init; }

    /// <summary>Its number among the guests it shares a network with.</summary>
    public required ushort GuestId { get; init; }

    /// <summary>The processor, in the layout of the build that saved it.</summary>
    public required byte[] Processor { get; init; }

    /// <summary>The host layer.</summary>
    public required GuestState Host { get; init; }

    /// <summary>The devices, in the guest's order.</summary>
    public required IReadOnlyList<SavedDevice> Devices { get; init; }

    /// <summary>RAM, in the order of the file.</summary>
    public required IReadOnlyList<SavedRegion> Regions { get; init; }
}

/// <summary>A device.</summary>
/// <param name="Kind">What the guest takes it for.</param>
/// <param name="State">What it has said of itself.</param>
internal sealed record SavedDevice(string Kind, string State);

/// <summary>A region of RAM. In the file they follow each other.</summary>
/// <param name="Address">Physical.</param>
/// <param name="Length">Bytes: whole pages.</param>
/// <param name="Hash">See <see cref="SavedStateWriter.Hash(ulong, SavedStateWriter.PieceReader)"/>.</param>
internal sealed record SavedRegion(ulong Address, ulong Length, string Hash);

/// <summary>Writes descriptions as text, to compare them.</summary>
[JsonSerializable(typeof(SavedStateDescription))]
internal sealed partial class SavedStateJson : JsonSerializerContext;
