using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Virtio;

namespace Lguest.Devices.Virtio;

/// <summary>A console as a virtio device: virtqueue 0 takes input to the guest, 1 what it prints.</summary>
/// <remarks>The driver spins until what it prints has been used, often with interrupts off: that is done before it goes on.</remarks>
public sealed class VirtioConsole : IVirtioDevice, IConsoleDevice
{
    private const int InputQueue = 0;
    private const int OutputQueue = 1;
    private const int PieceSize = 4096;

    // Linux prints a page at a time. All of the queue is shown before the guest goes on: no limit of a run is looked at meanwhile.
    private const int LongestText = 1 << 16;

    private const uint EmergencyWriteFeature = 1 << 2;

    /// <summary>In {u16 columns, u16 rows, u32 ports, u32 emergency write}: the low byte is shown.</summary>
    private const int EmergencyWrite = 8;

    private readonly ICharPort _port;
    private readonly byte[] _configuration;
    private readonly PortInput _input;
    private readonly byte[] _piece = new byte[PieceSize];
    private VirtioSlot? _slot;
    private VirtioChain? _chain;

    /// <summary>Makes a console.</summary>
    /// <param name="port">Its far end, which the device owns from now on.</param>
    /// <param name="hasEmergencyWrite">Whether a kernel prints by writes to the configuration until it has a driver.</param>
    public VirtioConsole(ICharPort port, bool hasEmergencyWrite = false)
    {
        _port = port;
        _configuration = new byte[hasEmergencyWrite ? EmergencyWrite + sizeof(uint) : 0];
        _input = new PortInput(port);
    }

    /// <inheritdoc />
    public VirtioIdentity Identity => new(VirtioType.Console, Queues: 2, _configuration.Length > 0 ? EmergencyWriteFeature : 0);

    /// <inheritdoc />
    public ReadOnlyMemory<byte> Configuration => _configuration;

    /// <inheritdoc />
    public string Kind => "a virtio console";

    /// <inheritdoc />
    public ulong BytesWritten { get; private set; }

    /// <inheritdoc />
    public ulong BytesRead => _input.BytesRead;

    /// <inheritdoc />
    public bool HasDriver => _slot?.Queue(InputQueue).IsInUse == true;

    /// <inheritdoc />
    public void Attach(VirtioSlot slot)
    {
        _slot = slot;
        _input.Attach(slot.Attention);
        _chain = slot.MakeChain();
    }

    /// <inheritdoc />
    public void OnConfigurationWrite(int offset, uint value)
    {
        if (offset == EmergencyWrite && _configuration.Length > 0)
        {
            Show([(byte)value]);
        }
    }

    /// <inheritdoc />
    public void OnEarlyText(ReadOnlySpan<byte> text) => Show(text);

    /// <inheritdoc />
    public void OnNotify(int queue)
    {
        if (queue != OutputQueue)
        {
            Service();
            return;
        }

        (Virtqueue output, VirtioChain chain) = Place(OutputQueue);
        for (int i = 0; i < output.Size && output.TryPeek(chain); i++)
        {
            if (chain.ReadableLength > LongestText)
            {
                throw new GuestFaultException($"the console is to print {chain.ReadableLength} bytes at once, and {LongestText} is the most");
            }

            for (int offset = 0, length; (length = chain.Read(offset, _piece)) > 0; offset += length)
            {
                Show(_piece.AsSpan(0, length));
            }

            output.Take();
            output.Return(chain.Head, 0);
        }
    }

    /// <inheritdoc />
    public void Service()
    {
        if (_slot is not { } slot || !_input.MayHave(slot.IsRepeatable))
        {
            return;
        }

        // Drivers of such kernels throw away what comes before they have made themselves a port of the device. Then they print.
        if (_configuration.Length > 0 && !slot.Queue(OutputQueue).IsInUse)
        {
            return;
        }

        (Virtqueue input, VirtioChain chain) = Place(InputQueue);
        if (input.TryPeek(chain))
        {
            Receive(input, chain, slot.IsRepeatable);
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

    private void Receive(Virtqueue input, VirtioChain chain, bool isRepeatable)
    {
        Span<byte> room = _piece.AsSpan(0, Math.Min(chain.WritableLength, PieceSize));
        if (room.IsEmpty)
        {
            input.Take();
            input.Return(chain.Head, 0);
            return;
        }

        int length = _input.Read(room, isRepeatable);
        if (length > 0)
        {
            chain.Write(0, room[..length]);
            input.Take();
            input.Return(chain.Head, length);
        }
    }

    private void Show(ReadOnlySpan<byte> text)
    {
        _port.Write(text);
        BytesWritten += (ulong)text.Length;
    }

    private (Virtqueue Queue, VirtioChain Chain) Place(int queue) => _slot is { } slot && _chain is { } chain
        ? (slot.Queue(queue), chain)
        : throw new InvalidOperationException("The device isn't attached to a bus.");
}
