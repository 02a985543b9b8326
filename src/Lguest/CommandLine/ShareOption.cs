namespace Lguest.CommandLine;

/// <summary>A folder of the host's whose contents the guest gets: <c>--share=DIR[:MOUNT][,rw[=SIZE]]</c>.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Mount">Where the guest has it, an absolute path.</param>
/// <param name="Returned">The most bytes that come back from the guest at the end; null for none at all.</param>
internal sealed record ShareOption(string Folder, string Mount, ulong? Returned = null)
{
    private const string UsualMount = "/share";
    private const ulong UsualRoom = 64 << 20;
    private const string ReturnedWord = "rw";
    private const string RoomWord = "rw=";

    /// <summary>Reads one.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static ShareOption Parse(string value)
    {
        IReadOnlyList<string> words = CommaParts.Split(value);
        string place = words[0];
        int colon = place.LastIndexOf(':');
        string folder = colon < 0 ? place : place[..colon];
        string mount = colon < 0 ? UsualMount : place[(colon + 1)..];
        string[] parts = mount.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (folder.Length == 0 || !mount.StartsWith('/') || parts.Length == 0 || parts.Any(part => part is "." or ".."))
        {
            throw new CommandLineException($"--share={value} is not a folder and where the guest is to have it: write --share=DIR or --share=DIR:/mnt/dir");
        }

        return words switch
        {
            [_] => new ShareOption(folder, mount),
            [_, ReturnedWord] => new ShareOption(folder, mount, UsualRoom),
            [_, string word] when word.StartsWith(RoomWord, StringComparison.Ordinal) => new ShareOption(folder, mount, OptionValues.Memory(word[RoomWord.Length..])),
            _ => throw new CommandLineException(
                $"--share={value}: '{words[1]}' is nothing that a share can be: write {ReturnedWord}, or {RoomWord}256m, or double the commas that are in the folder's name"),
        };
    }
}
