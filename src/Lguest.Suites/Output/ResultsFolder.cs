using Lguest.Suites.Results;
using Lguest.Suites.Running;

namespace Lguest.Suites.Output;

/// <summary>The folder that a suite's results go to, for nobody else until this is disposed of.</summary>
public sealed class ResultsFolder : IDisposable
{
    private const string LockName = ".lguest-lock";

    private readonly FileStream _lock;

    private ResultsFolder(string path, FileStream held)
    {
        FullPath = path;
        _lock = held;
    }

    /// <summary>Where it is, as an absolute path.</summary>
    public string FullPath { get; }

    /// <summary>Makes it, without what an earlier suite has left in it. What else is in it stays.</summary>
    /// <param name="path">Where.</param>
    /// <exception cref="SuiteException">It can't be made, has runs in it that aren't known to be a suite's, or is another's just now.</exception>
    public static ResultsFolder Take(string path)
    {
        string folder = Path.GetFullPath(path);
        FileStream? held = null;
        try
        {
            Directory.CreateDirectory(folder);
            held = Lock(path, Path.Combine(folder, LockName));
            Clear(path, folder);
            return new ResultsFolder(folder, held);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SuiteException)
        {
            held?.Dispose();
            throw e as SuiteException ?? new SuiteException($"results can't be written to '{path}': {e.Message.TrimEnd('.')}", e);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _lock.Dispose();

    /// <summary>The host forgets it when this process ends, however it does.</summary>
    private static FileStream Lock(string path, string file)
    {
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose);
        }
        catch (IOException e) when (File.Exists(file))
        {
            throw new SuiteException($"another suite is writing its results to '{path}': wait for its end, or name another folder with --out=DIR", e);
        }
    }

    private static void Clear(string path, string folder)
    {
        string runs = Path.Combine(folder, BootFiles.Runs);
        string results = Path.Combine(folder, ResultsFile.Name);
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
