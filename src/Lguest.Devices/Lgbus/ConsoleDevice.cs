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
    private readonly PortInput _input;
    private readonly byte[] _piece = new byte[LongestInput];
    private DeviceSlot? _slot;

    /// <summary>Makes a console.</summary>
    /// <param name="port">Its far end, which the device owns from now on.</param>
    public ConsoleDevice(ICharPort port)
    {
        _port = port;
        _input = new PortInput(port);
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(DeviceType.Console, Features: 0, Pages: 0);

    /// <inheritdoc />
    public string Kind => "a console";

    /// <inheritdoc />
    public ulong BytesWritten { get; private set; }

    /// <inheritdoc />
    public ulong BytesRead => _input.BytesRead;

    /// <inheritdoc />
    public bool HasDriver => _slot?.IsBound(Key) == true;

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        _input.Attach(slot.Attention);
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
        if (_slot is { } slot && _input.MayHave(slot.IsRepeatable) && slot.TryFindFree(Key, out DmaBuffer buffer))
        {
            Receive(buffer, slot.IsRepeatable);
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _input.Dispose();
        _port.Dispose();
    }

    private void Receive(in DmaBuffer buffer, bool isRepeatable)
    {
        Span<byte> room = _piece.AsSpan(0, Math.Min(buffer.Capacity, LongestInput));
        int length = room.IsEmpty ? 0 : _input.Read(room, isRepeatable);
        if (length > 0)
        {
            buffer.Fill(room[..length]);
            buffer.SetUsed((uint)length);
            buffer.Interrupt();
        }
    }
}
