using System.Buffers.Binary;
using System.Text;
using Lguest.Devices.Tests.FrontEnds;
using Lguest.Devices.Virtio;
using Lguest.Host.Abi;
using static Lguest.Host.Tests.Virtio.VirtioGuest;

namespace Lguest.Host.Tests.Virtio;

/// <summary>A command as the ports of a virtio console, with the test in the driver's place.</summary>
public sealed class VirtioCommandTests : IDisposable
{
    private const int ControlToGuest = 2;
    private const int ControlFromGuest = 3;
    private const uint ArgumentsPort = 0;
    private const uint InputPort = 1;
    private const int InputQueue = 4;
    private const int OutputQueue = 7;
    private const int ErrorsQueue = 9;
    private const int StatusQueue = 11;

    private const ushort DeviceReady = 0;
    private const ushort PortReady = 3;
    private const ushort PortOpen = 6;

    private const uint Messages = Buffers;
    private const uint Sent = Buffers + 0x4000;
    private const uint Received = Buffers + 0x8000;

    private readonly FakePort _streams = new();
    private readonly FakePort _errors = new();
    private readonly VirtioCommand _command;
    private readonly VirtioGuest _guest;
    private uint _sent = Sent;

    public VirtioCommandTests()
    {
        _command = new VirtioCommand(["echo"u8.ToArray(), [], "b c"u8.ToArray()], _streams, _errors);
        _guest = new VirtioGuest(KnownAbis.Linux31, ClockKind.Real, _command);
        for (uint i = 0; i < 32; i++)
        {
            _guest.MakeAvailable(ControlToGuest, (Messages + (i * 64), 64, true));
        }
    }

    public void Dispose() => _guest.Dispose();

    [Fact]
    public void Only_kernels_whose_console_has_ports_can_be_given_a_command() => Assert.Equal(
        ["3.1", "3.1-pae", "4.0", "4.0-pae", "4.1", "4.1-pae", "4.10", "4.10-pae"], KnownAbis.All.Where(abi => abi.HasConsolePorts).Select(abi => abi.Id));

    [Fact]
    public void Each_port_is_added_named_and_connected_as_the_driver_asks_for_it()
    {
        Control(uint.MaxValue, DeviceReady, 1);
        Control(2, PortReady, 1);

        Assert.Equal(
            ["0 1 1 ", "1 1 1 ", "2 1 1 ", "3 1 1 ", "4 1 1 ", "2 7 1 lguest.stdout", "2 6 1 "], Told());
        Assert.Equal(5u, BinaryPrimitives.ReadUInt32LittleEndian(_command.Configuration.Span[4..]));
    }

    [Fact]
    public void Arguments_come_once_somebody_has_opened_them_and_then_their_end()
    {
        _guest.MakeAvailable(0, (Received, 7, true));
        _guest.MakeAvailable(0, (Received + 7, 64, true));
        _command.OnNotify(0);
        Assert.Empty(_guest.Used(0));

        Control(ArgumentsPort, PortOpen, 1);

        Assert.Equal([(0u, 7u), (1u, 3u)], _guest.Used(0));
        Assert.Equal("echo\0\0b c\0"u8.ToArray(), _guest.Bytes(Received, 10));
        Assert.Equal(["0 6 0 "], Told());
    }

    [Fact]
    public void Output_errors_and_status_are_told_apart()
    {
        Write(OutputQueue, "out");
        Write(ErrorsQueue, "err");
        Assert.Null(_command.ExitStatus);
        Write(StatusQueue, "4");
        Assert.Null(_command.ExitStatus);
        Write(StatusQueue, "2\n7\n");

        Assert.Equal(("out", "err", 42), (string.Concat(_streams.Writes), string.Concat(_errors.Writes), _command.ExitStatus));
        Assert.Equal((3ul, 3ul), (_command.BytesWritten, _command.ErrorBytesWritten));
    }

    [Theory]
    [InlineData("256\n")]
    [InlineData("-1\n")]
    [InlineData("\n")]
    [InlineData("77777777777777777777777777777777777777\n")]
    public void What_is_no_status_is_none(string text)
    {
        Write(StatusQueue, text);

        Assert.Null(_command.ExitStatus);
    }

    [Fact]
    public void Input_is_read_once_it_is_opened_and_a_piece_at_a_time_as_the_guest_reads()
    {
        for (uint i = 0; i < 4; i++)
        {
            _guest.MakeAvailable(InputQueue, (Received + (i * 16), 4, true));
        }

        _streams.Type("0123456");
        _command.Service();
        Assert.Equal(0ul, _command.BytesRead);

        Control(InputPort, PortOpen, 1);
        _command.Service();
        Assert.Equal([(0u, 4u)], _guest.Used(InputQueue));

        // All of it was read: the driver gives the buffer back.
        _guest.MakeAvailable(InputQueue, (Received + 64, 4, true));
        _command.OnNotify(InputQueue);

        Assert.Equal([(0u, 4u), (1u, 3u)], _guest.Used(InputQueue));
        Assert.Equal("0123"u8.ToArray(), _guest.Bytes(Received, 4));
        Assert.Equal("456"u8.ToArray(), _guest.Bytes(Received + 16, 3));
        Assert.Empty(Told());
        _streams.IsClosed = true;
        _guest.MakeAvailable(InputQueue, (Received + 80, 4, true));
        _command.OnNotify(InputQueue);
        Assert.Equal(["1 6 0 "], Told());
    }

    [Fact]
    public void A_saved_command_goes_on_where_it_was()
    {
        _guest.MakeAvailable(0, (Received, 4, true));
        Control(ArgumentsPort, PortOpen, 1);
        Write(StatusQueue, "3");
        string saved = _command.Save();
        Write(StatusQueue, "9\n");

        _command.Restore(saved);
        Write(StatusQueue, "\n");
        _guest.MakeAvailable(0, (Received + 4, 64, true));
        _command.OnNotify(0);

        Assert.Equal(3, _command.ExitStatus);
        Assert.Equal("echo\0\0b c\0"u8.ToArray(), _guest.Bytes(Received, 10));
    }

    [Fact]
    public void A_driver_that_asks_without_listening_costs_no_memory_and_one_that_writes_too_much_is_over()
    {
        for (int i = 0; i < 100; i++)
        {
            Control(uint.MaxValue, DeviceReady, 1);
            Control(0x1234_5678, PortReady, 1);
        }

        Assert.Equal(32, Told().Length);
        Assert.InRange(_command.Save().Length, 1, 5000);
        _guest.MakeAvailable(OutputQueue, (0, 0x1_0001, false));
        Assert.Throws<GuestFaultException>(() => _command.OnNotify(OutputQueue));
    }

    [Fact]
    public void After_a_reset_the_ports_begin_anew()
    {
        _guest.MakeAvailable(0, (Received, 64, true));
        _guest.MakeAvailable(0, (Received + 64, 64, true));
        Control(ArgumentsPort, PortOpen, 1);

        _command.OnReset();
        Control(ArgumentsPort, PortOpen, 1);

        Assert.Equal([(0u, 10u), (1u, 10u)], _guest.Used(0));
    }

    private void Control(uint port, ushort what, ushort value)
    {
        byte[] message = new byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(message, port);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), what);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(6), value);
        Send(ControlFromGuest, message);
    }

    private void Write(int queue, string text) => Send(queue, Encoding.ASCII.GetBytes(text));

    private void Send(int queue, byte[] bytes)
    {
        _guest.Write(_sent, bytes);
        _guest.MakeAvailable(queue, (_sent, (uint)bytes.Length, false));
        _command.OnNotify(queue);
        _sent += (uint)bytes.Length;
    }

    /// <summary>What the host has told the driver: port, event, value, text.</summary>
    private string[] Told() =>
    [
        .. _guest.Used(ControlToGuest).Select(used =>
        {
            byte[] message = _guest.Bytes(Messages + (used.Head * 64), (int)used.Length);
            return $"{BinaryPrimitives.ReadUInt32LittleEndian(message)} {BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(4))} "
                + $"{BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(6))} {Encoding.ASCII.GetString(message.AsSpan(8))}";
        }),
    ];
}
