using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Devices.Networks.Segments;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Networks;

/// <summary>
/// A network of this process's own, which needs no privileges: libslirp is the other end of the cable. It answers DHCP and DNS,
/// and makes connections of the guest's connections of this process.
/// </summary>
/// <remarks>
/// One thread uses libslirp, and owns it from <see cref="Start"/> on. While the guest takes no frames it stops looking at
/// sockets, so that whoever is at their other ends slows down. There is IPv4 only.
/// </remarks>
[SupportedOSPlatform("linux")]
public sealed unsafe class UserNetworkPort : IPacketPort
{
    private const int Forever = -1;

    private readonly UserNetworkOptions _options;
    private readonly ILogger _logger;
    private readonly byte[] _hostAddress = [0x52, 0x55, 0, 0, 0, 0];
    private readonly FrameQueue _toGuest = new(FrameQueue.UsualSize);
    private readonly FrameQueue _toHost = new(FrameQueue.UsualSize);
    private readonly WakeUp _wakeUp = new();
    private readonly SlirpCallbacks* _callbacks;
    private GCHandle _self;
    private nint _stack;
    private Thread? _thread;
    private Action? _attention;
    private volatile bool _isClosing;

    // Only used by the thread that has the stack.
    private PollDescriptor[] _polled = new PollDescriptor[16];
    private int _polledCount;
    private bool _hasAnswered;

    // In the next buffer to the guest, while frames that follow may be added.
    private SegmentMerger _merger;

    private UserNetworkPort(UserNetworkOptions options, ILogger logger)
    {
        _options = options;
        _logger = logger;
        BinaryPrimitives.WriteUInt32BigEndian(_hostAddress.AsSpan(2), options.Gateway);
        _self = GCHandle.Alloc(this);
        _callbacks = (SlirpCallbacks*)NativeMemory.AllocZeroed((nuint)sizeof(SlirpCallbacks));
    }

    /// <inheritdoc />
    public string Name => $"usernet {_options.Network}";

    /// <inheritdoc />
    public ReadOnlySpan<byte> HostAddress => _hostAddress;

    /// <summary>Makes a network, and opens the ports that lead to the guest.</summary>
    /// <param name="options">What it is to be like.</param>
    /// <param name="logger">Hears what libslirp finds wrong with the guest, at level debug.</param>
    /// <exception cref="BackendException">libslirp isn't installed, or a port can't be had.</exception>
    public static UserNetworkPort Open(UserNetworkOptions options, ILogger logger)
    {
        if (!NativeLibrary.TryLoad(SlirpLibrary.Name, out _))
        {
            throw new BackendException(
                $"--usernet needs {SlirpLibrary.Name}, which is not on this machine: install libslirp, in Debian with `apt-get install {SlirpLibrary.Package}`");
        }

        var port = new UserNetworkPort(options, logger);
        try
        {
            port.MakeStack();
            foreach (PortForward forward in options.Forwards)
            {
                port.Add(forward);
            }

            return port;
        }
        catch
        {
            port.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public void Start(Action attention)
    {
        _attention = attention;
        _thread = new Thread(Work) { IsBackground = true, Name = Name };
        _thread.Start();
    }

    /// <inheritdoc />
    public bool Send(Span<byte> frame, int largest)
    {
        // libslirp has no cable: what is long is no trouble to it.
        if ((largest > 0 && !SegmentSplitter.TryFinish(frame)) || !_toHost.TryAdd(frame, largest: 0))
        {
            return false;
        }

        _wakeUp.Set();
        return true;
    }

    /// <inheritdoc />
    public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest) => _toGuest.TryPeek(out frame, out largest);

    /// <inheritdoc />
    public void Remove()
    {
        _toGuest.Remove();
        if (_toGuest.IsNearlyEmpty)
        {
            _wakeUp.Set();
        }
    }

    /// <summary>Ends all connections.</summary>
    public void Dispose()
    {
        _isClosing = true;
        _wakeUp.Set();
        _thread?.Join();
        if (_stack != 0)
        {
            SlirpLibrary.Cleanup(_stack);
        }

        _wakeUp.Dispose();
        NativeMemory.Free(_callbacks);
        _self.Free();
    }

    private void MakeStack()
    {
        _callbacks->SendPacket = &OnPacket;
        _callbacks->GuestError = &OnGuestError;
        _callbacks->ClockNanoseconds = &OnClock;
        _callbacks->RegisterPoll = &OnDescriptor;
        _callbacks->UnregisterPoll = &OnDescriptor;
        _callbacks->Notify = &OnNotify;
        var configuration = new SlirpConfiguration
        {
            Version = SlirpLibrary.ConfigurationVersion,
            Restricted = _options.IsRestricted ? 1 : 0,
            HasInternet4 = 1,
            Network = Ordered(_options.Network.Address),
            Netmask = Ordered(_options.Network.Mask),
            Host = Ordered(_options.Gateway),
            DhcpStart = Ordered(_options.FirstGuest),
            NameServer = Ordered(_options.NameServer),
        };
        _stack = SlirpLibrary.New(&configuration, _callbacks, GCHandle.ToIntPtr(_self));
        if (_stack == 0)
        {
            throw new BackendException($"--usernet: {SlirpLibrary.Name} cannot be used: install a newer one");
        }
    }

    private void Add(PortForward forward)
    {
        int result = SlirpLibrary.AddForward(
            _stack, forward.IsUdp ? 1 : 0, Ordered(forward.HostAddress), forward.HostPort, Ordered(forward.GuestAddress), forward.GuestPort);
        if (result < 0)
        {
            throw new BackendException(string.Create(
                CultureInfo.InvariantCulture,
                $"--usernet=hostfwd={forward}: port {forward.HostPort} of the host cannot be had ({WhyTaken(forward)}): give another, or stop the program that has it"));
        }
    }

    // libslirp doesn't say, but the host does when it is asked once more.
    private static string WhyTaken(PortForward forward)
    {
        var wanted = new InternetAddress
        {
            Family = SystemCalls.SocketFamilyInternet,
            Port = BinaryPrimitives.ReverseEndianness((ushort)forward.HostPort),
            Address = Ordered(forward.HostAddress),
        };
        int kind = forward.IsUdp ? SystemCalls.SocketDatagrams : SystemCalls.SocketStream;
        int socket = SystemCalls.Socket(SystemCalls.SocketFamilyInternet, kind | SystemCalls.OpenCloseOnExec, 0);
        string reason = SystemCalls.Bind(socket, &wanted, (uint)sizeof(InternetAddress)) < 0 ? SystemCalls.LastError() : "libslirp says no more";
        _ = SystemCalls.Close(socket);
        return reason;
    }

    private void Work()
    {
        while (!_isClosing)
        {
            while (MayAnswer && _toHost.TryPeek(out ReadOnlySpan<byte> frame, out _))
            {
                fixed (byte* bytes = frame)
                {
                    SlirpLibrary.Input(_stack, bytes, frame.Length);
                }

                _toHost.Remove();
            }

            Tell();
            WaitAndPoll();
            Tell();
        }
    }

    /// <summary>Tells the guest's side of frames, once for all since the last time.</summary>
    private void Tell()
    {
        EndSegment();
        if (_hasAnswered)
        {
            _hasAnswered = false;
            _attention?.Invoke();
        }
    }

    /// <summary>Waits until the guest has sent something, or a socket has something to say for which there is room.</summary>
    private void WaitAndPoll()
    {
        uint timeout = uint.MaxValue;
        _polledCount = 0;
        AddPoll(_wakeUp.Descriptor, SystemCalls.PollIn);
        bool hasRoom = MayAnswer;
        nint self = GCHandle.ToIntPtr(_self);
        if (hasRoom)
        {
            SlirpLibrary.FillPoll(_stack, &timeout, &OnAddPoll, self);
        }

        _wakeUp.Expect();
        bool waits = hasRoom ? _toHost.IsEmpty : !_toGuest.IsNearlyEmpty;
        int result;
        fixed (PollDescriptor* polled = _polled)
        {
            int milliseconds = !waits || _isClosing ? 0 : timeout <= int.MaxValue ? (int)timeout : Forever;
            result = SystemCalls.Poll(polled, (nuint)_polledCount, milliseconds);
        }

        _wakeUp.Clear(_polled[0].Returned);
        if (hasRoom)
        {
            SlirpLibrary.AfterPoll(_stack, result < 0 ? 1 : 0, &OnGetEvents, self);
        }
    }

    // What sockets have to say may be as much as all connections' windows hold: no more is asked for without half of
    // the queue being free.
    private bool MayAnswer => _toGuest.IsHalfEmpty;

    /// <summary>Adds a frame to the segment that is being made for the guest, or begins with another.</summary>
    private void Answer(ReadOnlySpan<byte> frame)
    {
        if (_merger.HasSegment && _merger.TryAdd(_toGuest.NextBuffer, frame))
        {
            return;
        }

        EndSegment();
        if (_toGuest.HasRoom)
        {
            frame.CopyTo(_toGuest.NextBuffer);
            _merger.Begin(frame);
        }
    }

    private void EndSegment()
    {
        if (_merger.HasSegment)
        {
            int length = _merger.Length;
            _merger.End(_toGuest.NextBuffer);
            _toGuest.Add(length, _merger.Largest);
            _hasAnswered = true;
        }
    }

    private int AddPoll(int descriptor, short events)
    {
        if (_polledCount == _polled.Length)
        {
            Array.Resize(ref _polled, _polled.Length * 2);
        }

        _polled[_polledCount] = new PollDescriptor { Descriptor = descriptor, Events = events };
        return _polledCount++;
    }

    private static uint Ordered(uint address) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(address) : address;

    private static UserNetworkPort Self(nint context) => (UserNetworkPort)GCHandle.FromIntPtr(context).Target!;

    // libslirp calls these, on the thread that called it. None may throw.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint OnPacket(byte* frame, nuint length, nint context)
    {
        // What there is no room for is lost as on any cable; an error would be a line on standard error.
        if (length <= IPacketPort.LongestFrame)
        {
            Self(context).Answer(new ReadOnlySpan<byte>(frame, (int)length));
        }

        return (nint)length;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnGuestError(byte* message, nint context)
    {
        ILogger logger = Self(context)._logger;
        if (logger.IsEnabled(LogLevel.Debug))
        {
            string text = Marshal.PtrToStringUTF8((nint)message) ?? string.Empty;
            BackendLog.UserNetworkMessage(logger, text);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static long OnClock(nint context) => Stopwatch.GetElapsedTime(0).Ticks * TimeSpan.NanosecondsPerTick;

    // All descriptors are named anew before each wait.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnDescriptor(int descriptor, nint context)
    {
    }

    // Whoever could be notified is the thread that calls.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnNotify(nint context)
    {
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnAddPoll(int descriptor, int events, nint context) => Self(context).AddPoll(descriptor, PollEvents.ToHost(events));

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnGetEvents(int index, nint context) => PollEvents.FromHost(Self(context)._polled[index].Returned);
}
