using Lguest.Suites.Output;
using Lguest.Suites.Results;

namespace Lguest.Suites.Merging;

/// <summary>Makes one result of the shards of a suite: the same that the suite would have had in one piece, times aside.</summary>
public static class SuiteMerger
{
    /// <summary>Merges them. All that can be wrong is found out before anything is written.</summary>
    /// <param name="folders">The shards' folders of results, in any order.</param>
    /// <param name="output">The folder for all of it.</param>
    /// <returns>The results, which are written as interrupted until now, and the folder, with the boots' files in it, which is the caller's to give back.</returns>
    /// <exception cref="SuiteException">A shard is missing, double, of another suite, or not whole.</exception>
    /// <exception cref="Lguest.Results.Reports.ReportException">Results can't be written.</exception>
    public static (SuiteResult Result, ResultsFolder Folder) Merge(IReadOnlyList<string> folders, string output)
    {
        Shard[] shards = [.. folders.Select(folder => Read(folder, output))];
        foreach (Shard shard in shards)
        {
            CheckSame(shards[0], shard);
        }

        CheckAllThere(shards);
        SuiteResult first = shards[0].Result;
        Dictionary<string, BootResult> boots = CollectBoots(shards);
        Shard? ended = Array.Find(shards, shard => shard.Result.Interrupted is not null);
        SuiteResult merged = first with
        {
            Shard = null,
            Started = shards.Min(shard => shard.Result.Started),
            WallSeconds = shards.Max(shard => shard.Result.WallSeconds),
            Jobs = shards.Sum(shard => shard.Result.Jobs),
            Interrupted = ended is null ? null : $"{ended.Result.Interrupted}, in shard {ended.Result.Shard}",
            Boots = [.. first.Plan.Select(name => boots[name])],
        };
        var folderOfAll = ResultsFolder.Take(output);
        try
        {
            // Who kills lguest finds a folder that is known to be ours, and not whole.
            ResultsFile.Write(folderOfAll.FullPath, merged with { Interrupted = "lguest was killed while it merged, or runs still" });
            CopyRuns(shards, folderOfAll.FullPath);
            return (merged, folderOfAll);
        }
        catch
        {
            folderOfAll.Dispose();
            throw;
        }
    }

    private static Shard Read(string folder, string output)
    {
        string path = Path.GetFullPath(folder);
        string target = Path.GetFullPath(output);
        if (path == target || $"{path}/".StartsWith($"{Path.Combine(target, BootFiles.Runs)}/", StringComparison.Ordinal))
        {
            throw new SuiteException($"'{folder}' is both a shard and where all of it is to go: name another folder with --out=DIR");
        }

        SuiteResult result = ResultsFile.Read(Path.Combine(path, ResultsFile.Name));
        return result.Shard is null
            ? throw new SuiteException($"'{folder}' has a whole suite in it, and no shard: there is nothing to merge")
            : new Shard(folder, path, result);
    }

    private static void CheckSame(Shard first, Shard other)
    {
        string? difference = (first.Result, other.Result) switch
        {
            ({ } one, { } two) when one.SuiteSha256 != two.SuiteSha256 || one.Name != two.Name => "their suites' files differ",
            ({ } one, { } two) when !one.Plan.SequenceEqual(two.Plan, StringComparer.Ordinal) => "they were run with different filters",
            ({ } one, { } two) when !one.InputSha256.SequenceEqual(two.InputSha256, StringComparer.Ordinal) => "their kernels or initial RAM disks differ",
            ({ Shard: { } one }, { Shard: { } two }) when one.Of != two.Of => $"one is of {one.Of}, and the other of {two.Of}",
            _ => null,
        };
        if (difference is not null)
        {
            throw new SuiteException($"'{first.Folder}' and '{other.Folder}' are no shards of one suite: {difference}");
        }
    }

    private static void CheckAllThere(Shard[] shards)
    {
        foreach (IGrouping<int, Shard> same in shards.GroupBy(shard => shard.Result.Shard!.Index))
        {
            if (same.Count() > 1)
            {
                throw new SuiteException($"'{same.First().Folder}' and '{same.Last().Folder}' are both shard {same.First().Result.Shard}: leave one out");
            }
        }

        int of = shards[0].Result.Shard!.Of;
        int[] missing = [.. Enumerable.Range(1, of).Except(shards.Select(shard => shard.Result.Shard!.Index))];
        if (missing.Length > 0)
        {
            throw new SuiteException($"of {of} shards, these are missing: {string.Join(", ", missing)}");
        }
    }

    /// <summary>The boots of all shards, by name. Shards that were balanced by different durations may have one twice, or not at all.</summary>
    private static Dictionary<string, BootResult> CollectBoots(Shard[] shards)
    {
        var boots = new Dictionary<string, BootResult>(StringComparer.Ordinal);
        foreach (Shard shard in shards)
        {
            foreach (BootResult boot in shard.Result.Boots)
            {
                if (!shard.Result.Plan.Contains(boot.Name, StringComparer.Ordinal) || BootFiles.LeadsOut(boot.Name))
                {
                    throw new SuiteException($"'{shard.Folder}' has a boot that isn't in its plan: it wasn't made by lguest");
                }

                if (!boots.TryAdd(boot.Name, boot))
                {
                    throw new SuiteException($"{boot.Name} is in two shards: give each the same --durations, or none");
                }

                if (boot.Attempts.FirstOrDefault(attempt => !Directory.Exists(FilesOf(shard, boot, attempt))) is { } lost)
                {
                    throw new SuiteException($"'{shard.Folder}' isn't whole: {BootFiles.Runs}/{boot.Name}/{lost.Number} is missing");
                }
            }
        }

        string? nowhere = shards[0].Result.Plan.FirstOrDefault(name => !boots.ContainsKey(name));
        return nowhere is null ? boots : throw new SuiteException($"{nowhere} is in no shard: give each the same --durations, or none");
    }

    private static string FilesOf(Shard shard, BootResult boot, AttemptResult attempt) => BootFiles.Of(shard.Path, boot.Name, attempt.Number).Folder;

    private static void CopyRuns(Shard[] shards, string output)
    {
        try
        {
            foreach (Shard shard in shards)
            {
                foreach (BootResult boot in shard.Result.Boots)
                {
                    foreach (AttemptResult attempt in boot.Attempts)
                    {
                        Copy(new DirectoryInfo(FilesOf(shard, boot, attempt)), BootFiles.Of(output, boot.Name, attempt.Number).Folder);
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SuiteException($"the shards' files can't be copied: {e.Message.TrimEnd('.')}", e);
        }
    }

    private static void Copy(DirectoryInfo from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (FileSystemInfo entry in from.EnumerateFileSystemInfos())
        {
            string target = Path.Combine(to, entry.Name);
            if (entry.LinkTarget is { } link)
            {
                File.CreateSymbolicLink(target, link);
            }
            else if (entry is DirectoryInfo folder)
            {
                Copy(folder, target);
            }
            else
            {
                File.Copy(entry.FullName, target);
            }
        }
    }

    /// <summary>A shard.</summary>
    /// <param name="Folder">Its folder, as the user named it.</param>
    /// <param name="Path">The same as an absolute path.</param>
    /// <param name="Result">What became of it.</param>
    private sealed record Shard(string Folder, string Path, SuiteResult Result);
}
