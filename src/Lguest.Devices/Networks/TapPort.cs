using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Devices.Networks.Segments;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Networks;

/// <summary>
/// The cable to an interface of the host's. While nobody takes frames, no more than so many are read: the rest wait in the
/// host's own queue, whose overflow makes senders slow down.
/// </summary>
/// <remarks>
/// The host's TCP leaves it to us to split what it sends, and so does the guest to the host. So a guest that takes long
/// segments exchanges those with the host; for one that doesn't, they are split on the way.
/// </remarks>
[SupportedOSPlatform("linux")]
public sealed unsafe class TapPort : IPacketPort
{
    private const int Forever = -1;

    private readonly TapInterface _tap;
    private readonly ILogger _logger;
    private readonly FrameQueue _frames = new(FrameQueue.UsualSize);
    private readonly WakeUp _wakeUp = new();
    private Thread? _thread;
    private Action? _attention;
    private volatile bool _isClosing;

    // Only the thread that receives looks.
    private bool _isLost;

    private TapPort(string name, TapInterface tap, ILogger logger)
    {
        Name = name;
        _tap = tap;
        _logger = logger;
    }

    /// <inheritdoc />
    public string Name { get; }

    /// <inheritdoc />
    public ReadOnlySpan<byte> HostAddress => _tap.HardwareAddress;

    /// <summary>What the host calls the interface.</summary>
    public string InterfaceName => _tap.Name;

    /// <summary>A number that no other guest on this host's interfaces has at the same time; not 0.</summary>
    public int Number => _tap.Index;

    /// <summary>Makes an interface of the host's with an address.</summary>
    /// <param name="address">The host's own in the network.</param>
    /// <param name="logger">Hears if the interface is taken away.</param>
    /// <exception cref="BackendException">The host has no taps, the user may not make one, or the address is taken.</exception>
    public static TapPort WithAddress(HostNetworkAddress address, ILogger logger) =>
        new($"tunnet {address}", TapInterface.WithAddress(address), logger);

    /// <summary>Makes an interface of the host's in a bridge.</summary>
    /// <param name="bridge">The bridge's name.</param>
    /// <param name="logger">Hears if the interface is taken away.</param>
    /// <exception cref="BackendException">The host has no taps, the user may not make one, or there is no such bridge.</exception>
    public static TapPort InBridge(string bridge, ILogger logger) =>
        new($"tunnet bridge:{bridge}", TapInterface.InBridge(bridge), logger);

    /// <inheritdoc />
    public void Start(Action attention)
    {
        _attention = attention;
        _thread = new Thread(Receive) { IsBackground = true, Name = Name };
        _thread.Start();
    }

    /// <inheritdoc />
    public bool Send(Span<byte> frame, int largest)
    {
        OffloadHeader header = default;
        if (largest > 0 && !OffloadHeader.TryDescribe(frame, largest, out header))
        {
            return false;
        }

        return Transfer(&header, frame, isWrite: true) == frame.Length;
    }

    /// <inheritdoc />
    public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest) => _frames.TryPeek(out frame, out largest);

    /// <inheritdoc />
    public void Remove()
    {
        _frames.Remove();
        if (_frames.IsNearlyEmpty)
        {
            _wakeUp.Set();
        }
    }

    /// <summary>Takes the interface away.</summary>
    public void Dispose()
    {
        _isClosing = true;
        _wakeUp.Set();
        _thread?.Join();
        _tap.Dispose();
        _wakeUp.Dispose();
    }

    /// <summary>Reads or writes a frame and what is before it.</summary>
    /// <returns>Bytes of the frame; less than 0 is an error.</returns>
    private int Transfer(OffloadHeader* header, Span<byte> frame, bool isWrite)
    {
        fixed (byte* bytes = frame)
        {
            var vectors = stackalloc SystemCalls.MemoryVector[2];
            vectors[0] = new SystemCalls.MemoryVector { Start = (byte*)header, Length = sizeof(OffloadHeader) };
            vectors[1] = new SystemCalls.MemoryVector { Start = bytes, Length = frame.Length };
            nint length = isWrite
                ? SystemCalls.WriteVector(_tap.Descriptor, vectors, 2)
                : SystemCalls.ReadVector(_tap.Descriptor, vectors, 2);
            return (int)length - sizeof(OffloadHeader);
        }
    }

    /// <summary>Finishes a frame that the host sends, but for one that is to be split.</summary>
    /// <returns>The payload of each frame it is to be split into, or 0.</returns>
    private static int Finish(Span<byte> frame, OffloadHeader header)
    {
        if (header.Kind != 0)
        {
            return header.Largest;
        }

        header.TryFinish(frame);
        return 0;
    }

    private void Receive()
    {
        while (!_isClosing)
        {
            if (ReadAll())
            {
                _attention?.Invoke();
            }

            Wait();
        }
    }

    /// <summary>Reads the frames that have arrived, as far as there is room; false when there was none.</summary>
    private bool ReadAll()
    {
        bool hasAny = false;
        while (_frames.HasRoom && !_isLost)
        {
            OffloadHeader header;
            Span<byte> buffer = _frames.NextBuffer;
            int length = Transfer(&header, buffer, isWrite: false);
            if (length >= 0)
            {
                // One that is too long is cut off by a byte more than the longest has, and so can be told.
                _frames.Add(length, Finish(buffer[..length], header));
                hasAny = true;
            }
            else if (!MayGoOn(Marshal.GetLastPInvokeError()))
            {
                break;
            }
        }

        return hasAny;
    }

    /// <summary>Whether to read again at once after an error. An interface that somebody has deleted never comes back.</summary>
    private bool MayGoOn(int error)
    {
        if (error is not SystemCalls.Eagain and not SystemCalls.Eintr)
        {
            _isLost = true;
            BackendLog.InterfaceLost(_logger, _tap.Name, Name, Marshal.GetPInvokeErrorMessage(error));
        }

        return error == SystemCalls.Eintr;
    }

    /// <summary>Waits for frames, or, when there is no room for any, until the queue is nearly empty.</summary>
    private void Wait()
    {
        PollDescriptor* descriptors = stackalloc PollDescriptor[2];
        descriptors[0] = new PollDescriptor { Descriptor = _wakeUp.Descriptor, Events = SystemCalls.PollIn };
        descriptors[1] = new PollDescriptor { Descriptor = _tap.Descriptor, Events = SystemCalls.PollIn };
        _wakeUp.Expect();
        bool hasRoom = _frames.HasRoom;
        if (!_isClosing && (hasRoom || !_frames.IsNearlyEmpty))
        {
            _ = SystemCalls.Poll(descriptors, hasRoom && !_isLost ? 2u : 1, Forever);
        }

        _wakeUp.Clear(descriptors[0].Returned);
    }
}
