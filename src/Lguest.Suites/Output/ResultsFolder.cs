using Lguest.Suites.Results;
using Lguest.Suites.Running;

namespace Lguest.Suites.Output;

/// <summary>The folder that a suite's results go to.</summary>
public static class ResultsFolder
{
    /// <summary>Makes it, without what an earlier suite has left in it. What else is in it stays.</summary>
    /// <param name="path">Where.</param>
    /// <returns>The same as an absolute path.</returns>
    /// <exception cref="SuiteException">It can't be made, or has runs in it that aren't known to be a suite's.</exception>
    public static string Prepare(string path)
    {
        string folder = Path.GetFullPath(path);
        string runs = Path.Combine(folder, BootFiles.Runs);
        string results = Path.Combine(folder, ResultsFile.Name);
        try
        {
            Directory.CreateDirectory(folder);
            if (Directory.Exists(runs))
            {
                // Nothing is deleted that may be somebody's.
                if (!IsOurs(results))
                {
                    throw new SuiteException($"'{path}' has a folder '{BootFiles.Runs}' that no suite has made: name another with --out=DIR");
                }

                Directory.Delete(runs, recursive: true);
            }

            if (IsOurs(results))
            {
                string saved = Path.Combine(folder, SavedBoots.Folder);
                if (Directory.Exists(saved))
                {
                    Directory.Delete(saved, recursive: true);
                }

                Array.ForEach([ResultsFile.Name, ResultPages.JUnit, ResultPages.Page, ResultPages.Summary], name => File.Delete(Path.Combine(folder, name)));
            }

            Directory.CreateDirectory(runs);
            return folder;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SuiteException($"results can't be written to '{path}': {e.Message.TrimEnd('.')}", e);
        }
    }

    private static bool IsOurs(string results)
    {
        try
        {
            _ = ResultsFile.Read(results);
            return true;
        }
        catch (SuiteException)
        {
            return false;
        }
    }
}
