using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lguest.Results.Reports;

namespace Lguest.Suites.Results;

/// <summary>The results for programs.</summary>
public static class ResultsFile
{
    /// <summary>What it is called in a folder of results.</summary>
    public const string Name = "results.json";

    /// <summary>Writes it.</summary>
    /// <exception cref="ReportException">It can't be written.</exception>
    public static void Write(string folder, SuiteResult result) => WholeFile.At(Path.Combine(folder, Name)).Write(stream =>
    {
        JsonSerializer.Serialize(stream, result, ResultsJsonContext.Default.SuiteResult);
        stream.WriteByte((byte)'\n');
    });

    /// <summary>Reads one.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="SuiteException">It isn't one.</exception>
    public static SuiteResult Read(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            SuiteResult result = JsonSerializer.Deserialize(stream, ResultsJsonContext.Default.SuiteResult) ?? throw new JsonException("it is empty");
            if (!IsWhole(result))
            {
                throw new JsonException("something is missing");
            }

            return result.Schema == SuiteResult.CurrentSchema
                ? result
                : throw new SuiteException($"'{path}' has results of form {result.Schema}, and this lguest reads form {SuiteResult.CurrentSchema}");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SuiteException($"there is no '{path}': name a folder that `lguest suite run --out=DIR` has written", e);
        }
        catch (JsonException e)
        {
            // The library's own words name types of the program's.
            string what = e.LineNumber is { } line
                ? string.Create(CultureInfo.InvariantCulture, $"something is missing or wrong in line {line + 1}, byte {(e.BytePositionInLine ?? 0) + 1}")
                : "something is missing";
            throw new SuiteException($"'{path}' has no results of a suite in it: {what}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SuiteException($"'{path}' can't be read: {e.Message.TrimEnd('.')}", e);
        }
    }

    // What isn't in the file is null, whatever the declarations say.
    private static bool IsWhole(SuiteResult result) =>
        result is { Name: not null, SuiteSha256: not null, Plan: not null, InputSha256: not null, Boots: not null }
        && (result.Shard is not { } shard || (shard.Index > 0 && shard.Index <= shard.Of))
        && HasAll(result.Plan)
        && HasAll(result.InputSha256)
        && result.Boots.All(IsWhole);

    private static bool IsWhole(BootResult boot) =>
        boot is { Name: not null, Test: not null, Matrix: not null, Sentence: not null, Fingerprints: not null, Known: not null, Attempts: not null }
        && boot.Matrix.All(choice => choice is { Axis: not null, Value: not null })
        && HasAll(boot.Fingerprints)
        && boot.Known.All(known => known is { Fingerprint: not null, Issue: not null })
        && boot.Attempts.All(attempt => attempt is { Number: > 0, Sentence: not null, Fingerprints: not null, Tests: not null } && HasAll(attempt.Fingerprints));

    private static bool HasAll(IReadOnlyList<string> texts) => texts.All(text => text is not null);
}

/// <summary>Serialises without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(SuiteResult))]
internal sealed partial class ResultsJsonContext : JsonSerializerContext;
