using Lguest.Devices.Backends;
using Lguest.Insight.Symbols;

namespace Lguest.Running.Watching;

/// <summary>The symbols of the guest's kernel: of the image itself, or of the System.map beside it.</summary>
/// <param name="kernel">The image's path.</param>
/// <param name="files">Knows those of images that were read before.</param>
internal sealed class KernelSymbols(string kernel, KnownFiles files)
{
    private const string MapName = "System.map";

    // A bzImage is in arch/x86/boot (or arch/i386/boot) of the folder that it was built in.
    private static readonly string[] MapPlaces = [MapName, $"../../../{MapName}"];

    private bool _read;

    /// <summary>They are read when somebody wants them: that takes a while. Null if there are none.</summary>
    public SymbolTable? Table
    {
        get
        {
            if (!_read)
            {
                _read = true;
                field = Read();
            }

            return field;
        }
    }

    private SymbolTable? Read()
    {
        try
        {
            // What can be read only once has been: a pipe.
            if (!HostFile.CanBeReadAgain(kernel))
            {
                return null;
            }

            return files.Of(kernel, image => ElfSymbolFile.Read(image, kernel));
        }
        catch (Exception e) when (e is SymbolException or IOException or UnauthorizedAccessException)
        {
            return ReadMap();
        }
    }

    private SymbolTable? ReadMap()
    {
        string folder = Path.GetDirectoryName(kernel) ?? "/";
        foreach (string place in MapPlaces)
        {
            try
            {
                using var map = new StreamReader(HostFile.OpenForReading(Path.Combine(folder, place)));
                return SystemMapFile.Read(map, place);
            }
            catch (Exception e) when (e is SymbolException or IOException or UnauthorizedAccessException)
            {
                // The next place may have it.
            }
        }

        return null;
    }
}
