using Lguest.Devices.Backends;
using Lguest.Host.Saving;

namespace Lguest.Running;

/// <summary>What a process that runs one guest after another keeps between two of them. Nothing of it is a guest's.</summary>
/// <param name="isOne">Whether there is only one run.</param>
internal sealed class BetweenRuns(bool isOne) : IDisposable
{
    private KeptProcessor? _processor;
    private FileVersion? _version;

    /// <summary>What was made of files.</summary>
    public KnownFiles Files { get; } = new();

    /// <summary>Whether the runtime has been seen to get the threads that it may want for a guest.</summary>
    public bool HasThreads { get; set; }

    /// <summary>What keeps the processor of guests that go on from a saved state: of the last such state, as each takes memory.</summary>
    /// <param name="version">The saved state's file; null if nothing is known of it.</param>
    /// <returns>Null if nothing is to be kept.</returns>
    public KeptProcessor? ProcessorFor(FileVersion? version)
    {
        if (isOne || version is null)
        {
            return null;
        }

        if (version != _version)
        {
            _processor?.Dispose();
            _processor = new KeptProcessor();
            _version = version;
        }

        return _processor;
    }

    /// <inheritdoc />
    public void Dispose() => _processor?.Dispose();
}
