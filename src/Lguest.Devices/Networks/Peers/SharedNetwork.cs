using System.Diagnostics;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Host.Dma;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// A network of guests that have a file in common. Whoever may write the file may join, and nothing but the file is needed.
/// </summary>
/// <remarks>
/// A thread waits for others to ring, and looks once a second whether somebody has died. Everything else is done by the
/// processor's thread.
/// </remarks>
[SupportedOSPlatform("linux")]
public sealed unsafe class SharedNetwork : IPeerExchange, IDisposable
{
    private const int None = -1;
    private const long Second = 1_000_000_000;

    private readonly SharedFile _file;
    private readonly SharedMemory _memory;
    private readonly SlotTable _slots;
    private readonly Sender _sender;
    private readonly ILogger _logger;
    private readonly Inbox?[] _inboxes = new Inbox?[SharedLayout.Inboxes];
    private Thread? _thread;
    private Action? _attention;
    private volatile bool _isClosing;

    private SharedNetwork(SharedFile file, SlotTable slots, ILogger logger)
    {
        _file = file;
        _memory = file.Memory;
        _slots = slots;
        _logger = logger;
        _sender = new Sender(_memory, slots);
    }

    /// <summary>What the user called it, for messages.</summary>
    public string Name => $"sharenet {_file.Path}";

    /// <summary>Which of the MAC addresses on the page is this guest's.</summary>
    public int Slot => _slots.Own;

    /// <summary>The page that all guests share.</summary>
    public nint Page => (nint)_memory.Addresses;

    /// <summary>Joins a network.</summary>
    /// <param name="path">Its file, which is made if it is missing.</param>
    /// <param name="logger">Hears when there is no room on the host's disk.</param>
    /// <exception cref="BackendException">The file can't be had or is something else, or the network is full.</exception>
    public static SharedNetwork Join(string path, ILogger logger)
    {
        var file = SharedFile.Open(path);
        try
        {
            return new SharedNetwork(file, SlotTable.Join(file), logger);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether this is the same network as another, by whatever path.</summary>
    public bool IsSameAs(SharedNetwork other) => _file.Identity == other._file.Identity;

    /// <summary>Reserves a guest id in this network as long as this process is in it; false when another guest has it.</summary>
    public bool TryReserve(ushort guestId) => _file.TryLock(SharedLayout.FirstIdLock + guestId);

    /// <summary>Gives back an id that was reserved.</summary>
    public void GiveBack(ushort guestId) => _file.Unlock(SharedLayout.FirstIdLock + guestId);

    /// <summary>Begins to receive. Once.</summary>
    /// <param name="attention">Called on another thread when there is something in an inbox, and at times when there isn't.</param>
    public void Start(Action attention)
    {
        _attention = attention;
        _thread = new Thread(Wait) { IsBackground = true, Name = Name };
        _thread.Start();
    }

    /// <inheritdoc />
    public int Send(int offset, DmaList message) => _sender.Send(offset, new OutgoingMessage(message));

    /// <inheritdoc />
    public int Send(int offset, ReadOnlySpan<byte> message) => _sender.Send(offset, new OutgoingMessage(message));

    /// <inheritdoc />
    public int Capacity(int offset) => _sender.Capacity(offset);

    /// <inheritdoc />
    public int Open(int offset)
    {
        int number = Array.IndexOf(_inboxes, null);
        if (number < 0)
        {
            return None;
        }

        if (_file.Allocate(SharedLayout.Inbox(Slot, number), SharedLayout.InboxSize) is { } reason)
        {
            BackendLog.NoRoomForInbox(_logger, _file.Path, reason);
            return None;
        }

        _inboxes[number] = new Inbox(_memory, _slots, number, offset);
        return number;
    }

    /// <inheritdoc />
    public void Close(int inbox)
    {
        _inboxes[inbox]!.Close();
        _inboxes[inbox] = null;
    }

    /// <inheritdoc />
    public int Offer(int inbox, int capacity) => _inboxes[inbox]!.Offer(capacity);

    /// <inheritdoc />
    public void Withdraw(int inbox, int offer) => _inboxes[inbox]!.Withdraw(offer);

    /// <inheritdoc />
    public bool TryTake(int inbox, out int offer, out ReadOnlySpan<byte> message, out bool isLost) =>
        _inboxes[inbox]!.TryTake(out offer, out message, out isLost);

    /// <inheritdoc />
    public void Release(int inbox, int offer) => _inboxes[inbox]!.Withdraw(offer);

    /// <inheritdoc />
    public bool TakeRequest(int inbox) => _inboxes[inbox]!.TakeRequest();

    /// <inheritdoc />
    public bool Rest()
    {
        // Said before the look, as others put something there before they look whether it was said.
        Interlocked.Exchange(ref _memory.Armed(Slot), 1);
        foreach (Inbox? inbox in _inboxes)
        {
            if (inbox is { HasNews: true })
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Leaves the network.</summary>
    public void Dispose()
    {
        if (_isClosing)
        {
            return;
        }

        _isClosing = true;
        Interlocked.Increment(ref *_memory.Bell(Slot));
        SystemCalls.FutexWake(_memory.Bell(Slot));
        _thread?.Join();
        for (int i = 0; i < _inboxes.Length; i++)
        {
            if (_inboxes[i] is not null)
            {
                Close(i);
            }
        }

        _slots.Leave();
        _file.Dispose();
    }

    private void Wait()
    {
        uint* bell = _memory.Bell(Slot);
        long nextLook = Stopwatch.GetTimestamp() + Stopwatch.Frequency;
        while (!_isClosing)
        {
            uint seen = Volatile.Read(ref *bell);
            _attention?.Invoke();
            SystemCalls.FutexWait(bell, seen, Second);
            if (Stopwatch.GetTimestamp() >= nextLook)
            {
                _slots.ClearDead();
                nextLook = Stopwatch.GetTimestamp() + Stopwatch.Frequency;
            }
        }
    }
}
