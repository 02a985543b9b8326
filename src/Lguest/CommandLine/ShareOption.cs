namespace Lguest.CommandLine;

/// <summary>A folder of the host's whose contents the guest gets: <c>--share=DIR[:MOUNT]</c>.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Mount">Where the guest has it, an absolute path.</param>
internal sealed record ShareOption(string Folder, string Mount)
{
    private const string UsualMount = "/share";

    /// <summary>Reads one.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static ShareOption Parse(string value)
    {
        int colon = value.LastIndexOf(':');
        string folder = colon < 0 ? value : value[..colon];
        string mount = colon < 0 ? UsualMount : value[(colon + 1)..];
        string[] parts = mount.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return folder.Length > 0 && mount.StartsWith('/') && parts.Length > 0 && !parts.Any(part => part is "." or "..")
            ? new ShareOption(folder, mount)
            : throw new CommandLineException($"--share={value} is not a folder and where the guest is to have it: write --share=DIR or --share=DIR:/mnt/dir");
    }
}
