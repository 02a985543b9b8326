namespace Lguest.Running.Saving;

/// <summary>What is known of the memory in a saved guest's file, which is the same for all who go on from it.</summary>
internal sealed class SavedPages
{
    private byte[]?[] _hashes = [];

    /// <summary>Whether all of it has been found to be what was written.</summary>
    public bool AreVerified { get; set; }

    /// <summary>What is known by a page's number: its hash; null if it isn't known.</summary>
    public byte[]? Hash(uint page) => page < _hashes.Length ? _hashes[page] : null;

    /// <summary>Keeps it.</summary>
    public void Keep(uint page, byte[] hash)
    {
        if (page >= _hashes.Length)
        {
            Array.Resize(ref _hashes, Math.Max((int)page + 1, 2 * _hashes.Length));
        }

        _hashes[page] = hash;
    }
}
