using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lguest.Results.Reports;

/// <summary>The report for programs.</summary>
public static class JsonReport
{
    /// <summary>Writes it, in UTF-8.</summary>
    public static void Write(Stream stream, RunReport report)
    {
        JsonSerializer.Serialize(stream, report, ReportJsonContext.Default.RunReport);
        stream.WriteByte((byte)'\n');
    }

    /// <summary>Reads one that was written.</summary>
    /// <exception cref="JsonException">It isn't one.</exception>
    public static RunReport Read(Stream stream) =>
        JsonSerializer.Deserialize(stream, ReportJsonContext.Default.RunReport) ?? throw new JsonException("There is no report.");
}

/// <summary>Serialises without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(RunReport))]
internal sealed partial class ReportJsonContext : JsonSerializerContext;
