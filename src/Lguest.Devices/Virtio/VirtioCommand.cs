using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Virtio;

namespace Lguest.Devices.Virtio;

/// <summary>
/// A command for the guest to run, as a virtio console with several ports (virtio 1.0, 5.3), none of which is a console: each is a file in the guest, and has a
/// name. From one the guest reads the arguments, each with a NUL behind it, and into another it writes the exit status, a line; the rest are the command's
/// streams.
/// </summary>
/// <remarks>
/// Of input, no more is given than the guest has read, and a piece: its driver gives a buffer back when all of it was read. It doesn't say when somebody begins
/// to read, only that somebody has opened the file.
/// </remarks>
public sealed class VirtioCommand : IVirtioDevice, ICommandDevice
{
    /// <summary>The feature of having several ports.</summary>
    public const uint PortsFeature = 1 << 1;

    private const int ControlToGuest = 2;
    private const int ControlFromGuest = 3;
    private const int FirstLaterPort = 4;

    /// <summary>In {u16 columns, u16 rows, u32 ports}.</summary>
    private const int PortsOffset = 4;

    private const int ConfigurationSize = 8;
    /// <summary>Bytes of {u32 port, u16 event, u16 value}, behind which a port's name may be.</summary>
    private const int MessageSize = 8;

    private const int PieceSize = 4096;

    /// <summary>The driver sends 32 KiB at a time, and what comes through splice(2) by sixteen pages.</summary>
    private const int LongestOutput = 1 << 16;

    /// <summary>Messages that wait for the guest: a healthy driver causes three for each port, and one at the end of a file.</summary>
    private const int MostMessages = 64;

    /// <summary>Digits of a status, and a little more than anybody needs.</summary>
    private const int LongestStatus = 16;

    private static readonly string[] Names = ["lguest.arguments", "lguest.stdin", "lguest.stdout", "lguest.stderr", "lguest.status"];

    private readonly byte[] _arguments;
    private readonly ICharPort _streams;
    private readonly ICharPort _errors;
    private readonly PortInput _input;
    private readonly byte[] _configuration = new byte[ConfigurationSize];
    private readonly byte[] _piece = new byte[PieceSize];
    private readonly Queue<byte[]> _messages = new();
    private VirtioCommandState _state = new();
    private VirtioSlot? _slot;
    private VirtioChain? _chain;

    /// <summary>Makes the device.</summary>
    /// <param name="arguments">The command and its arguments, none with a NUL in it.</param>
    /// <param name="streams">Standard input and output, which the device owns from now on.</param>
    /// <param name="errors">Standard error, likewise; its input isn't looked at.</param>
    public VirtioCommand(IEnumerable<byte[]> arguments, ICharPort streams, ICharPort errors)
    {
        _arguments = [.. arguments.SelectMany(argument => argument.Append((byte)0))];
        _streams = streams;
        _errors = errors;
        _input = new PortInput(streams);
        BinaryPrimitives.WriteUInt32LittleEndian(_configuration.AsSpan(PortsOffset), (uint)Names.Length);
    }

    private enum Port
    {
        Arguments,
        Input,
        Output,
        Errors,
        Status,
    }

    /// <summary>What a message on the control queues is about.</summary>
    private enum ControlEvent : ushort
    {
        DeviceReady = 0,
        PortAdd = 1,
        PortReady = 3,
        PortOpen = 6,
        PortName = 7,
    }

    /// <summary>Never: the guest has its command from the beginning.</summary>
    public event Action? Awaited
    {
        add { }
        remove { }
    }

    /// <inheritdoc />
    public bool IsAwaited => false;

    /// <inheritdoc />
    public VirtioIdentity Identity => new(VirtioType.Console, Queues: (Names.Length + 1) * 2, PortsFeature);

    /// <inheritdoc />
    public ReadOnlyMemory<byte> Configuration => _configuration;

    /// <inheritdoc />
    public string Kind => string.Create(CultureInfo.InvariantCulture, $"a virtio command of {_arguments.Length} bytes");

    /// <inheritdoc />
    public int? ExitStatus =>
        _state.Status.IndexOf('\n', StringComparison.Ordinal) is > 0 and var end
        && byte.TryParse(_state.Status.AsSpan(0, end), NumberStyles.None, CultureInfo.InvariantCulture, out byte status)
            ? status
            : null;

    /// <inheritdoc />
    public ulong BytesWritten { get; private set; }

    /// <inheritdoc />
    public ulong ErrorBytesWritten { get; private set; }

    /// <inheritdoc />
    public ulong BytesRead => _input.BytesRead;

    /// <inheritdoc />
    public void Attach(VirtioSlot slot)
    {
        _slot = slot;
        _chain = slot.MakeChain();
        _input.Attach(slot.Attention);
    }

    /// <inheritdoc />
    public string Save() => JsonSerializer.Serialize(
        _state with { Messages = [.. _messages.Select(Convert.ToHexString)] }, VirtioCommandJson.Default.VirtioCommandState);

    /// <inheritdoc />
    public void Restore(string saved)
    {
        _state = JsonSerializer.Deserialize(saved, VirtioCommandJson.Default.VirtioCommandState)!;
        _messages.Clear();
        foreach (string message in _state.Messages)
        {
            _messages.Enqueue(Convert.FromHexString(message));
        }
    }

    /// <inheritdoc />
    public void OnReset()
    {
        _messages.Clear();
        _state = new VirtioCommandState { Status = _state.Status };
    }

    /// <inheritdoc />
    public void OnNotify(int queue)
    {
        if (queue == ControlFromGuest)
        {
            TakeAll(queue, OnControl);
        }
        else if (queue % 2 != 0)
        {
            Port port = queue < FirstLaterPort ? Port.Arguments : (Port)((queue - 3) / 2);
            TakeAll(queue, chain => OnOutput(port, chain));
        }

        Service();
    }

    /// <inheritdoc />
    public void Service()
    {
        SendMessages();
        GiveArguments();
        GiveInput();
        SendMessages();
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _input.Dispose();
        _streams.Dispose();
        _errors.Dispose();
    }

    private static int QueueToGuest(Port port) => port == Port.Arguments ? 0 : (int)port * 2 + 2;

    private void TakeAll(int queue, Action<VirtioChain> take)
    {
        (Virtqueue output, VirtioChain chain) = Place(queue);
        for (int i = 0; i < output.Size && output.TryPeek(chain); i++)
        {
            take(chain);
            output.Take();
            output.Return(chain.Head, 0);
        }
    }

    /// <summary>The driver's ports come to life step by step.</summary>
    private void OnControl(VirtioChain chain)
    {
        Span<byte> message = stackalloc byte[MessageSize];
        if (chain.Read(0, message) != message.Length)
        {
            return;
        }

        uint number = BinaryPrimitives.ReadUInt32LittleEndian(message);
        var what = (ControlEvent)BinaryPrimitives.ReadUInt16LittleEndian(message[4..]);
        bool isTrue = BinaryPrimitives.ReadUInt16LittleEndian(message[6..]) != 0;
        if (what == ControlEvent.DeviceReady && isTrue)
        {
            for (int i = 0; i < Names.Length; i++)
            {
                Tell((Port)i, ControlEvent.PortAdd, 1);
            }
        }
        else if (number < Names.Length && what == ControlEvent.PortReady && isTrue)
        {
            Tell((Port)number, ControlEvent.PortName, 1, Names[number]);
            Tell((Port)number, ControlEvent.PortOpen, 1);
        }
        else if (number < Names.Length && what == ControlEvent.PortOpen)
        {
            OnOpen((Port)number, isTrue);
        }
    }

    private void OnOpen(Port port, bool isOpen)
    {
        switch (port)
        {
            case Port.Arguments:
                _state = _state with { IsReadingArguments = isOpen };
                break;
            case Port.Input:
                // All of the guest's buffers are there now. One that is missing later holds input that nobody has read yet.
                _state = _state with { IsReadingInput = isOpen, InputBuffers = Place(QueueToGuest(Port.Input)).Queue.Available };
                break;
            default:
                break;
        }
    }

    private void OnOutput(Port port, VirtioChain chain)
    {
        if (chain.ReadableLength > LongestOutput)
        {
            throw new GuestFaultException($"a command is to write {chain.ReadableLength} bytes at once, and {LongestOutput} is the most");
        }

        for (int offset = 0, length; (length = chain.Read(offset, _piece)) > 0; offset += length)
        {
            ReadOnlySpan<byte> piece = _piece.AsSpan(0, length);
            switch (port)
            {
                case Port.Output:
                    _streams.Write(piece);
                    BytesWritten += (ulong)length;
                    break;
                case Port.Errors:
                    _errors.Write(piece);
                    ErrorBytesWritten += (ulong)length;
                    break;
                case Port.Status:
                    string status = _state.Status + Encoding.Latin1.GetString(piece[..Math.Min(length, LongestStatus)]);
                    _state = _state with { Status = status[..Math.Min(status.Length, LongestStatus)] };
                    break;
                default:
                    break;
            }
        }
    }

    private void GiveArguments()
    {
        if (!_state.IsReadingArguments || _state.ArgumentsGiven > _arguments.Length)
        {
            return;
        }

        (Virtqueue queue, VirtioChain chain) = Place(QueueToGuest(Port.Arguments));
        while (_state.ArgumentsGiven < _arguments.Length && queue.TryPeek(chain))
        {
            int given = chain.Write(0, _arguments.AsSpan(_state.ArgumentsGiven));
            queue.Take();
            queue.Return(chain.Head, given);
            _state = _state with { ArgumentsGiven = _state.ArgumentsGiven + given };
            if (given == 0)
            {
                return;
            }
        }

        if (_state.ArgumentsGiven == _arguments.Length)
        {
            _state = _state with { ArgumentsGiven = _arguments.Length + 1 };
            Tell(Port.Arguments, ControlEvent.PortOpen, 0);
        }
    }

    private void GiveInput()
    {
        if (!_state.IsReadingInput || _state.IsInputOver || _slot is not { } slot)
        {
            return;
        }

        (Virtqueue queue, VirtioChain chain) = Place(QueueToGuest(Port.Input));
        if (queue.Available < Math.Max(1, _state.InputBuffers) || !queue.TryPeek(chain))
        {
            return;
        }

        Span<byte> room = _piece.AsSpan(0, Math.Min(chain.WritableLength, PieceSize));
        int length = !room.IsEmpty && _input.MayHave(slot.IsRepeatable) ? _input.Read(room, slot.IsRepeatable) : 0;
        if (length > 0)
        {
            chain.Write(0, room[..length]);
            queue.Take();
            queue.Return(chain.Head, length);
        }
        else if (_streams.EndOfInput)
        {
            _state = _state with { IsInputOver = true };
            Tell(Port.Input, ControlEvent.PortOpen, 0);
        }
    }

    private void Tell(Port port, ControlEvent what, ushort value, string text = "")
    {
        if (_messages.Count == MostMessages)
        {
            return;
        }

        byte[] message = new byte[MessageSize + text.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(message, (uint)port);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), (ushort)what);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(6), value);
        Encoding.ASCII.GetBytes(text, message.AsSpan(MessageSize));
        _messages.Enqueue(message);
    }

    private void SendMessages()
    {
        if (_messages.Count == 0)
        {
            return;
        }

        (Virtqueue queue, VirtioChain chain) = Place(ControlToGuest);
        while (queue.TryPeek(chain) && _messages.TryDequeue(out byte[]? message))
        {
            queue.Take();
            queue.Return(chain.Head, chain.Write(0, message));
        }
    }

    private (Virtqueue Queue, VirtioChain Chain) Place(int queue) => _slot is { } slot && _chain is { } chain
        ? (slot.Queue(queue), chain)
        : throw new InvalidOperationException("The device isn't attached to a bus.");
}

/// <summary>How far a guest is with its command, as a saved state has it.</summary>
internal sealed record VirtioCommandState
{
    /// <summary>Whether somebody in the guest has opened the arguments.</summary>
    public bool IsReadingArguments { get; init; }

    /// <summary>Bytes of them that the guest has been given; one more than there are once it has been told that these were all.</summary>
    public int ArgumentsGiven { get; init; }

    /// <summary>Whether somebody has opened the input.</summary>
    public bool IsReadingInput { get; init; }

    /// <summary>Buffers for input that were there when it was opened.</summary>
    public int InputBuffers { get; init; }

    /// <summary>Whether the guest has been told that there is no more input.</summary>
    public bool IsInputOver { get; init; }

    /// <summary>What has been written of the exit status.</summary>
    public string Status { get; init; } = string.Empty;

    /// <summary>Messages for which the guest has had no room yet, in hexadecimal.</summary>
    public IReadOnlyList<string> Messages { get; init; } = [];
}

/// <summary>Serialises without reflection.</summary>
[JsonSerializable(typeof(VirtioCommandState))]
internal sealed partial class VirtioCommandJson : JsonSerializerContext;
