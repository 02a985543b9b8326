using System.Runtime.Versioning;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Networks;

/// <summary>
/// How a thread that waits in poll(2) is woken by another: an eventfd. A thread that doesn't wait costs the other no system
/// call.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class WakeUp : IDisposable
{
    private int _isExpected;

    /// <summary>Makes one.</summary>
    /// <exception cref="BackendException">The host has no more descriptors.</exception>
    public WakeUp()
    {
        Descriptor = SystemCalls.EventDescriptor(0, SystemCalls.OpenCloseOnExec | SystemCalls.OpenNonBlocking);
        if (Descriptor < 0)
        {
            throw new BackendException($"the network cannot be set up ({SystemCalls.LastError()}): close other programs");
        }
    }

    /// <summary>Can be read when the thread is to wake up.</summary>
    public int Descriptor { get; }

    /// <summary>Says that this thread is about to wait. It looks once more whether there is anything to do, and then waits.</summary>
    public void Expect() => Interlocked.Exchange(ref _isExpected, 1);

    /// <summary>Says that this thread has woken up, or doesn't wait after all.</summary>
    /// <param name="returned">What poll(2) said of <see cref="Descriptor"/>; 0 when it wasn't called.</param>
    public void Clear(short returned)
    {
        Volatile.Write(ref _isExpected, 0);
        if (returned != 0)
        {
            ulong count;
            _ = SystemCalls.Read(Descriptor, (byte*)&count, sizeof(ulong));
        }
    }

    /// <summary>Wakes the thread if it waits or is about to, because of something that has just been done.</summary>
    public void Set()
    {
        // What was done comes before the look, as the other thread's saying so comes before its own.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _isExpected) != 0 && Interlocked.Exchange(ref _isExpected, 0) != 0)
        {
            ulong one = 1;
            _ = SystemCalls.Write(Descriptor, (byte*)&one, sizeof(ulong));
        }
    }

    /// <inheritdoc />
    public void Dispose() => _ = SystemCalls.Close(Descriptor);
}
