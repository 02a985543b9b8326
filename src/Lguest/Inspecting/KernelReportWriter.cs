using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Host.Abi;

namespace Lguest.Inspecting;

/// <summary>A kernel's report as it is printed.</summary>
internal static class KernelReportWriter
{
    private const int LabelWidth = 15;
    private const string Unknown = "not known: it has neither its configuration nor symbols in it";

    // Nothing here goes into a web page, so quotes and plus signs may stay as they are.
    private static readonly KernelReportContext Readable =
        new(new JsonSerializerOptions(KernelReportContext.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>For programs.</summary>
    public static string Json(KernelReport report) => JsonSerializer.Serialize(report, Readable.KernelReport) + "\n";

    /// <summary>For people: a line for each thing.</summary>
    public static string Text(KernelReport report)
    {
        var text = new StringBuilder();
        foreach ((string label, string? value) in Lines(report))
        {
            if (value is not null)
            {
                text.Append(CultureInfo.InvariantCulture, $"{(label + ":").PadRight(LabelWidth)} {value}\n");
            }
        }

        return text.ToString();
    }

    private static IEnumerable<(string Label, string? Value)> Lines(KernelReport report)
    {
        yield return ("kernel", report.File);
        yield return ("what it is", What(report));
        yield return ("banner", report.Banner ?? "none");
        yield return ("runs as", report.Refusal is null ? $"{report.Dialect}: {report.Evidence}" : $"nothing: {report.Refusal}");
        yield return ("entered", Entered(report));
        yield return ("linked for", Invariant(
            $"0x{report.Start:x} to 0x{report.End:x}{(report.LowestStart < report.Start ? $", or from 0x{report.LowestStart:x} on" : string.Empty)}"));
        yield return ("memory", Memory(report));
        yield return ("command line", Invariant($"at most {report.MostCommandLine} bytes"));
        yield return ("drivers", Drivers(report));
        yield return ("initrd", report.InitrdCompressions is { } compressions
            ? string.Join(", ", compressions.Append("or not compressed"))
            : Unknown);
        yield return ("configuration", report.ConfigurationSymbols is { } set ? Invariant($"{set} symbols set, in the kernel (CONFIG_IKCONFIG)") : "not in it");
        yield return ("symbols", report.Symbols is { } count ? Invariant($"{count}") : "none");
    }

    private static string What(KernelReport report)
    {
        string kind = report.Format == KernelFormat.Elf ? "a vmlinux (ELF)" : $"a bzImage of boot protocol {report.BootProtocol}, {report.Compression}";
        string release = report.Release is null ? "of an unknown release of Linux" : $"of Linux {report.Release}";
        return Invariant($"{kind}, {release}, {report.Bytes} bytes{(report.Compression is null ? string.Empty : " unpacked")}");
    }

    private static string? Entered(KernelReport report) => report.Entry is { } entry
        ? report.EnteredBy switch
        {
            BootMethod.LguestSignature => Invariant($"at 0x{entry:x8} with paging on, physical memory at 0x{report.PageOffset:x8}"),
            BootMethod.Subarchitecture => Invariant($"at 0x{entry:x8} with paging on, physical memory where it is"),
            BootMethod.UnpagedSubarchitecture => Invariant($"at 0x{entry:x8} at ring 1 with paging off"),
            _ => Invariant($"at physical address 0x{entry:x8} by Linux's 32-bit boot protocol"),
        }
        : null;

    private static string? Memory(KernelReport report) => report.LeastMemory is { } least
        ? $"at least {MemorySize.Format(least)}"
            + (report.MostMemory is { } most ? $", at most {MemorySize.Format(most)}" : "; what it can't use, it leaves alone")
        : null;

    private static string Drivers(KernelReport report) => report.Drivers.Values.All(value => value is null)
        ? Unknown
        : string.Join(", ", report.Drivers.Select(driver => $"{driver.Key}: {driver.Value}"));

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Serialises without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(KernelReport))]
internal sealed partial class KernelReportContext : JsonSerializerContext;
