using System.Diagnostics;
using System.IO.Pipes;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Tests.Backends;

public sealed class DescriptorStreamTests : IDisposable
{
    private readonly AnonymousPipeServerStream _reader = new(PipeDirection.In);
    private readonly AnonymousPipeClientStream _writer;

    public DescriptorStreamTests() => _writer = new AnonymousPipeClientStream(PipeDirection.Out, _reader.ClientSafePipeHandle);

    public void Dispose()
    {
        _writer.Dispose();
        _reader.Dispose();
    }

    [Fact]
    public void Bytes_come_out_as_they_went_in()
    {
        using var output = new DescriptorStream(Descriptor(_writer));
        using var input = new DescriptorStream(Descriptor(_reader));
        byte[] buffer = new byte[100];

        output.Write("hello"u8);

        Assert.Equal(5, input.Read(buffer));
        Assert.Equal("hello"u8.ToArray(), buffer[..5]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void More_than_a_pipe_holds_is_written_whole_also_where_nothing_blocks(bool nonBlocking)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Descriptors are made non-blocking through Linux's flags here.");
        byte[] sent = [.. Enumerable.Range(0, 1_000_000).Select(i => (byte)(i % 251))];
        if (nonBlocking)
        {
            SetNonBlocking(Descriptor(_writer));
            SetNonBlocking(Descriptor(_reader));
        }

        var writer = new Thread(() =>
        {
            using var output = new DescriptorStream(Descriptor(_writer));
            output.Write(sent);
            _writer.Dispose();
        });
        writer.Start();

        using var input = new DescriptorStream(Descriptor(_reader));
        var received = new MemoryStream();
        byte[] buffer = new byte[10_000];
        int count;
        while ((count = input.Read(buffer)) > 0)
        {
            received.Write(buffer, 0, count);
        }

        writer.Join();
        Assert.Equal(sent, received.ToArray());
    }

    [Fact]
    public void Who_reads_nothing_is_waited_for_as_long_as_there_is_patience()
    {
        var patience = new WritePatience();
        using var output = new DescriptorStream(Descriptor(_writer), patience);
        IOException? error = null;
        var writer = new Thread(() => error = Assert.Throws<IOException>(() => output.Write(new byte[1_000_000])));
        writer.Start();
        Assert.False(writer.Join(TimeSpan.FromMilliseconds(500)));

        patience.EndIn(TimeSpan.Zero);
        patience.EndIn(TimeSpan.FromHours(1));

        writer.Join();
        Assert.Equal("nobody reads it", error?.Message);
        Assert.Throws<IOException>(() => output.Write("x"u8));
        using var input = new DescriptorStream(Descriptor(_reader));
        Assert.Equal(60_000, input.Read(new byte[60_000]));
        output.Write("x"u8);
    }

    [Fact]
    public void A_reader_that_has_gone_is_an_error_and_no_more()
    {
        using var output = new DescriptorStream(Descriptor(_writer));
        _reader.Dispose();

        var error = Assert.Throws<IOException>(() => output.Write("x"u8));

        Assert.Equal("Broken pipe", error.Message);
    }

    [Fact]
    public void A_pipe_is_no_terminal() => Assert.False(DescriptorStream.IsTerminal(Descriptor(_reader)));

    private static int Descriptor(PipeStream pipe) => (int)pipe.SafePipeHandle.DangerousGetHandle();

    private static void SetNonBlocking(int descriptor)
    {
        const int GetFlags = 3;
        const int SetFlags = 4;
        const int NonBlocking = 2048;
        Assert.True(SystemCalls.Fcntl(descriptor, SetFlags, SystemCalls.Fcntl(descriptor, GetFlags, 0) | NonBlocking) >= 0);
    }
}
