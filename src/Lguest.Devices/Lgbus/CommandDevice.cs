using System.Buffers;
using System.Globalization;
using Lguest.Devices.Backends;
using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Devices.Lgbus;

/// <summary>
/// A command for the guest to run, as a device of the lguest bus: its arguments are on the device's pages, its output is
/// sent to a key for each stream, its input comes when it asks, and its exit status is left on the page (docs/guest.md).
/// </summary>
public sealed class CommandDevice : ILguestDevice, ICommandDevice
{
    /// <summary>How long an answer to a request for input takes in virtual time, in nanoseconds, however long the host takes.</summary>
    public const ulong VirtualDelay = 10_000;

    /// <summary>The most bytes that all arguments may have, each with the NUL behind it: what a 32-bit Linux takes for sure.</summary>
    public const int LongestArguments = 128 << 10;

    private const int LengthOffset = 0;
    private const int EndOfInputOffset = 4;
    private const int StatusOffset = 8;
    private const int ArgumentsOffset = 12;

    private const uint OutputKey = 0;
    private const uint ErrorsKey = 4;
    private const uint InputKey = 8;
    private const uint KeysLength = 12;

    private const uint StatusIsThere = 0x100;
    private const uint StatusMask = 0xff;
    // What is saved: whether the guest waits for input, and whether the moment of the answer in virtual time has come.
    private const string AskedWord = "asked";
    private const string DueWord = "due";

    private const int PageSize = 4096;
    private const int LongestInput = 16 << 10;

    private readonly byte[] _arguments;
    private readonly ICharPort _streams;
    private readonly ICharPort _errors;
    private readonly byte[] _input = new byte[LongestInput];
    private readonly bool _isLate;
    private ReadOnlyMemory<byte> _news;
    private DeviceSlot? _slot;
    private volatile bool _inputArrived;
    private bool _asked;
    private bool _due;

    /// <summary>Makes the device.</summary>
    /// <param name="arguments">
    /// The command and its arguments, at most <see cref="LongestArguments"/> bytes in all, none with a NUL in it. None at all: the guest isn't told a
    /// command, and its first request for input isn't answered.
    /// </param>
    /// <param name="streams">Standard input and output, which the device owns from now on.</param>
    /// <param name="errors">Standard error, likewise; its input isn't looked at.</param>
    /// <param name="late">Says that the guest boots without its command; null for one that it has from the beginning.</param>
    public CommandDevice(IEnumerable<byte[]> arguments, ICharPort streams, ICharPort errors, LateCommand? late = null)
    {
        _isLate = late is not null;
        _news = late?.News ?? default;
        _arguments = Pack(arguments);
        _streams = streams;
        _errors = errors;
        _streams.InputArrived += OnInputArrived;
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(
        DeviceType.Command, Features: 0, Pages: (ArgumentsOffset + (_isLate ? LongestArguments : _arguments.Length) + PageSize - 1) / PageSize);

    /// <inheritdoc />
    public string Kind => _isLate ? "a command that comes later" : string.Create(CultureInfo.InvariantCulture, $"a command of {_arguments.Length} bytes");

    /// <inheritdoc />
    public event Action? Awaited;

    /// <inheritdoc />
    public bool IsAwaited => _arguments.Length == 0 && _asked;

    /// <inheritdoc />
    public int? ExitStatus
    {
        get
        {
            uint status = _slot?.ReadPage(StatusOffset) ?? 0;
            return (status & StatusIsThere) != 0 ? (int)(status & StatusMask) : null;
        }
    }

    /// <inheritdoc />
    public ulong BytesWritten { get; private set; }

    /// <inheritdoc />
    public ulong ErrorBytesWritten { get; private set; }

    /// <inheritdoc />
    public ulong BytesRead { get; private set; }

    /// <inheritdoc />
    public string Save() => (_asked, _due) switch
    {
        (false, _) => string.Empty,
        (true, false) => AskedWord,
        (true, true) => DueWord,
    };

    /// <inheritdoc />
    public void Restore(string saved)
    {
        (_asked, _due, _inputArrived) = (saved is AskedWord or DueWord, saved is DueWord, true);
        if (_isLate)
        {
            WriteArguments(Place());
        }
    }

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        WriteArguments(slot);
        slot.ListenOn(slot.PageAddress, KeysLength, this);
    }

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        DeviceSlot slot = Place();
        switch (key - slot.PageAddress)
        {
            case OutputKey:
                BytesWritten += (ulong)message.Length;
                return Write(_streams, message);
            case ErrorsKey:
                ErrorBytesWritten += (ulong)message.Length;
                return Write(_errors, message);
            default:
                Ask(slot);
                return 0;
        }
    }

    /// <inheritdoc />
    public void Service()
    {
        if (!_asked)
        {
            return;
        }

        if (Place().IsRepeatable ? _due : _inputArrived)
        {
            Answer();
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
        _due = true;
        Service();
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _streams.InputArrived -= OnInputArrived;
        _streams.Dispose();
        _errors.Dispose();
    }

    private static byte[] Pack(IEnumerable<byte[]> arguments)
    {
        byte[] packed = [.. arguments.SelectMany(argument => argument.Append((byte)0))];
        return packed.Length <= LongestArguments
            ? packed
            : throw new ArgumentException($"{packed.Length} bytes of arguments are more than {LongestArguments}.", nameof(arguments));
    }

    private static uint Write(ICharPort port, DmaList message)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(message.Length);
        try
        {
            int length = message.CopyTo(bytes.AsSpan(0, message.Length));
            port.Write(bytes.AsSpan(0, length));
            return (uint)length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private void WriteArguments(DeviceSlot slot)
    {
        slot.WritePage(LengthOffset, (uint)_arguments.Length);
        slot.WritePage(ArgumentsOffset, _arguments);
    }

    private void Ask(DeviceSlot slot)
    {
        if (_asked)
        {
            return;
        }

        _asked = true;
        _due = false;

        // The port reads nothing before it has been asked.
        _inputArrived = true;
        if (slot.IsRepeatable)
        {
            slot.After(VirtualDelay);
        }

        if (IsAwaited)
        {
            Awaited?.Invoke();
        }
    }

    /// <summary>Data, used_len, interrupt, in this order. Without a free buffer, the guest has to wait until it has one.</summary>
    private void Answer()
    {
        DeviceSlot slot = Place();
        if (IsAwaited || !slot.TryFindFree(slot.PageAddress + InputKey, out DmaBuffer buffer))
        {
            return;
        }

        Span<byte> room = _input.AsSpan(0, Math.Min(buffer.Capacity, LongestInput));

        // Cleared before the port is asked: what arrives meanwhile sets it again.
        _inputArrived = false;
        int length = !_news.IsEmpty ? TakeNews(room) : slot.IsRepeatable ? _streams.ReadBlocking(room) : _streams.Read(room);
        if (length == 0 && !_streams.EndOfInput)
        {
            return;
        }

        _asked = false;
        _due = false;
        if (length > 0)
        {
            buffer.Fill(room[..length]);
            buffer.SetUsed((uint)length);
            BytesRead += (ulong)length;
        }
        else
        {
            slot.WritePage(EndOfInputOffset, 1);
        }

        buffer.Interrupt();
    }

    private int TakeNews(Span<byte> room)
    {
        int length = Math.Min(room.Length, _news.Length);
        _news.Span[..length].CopyTo(room);
        _news = _news[length..];
        return length;
    }

    private DeviceSlot Place() => _slot ?? throw new InvalidOperationException("The device isn't attached to a bus.");

    private void OnInputArrived()
    {
        _inputArrived = true;
        _slot?.Attention();
    }
}
