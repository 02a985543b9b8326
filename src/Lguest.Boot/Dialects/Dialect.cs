using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Host.Abi;

namespace Lguest.Boot.Dialects;

/// <summary>What kind of guest a kernel is, and how that was found out.</summary>
/// <param name="Abi">What it expects of its host.</param>
/// <param name="Evidence">What in its image says so, to end a sentence with.</param>
public sealed record Dialect(GuestAbi Abi, string Evidence)
{
    /// <summary>The owner of the note by which a kernel at ring 0 says that it is an lguest guest (docs/guest.md).</summary>
    private const string NoteOwner = "lguest";

    /// <summary>The note's type: its descriptor is the version of the interface.</summary>
    private const uint NoteInterface = 1;

    /// <summary>The newest version that is known.</summary>
    private const uint NewestInterface = 1;

    /// <summary>Finds out from a kernel's image what kind of guest it is.</summary>
    /// <exception cref="BootException">It is none that lguest can run.</exception>
    public static Dialect Detect(KernelImage kernel) =>
        ByNote(kernel) ?? BySignature(kernel) ?? ByRelease(kernel) ?? new Dialect(KnownAbis.RingZero, "it says nothing of lguest");

    private static Dialect? ByNote(KernelImage kernel)
    {
        KernelNote? note = kernel.Notes.FirstOrDefault(each => each is { Name: NoteOwner, Type: NoteInterface, Number: not null });
        if (note is null)
        {
            return null;
        }

        return note.Number <= NewestInterface
            ? new Dialect(KnownAbis.RingZero, "it has lguest's note")
            : throw new BootException(
                $"{kernel.Description} needs version {note.Number} of lguest's interface, and this lguest knows up to {NewestInterface}: get a newer lguest");
    }

    private static Dialect? BySignature(KernelImage kernel) =>
        kernel.SignedEntries.Count > 0 ? new Dialect(KnownAbis.Linux2623, "it has the signature GenuineLguest") : null;

    // Later kernels of mainline that were guests of their own release's lguest.
    private static Dialect? ByRelease(KernelImage kernel)
    {
        if (kernel.Release is not { } release || LaterDialect.Of(release) is not { } later || LaterDialect.Claim(kernel) is not { } claim)
        {
            return null;
        }

        return later.PaeAbi is { } pae && LaterDialect.HasPae(kernel)
            ? new Dialect(pae, $"it is Linux {release} with page tables of three levels, and {claim}")
            : new Dialect(later.Abi, $"it is Linux {release}, and {claim}");
    }
}
