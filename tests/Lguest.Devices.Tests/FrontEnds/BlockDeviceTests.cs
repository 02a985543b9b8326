using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Host.Bus;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.FrontEnds;

public sealed class BlockDeviceTests
{
    private const uint Reply = 0x1000;
    private const uint Request = 0x1100;
    private const uint First = 0x2000;
    private const uint Second = 0x8000;
    private const uint Read = 0;
    private const uint Write = 1;
    private const uint Flush = 2;
    private const uint Done = 1;
    private const uint Failed = 2;
    private const uint Irq = 1 << 1;

    [Theory]
    [InlineData(false, 0x8001)]
    [InlineData(true, 0x8003)]
    public void It_is_a_disk_with_one_page_that_can_flush(bool readOnly, int features)
    {
        using var device = new BlockDevice(new MemoryDisk(512) { IsReadOnly = readOnly }, NullLogger.Instance);

        Assert.Equal(new DeviceIdentity(DeviceType.Block, (ushort)features, 1), device.Identity);
    }

    [Theory]
    [InlineData(1024, 2u)]
    [InlineData(1535, 2u)]
    [InlineData(512, 1u)]
    public void Its_page_says_how_many_whole_sectors_there_are(int length, uint sectors)
    {
        using Bench bench = Make(new MemoryDisk(length), out _);

        Assert.Equal(sectors, bench.Memory.ReadUInt32(Bench.Page + 16, "num_sectors"));
    }

    [Fact]
    public void A_read_fills_the_bound_buffers_pages()
    {
        var disk = new MemoryDisk(4096);
        Random.Shared.NextBytes(disk.Contents);
        using Bench bench = Make(disk, out BlockDevice device);
        bench.WriteList(Reply, (First, 512), (Second, 512));

        Send(bench, Read, sector: 3, bytes: 1024);
        bench.ServiceUntilInterrupt();

        Assert.Equal(disk.Contents.AsSpan(3 * 512, 512).ToArray(), bench.Read(First, 512));
        Assert.Equal(disk.Contents.AsSpan(4 * 512, 512).ToArray(), bench.Read(Second, 512));
        Assert.Equal(1024u, bench.Used(Reply));
        Assert.Equal(0u, bench.Used(Request));
        Assert.Equal(Done, Result(bench));
        Assert.Equal(Irq, bench.Pending);
        Assert.Equal((1ul, 1024ul), (device.Statistics.Requests, device.Statistics.BytesRead));
    }

    [Fact]
    public void A_read_that_needs_no_waiting_is_answered_at_once()
    {
        var disk = new MemoryDisk(4096) { IsQuick = true };
        Random.Shared.NextBytes(disk.Contents);
        using Bench bench = Make(disk, out BlockDevice device);
        bench.WriteList(Reply, (First, 512));

        Send(bench, Read, sector: 5, bytes: 512);

        Assert.Equal(disk.Contents.AsSpan(5 * 512, 512).ToArray(), bench.Read(First, 512));
        Assert.Equal((512u, Done, Irq), (bench.Used(Reply), Result(bench), bench.Pending));
        Assert.Equal((1ul, 512ul), (device.Statistics.Requests, device.Statistics.BytesRead));
    }

    [Fact]
    public void A_read_that_needs_no_waiting_waits_for_the_write_before_it()
    {
        var disk = new MemoryDisk(512) { IsQuick = true };
        disk.Hold();
        using Bench bench = Make(disk, out _);
        bench.WriteList(Reply, (Second, 512));
        bench.Memory.Write(First, [1, 2, 3], "data");
        Send(bench, Write, 0, 512, (First, 512));
        Send(bench, Read, 0, 512);

        disk.Release();
        while (bench.Used(Reply) == 0)
        {
            bench.ClearInterrupts();
            bench.ServiceUntilInterrupt();
        }

        Assert.Equal(["write 0+512", "read 0+512"], disk.Log);
        Assert.Equal([1, 2, 3], bench.Read(Second, 3));
    }

    [Fact]
    public void A_write_takes_the_data_sent_and_leaves_the_bound_buffers_pages_alone()
    {
        var disk = new MemoryDisk(4096);
        using Bench bench = Make(disk, out BlockDevice device);
        bench.WriteList(Reply, (First, 4096), (0xf000_0000, 512));
        byte[] data = [.. Enumerable.Range(0, 1024).Select(value => (byte)(value * 7))];
        bench.Memory.Write(Second, data, "data");

        Send(bench, Write, sector: 1, bytes: 1024, (Second, 1000), (Second + 1000, 24));
        bench.ServiceUntilInterrupt();

        Assert.Equal(data, disk.Contents.AsSpan(512, 1024));
        Assert.Equal(0u, bench.Used(Reply));
        Assert.Equal(Done, Result(bench));
        Assert.Equal(new byte[4096], bench.Read(First, 4096));
        Assert.Equal(1024ul, device.Statistics.BytesWritten);
    }

    [Fact]
    public void A_write_takes_the_data_as_it_is_when_it_is_sent()
    {
        var disk = new MemoryDisk(512);
        disk.Hold();
        using Bench bench = Make(disk, out _);
        bench.Memory.Write(First, [1, 2, 3], "data");
        Send(bench, Write, 0, 512, (First, 512));
        bench.Memory.Write(First, [9, 9, 9], "data");

        disk.Release();
        bench.ServiceUntilInterrupt();

        Assert.Equal([1, 2, 3], disk.Contents[..3]);
    }

    [Fact]
    public void A_flush_is_done_after_the_writes_before_it()
    {
        var disk = new MemoryDisk(1024);
        using Bench bench = Make(disk, out BlockDevice device);
        Send(bench, Write, 0, 512, (First, 512));
        bench.ServiceUntilInterrupt();
        bench.ClearInterrupts();

        Send(bench, Flush, 0, 0);
        bench.ServiceUntilInterrupt();

        Assert.Equal(["write 0+512", "flush"], disk.Log);
        Assert.Equal(Done, Result(bench));
        Assert.Equal(1ul, device.Statistics.Flushes);
    }

    [Theory]
    [InlineData(Read, 8u, 512u, "beyond the end")]
    [InlineData(Read, 7u, 1024u, "across the end")]
    [InlineData(Read, uint.MaxValue, 512u, "far beyond the end")]
    [InlineData(Read, 0u, 100u, "not whole sectors")]
    [InlineData(Read, 0u, uint.MaxValue, "too long")]
    [InlineData(Write, 8u, 512u, "beyond the end")]
    [InlineData(Write, 7u, 1024u, "across the end")]
    [InlineData(Write, 0u, 1024u, "more than was sent")]
    [InlineData(3u, 0u, 512u, "of an unknown type")]
    [InlineData(uint.MaxValue, 0u, 512u, "of an unknown type")]
    public void A_bad_request_is_an_error_in_the_guest_and_never_reaches_the_disk(
        uint type, uint sector, uint bytes, string what)
    {
        var disk = new MemoryDisk(4096);
        using Bench bench = Make(disk, out BlockDevice device);
        bench.WriteList(Reply, (First, 4096));

        Send(bench, type, sector, bytes, (First, (ushort)(what == "more than was sent" ? 512 : bytes)));
        bench.ServiceUntilInterrupt();

        Assert.Equal(Failed, Result(bench));
        Assert.Equal(0u, bench.Used(Reply));
        Assert.Equal(Irq, bench.Pending);
        Assert.Empty(disk.Log);
        Assert.Equal(4096, disk.Contents.Length);
        Assert.Equal(1ul, device.Statistics.Errors);
    }

    [Fact]
    public void A_read_into_too_small_a_buffer_is_an_error_in_the_guest()
    {
        using Bench bench = Make(new MemoryDisk(4096), out _);
        bench.WriteList(Reply, (First, 512));

        Send(bench, Read, 0, 1024);
        bench.ServiceUntilInterrupt();

        Assert.Equal(Failed, Result(bench));
    }

    [Fact]
    public void A_write_to_a_read_only_disk_is_an_error_in_the_guest()
    {
        var disk = new MemoryDisk(4096) { IsReadOnly = true };
        using Bench bench = Make(disk, out _);

        Send(bench, Write, 0, 512, (First, 512));
        bench.ServiceUntilInterrupt();

        Assert.Equal(Failed, Result(bench));
        Assert.Empty(disk.Log);
    }

    [Theory]
    [InlineData(Read, 512u)]
    [InlineData(Write, 512u)]
    [InlineData(Flush, 0u)]
    public void The_hosts_error_is_an_error_in_the_guest(uint type, uint bytes)
    {
        using Bench bench = Make(new MemoryDisk(4096) { IsBroken = true }, out _);
        bench.WriteList(Reply, (First, 512));

        Send(bench, type, 0, bytes, (First, (ushort)bytes));
        bench.ServiceUntilInterrupt();

        Assert.Equal(Failed, Result(bench));
        Assert.Equal(new byte[512], bench.Read(First, 512));
    }

    [Fact]
    public void A_slow_disk_does_not_stop_the_guest()
    {
        var disk = new MemoryDisk(4096);
        disk.Hold();
        using Bench bench = Make(disk, out _);
        bench.WriteList(Reply, (First, 512));

        Send(bench, Read, 0, 512);
        bench.Service();
        Assert.Equal(0u, bench.Pending);

        disk.Release();
        bench.ServiceUntilInterrupt();
        Assert.Equal(Done, Result(bench));
    }

    [Fact]
    public void In_virtual_time_a_request_takes_exactly_its_delay()
    {
        using Bench bench = Make(new MemoryDisk(4096), out _, ClockKind.Virtual);
        bench.WriteList(Reply, (First, 512));

        Send(bench, Read, 0, 512);
        Thread.Sleep(20);
        bench.Pass(IDiskDevice.VirtualDelay - 1);
        Assert.Equal(0u, bench.Pending);

        bench.Pass(1);
        Assert.Equal(Irq, bench.Pending);
    }

    [Fact]
    public void In_virtual_time_the_guest_waits_for_a_slow_disk()
    {
        var disk = new MemoryDisk(4096);
        disk.Hold();
        using Bench bench = Make(disk, out _, ClockKind.Virtual);
        bench.WriteList(Reply, (First, 512));
        Send(bench, Read, 0, 512);
        using var timer = new Timer(_ => disk.Release(), null, 30, Timeout.Infinite);

        bench.Pass(IDiskDevice.VirtualDelay);

        Assert.Equal(Done, Result(bench));
    }

    [Fact]
    public void An_answer_that_nobody_has_bound_a_buffer_for_kills()
    {
        using Bench bench = Make(new MemoryDisk(4096), out _, ClockKind.Virtual);
        bench.Router.Unbind(Bench.Page, Reply);
        Send(bench, Flush, 0, 0);

        GuestFaultException fault = Assert.Throws<GuestFaultException>(() => bench.Pass(IDiskDevice.VirtualDelay));

        Assert.Equal("the guest has bound no buffer for the answer of disk.img", fault.Message);
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void An_answer_waits_for_the_guest_to_free_its_buffer(ClockKind clock)
    {
        using Bench bench = Make(new MemoryDisk(4096), out _, clock);
        bench.SetUsed(Reply, 1);
        Send(bench, Flush, 0, 0);
        for (int i = 0; i < 20; i++)
        {
            Thread.Sleep(1);
            bench.Pass(IDiskDevice.VirtualDelay);
        }

        Assert.Equal(0u, bench.Pending);

        bench.SetUsed(Reply, 0);
        bench.ServiceUntilInterrupt();
        Assert.Equal(Done, Result(bench));
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void Many_requests_at_once_are_answered_in_order(ClockKind clock)
    {
        var disk = new MemoryDisk(64 * 512);
        using Bench bench = Make(disk, out BlockDevice device, clock);
        for (uint i = 0; i < 40; i++)
        {
            Send(bench, Write, i, 512, (First, 512));
        }

        while (device.State.Requests.Count > 0)
        {
            bench.Pass(IDiskDevice.VirtualDelay);
        }

        bench.Pass(IDiskDevice.VirtualDelay);
        Assert.Equal(Enumerable.Range(0, 40).Select(i => $"write {i * 512}+512"), disk.Log);
        Assert.Equal(40ul * 512, device.Statistics.BytesWritten);
        Assert.Equal((0, 0), (device.State.Due, device.State.Early));
    }

    [Fact]
    public void Requests_without_end_and_without_a_free_buffer_kill()
    {
        using Bench bench = Make(new MemoryDisk(4096), out _);
        bench.SetUsed(Reply, 1);

        GuestFaultException fault = Assert.Throws<GuestFaultException>(() =>
        {
            for (int i = 0; i < 17; i++)
            {
                Send(bench, Flush, 0, 0);
            }
        });

        Assert.Equal("16 requests to disk.img wait for a free reply buffer", fault.Message);
    }

    [Fact]
    public void What_the_guest_has_sent_is_written_even_if_it_ends_at_once()
    {
        var disk = new MemoryDisk(512);
        using (Bench bench = Make(disk, out _))
        {
            bench.Memory.Write(First, [5], "data");
            Send(bench, Write, 0, 512, (First, 512));
        }

        Assert.Equal(5, disk.Contents[0]);
        Assert.True(disk.IsDisposed);
    }

    [Fact]
    public void Requests_in_flight_can_be_saved_and_restored()
    {
        var disk = new MemoryDisk(4096);
        disk.Contents[5] = 77;
        using Bench bench = Make(disk, out BlockDevice device);
        Send(bench, Read, 0, 512);
        string state = device.Save();

        using Bench other = Make(new MemoryDisk(4096), out BlockDevice otherDevice);
        other.WriteList(Reply, (First, 512));
        otherDevice.Restore(state);
        other.ServiceUntilInterrupt();

        Assert.Equal(77, other.Read(First, 6)[5]);
        Assert.Equal(Done, Result(other));
    }

    private static Bench Make(MemoryDisk disk, out BlockDevice device, ClockKind clock = ClockKind.Real)
    {
        device = new BlockDevice(disk, NullLogger.Instance);
        var bench = new Bench(device, clock);
        bench.WriteList(Reply);
        bench.Router.Bind(Bench.Page, Reply, 1, 1);
        return bench;
    }

    private static void Send(
        Bench bench, uint type, uint sector, uint bytes, params (uint Address, ushort Length)[] data)
    {
        bench.Memory.WriteUInt32(Bench.Page, type, "type");
        bench.Memory.WriteUInt32(Bench.Page + 4, sector, "sector");
        bench.Memory.WriteUInt32(Bench.Page + 8, bytes, "bytes");
        bench.Memory.WriteUInt32(Bench.Page + 12, 0, "result");
        bench.WriteList(Request, data);
        bench.Router.Send(Bench.Page, Request);
    }

    private static uint Result(Bench bench) => bench.Memory.ReadUInt32(Bench.Page + 12, "result");
}
