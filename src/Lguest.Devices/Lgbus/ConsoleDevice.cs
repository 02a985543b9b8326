using System.Buffers;
using Lguest.Devices.Backends;
using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Devices.Lgbus;

/// <summary>
/// The console as a device of the lguest bus: what the guest sends to key 0 is shown, whole and at once, and input goes into
/// the buffer that the guest has bound there, when that is free.
/// </summary>
/// <remarks>
/// Input stays with the port while there is no free buffer; the guest frees one by a plain store and says nothing, so every
/// call of <see cref="Service"/> looks again.
/// </remarks>
public sealed class ConsoleDevice : ILguestDevice, IConsoleDevice
{
    /// <summary>The console's key, which needs no descriptor: the guest prints before it has found any device.</summary>
    public const uint Key = 0;

    private const uint KeyLength = 4;
    private const int LongestInput = 256;

    private readonly ICharPort _port;
    private readonly byte[] _input = new byte[LongestInput];
    private DeviceSlot? _slot;
    private volatile bool _inputArrived = true;

    /// <summary>Makes a console.</summary>
    /// <param name="port">Its far end, which the device owns from now on.</param>
    public ConsoleDevice(ICharPort port)
    {
        _port = port;
        _port.InputArrived += OnInputArrived;
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(DeviceType.Console, Features: 0, Pages: 0);

    /// <inheritdoc />
    public string Kind => "a console";

    /// <summary>Bytes that the guest has printed.</summary>
    public ulong BytesWritten { get; private set; }

    /// <summary>Bytes that the guest has been given.</summary>
    public ulong BytesRead { get; private set; }

    /// <inheritdoc />
    public bool HasDriver => _slot?.IsBound(Key) == true;

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        slot.ListenOn(Key, KeyLength, this);
    }

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(message.Length);
        try
        {
            int length = message.CopyTo(bytes.AsSpan(0, message.Length));
            _port.Write(bytes.AsSpan(0, length));
            BytesWritten += (ulong)length;
            return (uint)length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <inheritdoc />
    public void Service()
    {
        if (_slot is null || _port.EndOfInput)
        {
            return;
        }

        // A person's typing can't be repeated, whatever the clock. Anything else is read when the guest has room for it,
        // waiting if need be, so that what it gets when doesn't depend on the host.
        bool waits = _slot.IsRepeatable && !_port.Interactive;
        if (!waits && !_inputArrived)
        {
            return;
        }

        if (_slot.TryFindFree(Key, out DmaBuffer buffer))
        {
            Receive(buffer, waits);
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _port.InputArrived -= OnInputArrived;
        _port.Dispose();
    }

    private void Receive(in DmaBuffer buffer, bool waits)
    {
        Span<byte> room = _input.AsSpan(0, Math.Min(buffer.Capacity, LongestInput));
        if (room.IsEmpty)
        {
            return;
        }

        // Cleared before the port is asked: what arrives meanwhile sets it again. One answer may not be all there is.
        _inputArrived = false;
        int length = waits ? _port.ReadBlocking(room) : _port.Read(room);
        if (length == 0)
        {
            return;
        }

        _inputArrived = true;
        buffer.Fill(room[..length]);
        buffer.SetUsed((uint)length);
        BytesRead += (ulong)length;
        buffer.Interrupt();
    }

    private void OnInputArrived()
    {
        _inputArrived = true;
        _slot?.Attention();
    }
}
