using Lguest.Boot;
using Lguest.Devices.Backends;

namespace Lguest.CommandLine;

/// <summary>The process's arguments, byte for byte.</summary>
internal static class RawArguments
{
    private const string CommandLine = "/proc/self/cmdline";
    private const char NotText = '\ufffd';

    /// <summary>Arguments in which bytes that aren't UTF-8 are kept (<see cref="ByteText"/>).</summary>
    /// <param name="arguments">As the framework gives them: all such bytes look alike.</param>
    public static string[] Restore(string[] arguments)
    {
        if (!OperatingSystem.IsLinux() || !Array.Exists(arguments, argument => argument.Contains(NotText, StringComparison.Ordinal)))
        {
            return arguments;
        }

        try
        {
            using Stream stream = HostFile.OpenForReading(CommandLine);
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            return Last(bytes.ToArray(), arguments.Length) ?? arguments;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return arguments;
        }
    }

    /// <summary>The last of the words, each of which ends with a NUL. Before them is the program, in one word or two.</summary>
    private static string[]? Last(byte[] bytes, int count)
    {
        string[] words = [.. Words(bytes)];
        return words.Length > count ? words[^count..] : null;
    }

    private static IEnumerable<string> Words(byte[] bytes)
    {
        for (int start = 0, end; start < bytes.Length; start = end + 1)
        {
            end = Array.IndexOf(bytes, (byte)0, start);
            end = end < 0 ? bytes.Length : end;
            yield return ByteText.Decode(bytes.AsSpan(start, end - start));
        }
    }
}
