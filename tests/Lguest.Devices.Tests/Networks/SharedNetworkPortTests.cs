using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Lguest.Devices.Tests.FrontEnds;
using Lguest.Devices.Tests.Networks.Segments;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.Networks;

/// <summary>A network of guests as one sees it that has a network card.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class SharedNetworkPortTests : IDisposable
{
    private const int PageOfAddresses = 6;

    private static readonly byte[] First = [2, 0, 0, 0, 0, 1];
    private static readonly byte[] Second = [2, 0, 0, 0, 0, 2];
    private static readonly byte[] Everybody = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    private readonly string _folder = Directory.CreateTempSubdirectory("lguest-port").FullName;
    private readonly List<IDisposable> _ports = [];

    public SharedNetworkPortTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Shared networks need Linux.");

    private string Path => System.IO.Path.Combine(_folder, "net");

    public void Dispose()
    {
        _ports.ForEach(port => port.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_frame_goes_to_the_one_whose_address_it_has_and_one_for_all_to_all()
    {
        SharedNetworkPort first = Join(First);
        SharedNetworkPort second = Join(Second);
        SharedNetworkPort third = Join([2, 0, 0, 0, 0, 3]);

        Assert.True(first.Send(To(Second, 60), largest: 0));
        Assert.True(first.Send(To(Everybody, 61), largest: 0));

        Assert.Equal([To(Second, 60), To(Everybody, 61)], Received(second));
        Assert.Equal([To(Everybody, 61)], Received(third));
        Assert.Empty(Received(first));
    }

    [Fact]
    public void Nobody_who_wants_a_frame_is_no_error()
    {
        SharedNetworkPort first = Join(First);

        Assert.True(first.Send(To(Second, 60), largest: 0));
    }

    [Fact]
    public void Who_wants_every_frame_gets_it_as_far_as_there_is_room()
    {
        SharedNetworkPort first = Join(First);
        SharedNetworkPort second = Join([3, 0, 0, 0, 0, 2]);

        for (int i = 0; i < 20; i++)
        {
            Assert.True(first.Send(To([2, 9, 9, 9, 9, 9], 60), largest: 0));
        }

        Assert.Equal(16, Received(second).Length);
    }

    [Fact]
    public void Frames_wait_until_they_are_removed_and_the_sender_learns_when_there_is_no_room()
    {
        SharedNetworkPort first = Join(First);
        SharedNetworkPort second = Join(Second);

        int sent = 0;
        while (first.Send(To(Second, 60 + sent), largest: 0))
        {
            sent++;
        }

        Assert.Equal(16, sent);
        Assert.Equal(Enumerable.Range(0, sent).Select(i => 60 + i), Received(second).Select(frame => frame.Length));
        Assert.True(first.Send(To(Second, 60), largest: 0));
    }

    [Fact]
    public void Guests_of_the_lguest_bus_and_those_with_cards_reach_each_other()
    {
        SharedNetworkPort card = Join(First);
        using var peer = new Peer(Path);
        peer.Bench.Memory.Write(Bench.Page + (uint)(peer.Slot * PageOfAddresses), Second, "a slot");
        peer.Bind();

        Assert.Equal(First, peer.Bench.Read(Bench.Page, PageOfAddresses));
        Assert.True(card.Send(To(Second, 100), largest: 0));
        peer.Bench.Service();
        Assert.Equal(To(Second, 100), peer.Received(0));

        Assert.Equal(80u, peer.SendTo(0, To(First, 80)));
        Assert.Equal([To(First, 80)], Received(card));
    }

    [Fact]
    public void What_others_leave_unfinished_is_finished_when_it_arrives()
    {
        SharedNetworkPort card = Join(First);
        using var peer = new Peer(Path);
        peer.Bench.SetStatus(0x000f);
        byte[] segment = TestFrame.Unfinished(3500);

        Assert.Equal((uint)segment.Length, peer.SendTo(0, segment, request: 1000));
        Assert.NotEqual(0u, peer.SendTo(0, TestFrame.Unfinished(100), request: 65535));
        Assert.NotEqual(0u, peer.SendTo(0, TestFrame.Finished(100)));

        byte[][] received = Received(card);
        Assert.Equal(6, received.Length);
        Assert.All(received, frame => TestFrame.AssertRight(frame));
        Assert.Equal(TestFrame.Payload(segment), received[..4].SelectMany(frame => TestFrame.Payload(frame)));
    }

    [Fact]
    public void A_long_segment_is_split_on_its_way_out()
    {
        SharedNetworkPort first = Join(First);
        SharedNetworkPort second = Join(Second);
        byte[] segment = TestFrame.Unfinished(3500);
        Second.CopyTo(segment, 0);

        Assert.True(first.Send(segment, largest: 1000));

        byte[][] received = Received(second);
        Assert.Equal(4, received.Length);
        Assert.All(received, frame => TestFrame.AssertRight(frame));
    }

    [Fact]
    public void What_is_no_frame_is_not_shown()
    {
        SharedNetworkPort card = Join(First);
        using var peer = new Peer(Path);

        Assert.Equal(13u, peer.SendTo(0, To(First, 13)));
        Assert.Equal(14u, peer.SendTo(0, To(First, 14)));

        Assert.Equal([To(First, 14)], Received(card));
    }

    [Fact]
    public void Who_sends_without_end_what_is_no_frame_does_not_keep_the_guest_from_running()
    {
        int calls = 0;
        SharedNetworkPort port = Join(First, () => Interlocked.Increment(ref calls));
        using var file = SharedFile.Open(Path);
        SharedMemory memory = file.Memory;
        bool isOver = false;
        var flood = new Thread(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                FillAllWithNothing(memory);
            }
        });
        flood.Start();
        try
        {
            for (int i = 0; i < 200; i++)
            {
                uint before = memory.Sequence(0, 0);
                Assert.False(port.TryPeek(out _, out _));

                // An offer for each message that was looked at.
                Assert.InRange(memory.Sequence(0, 0) - before, 0u, 256u + 16);
            }
        }
        finally
        {
            Volatile.Write(ref isOver, true);
            flood.Join();
        }

        Assert.NotEqual(0, calls);
    }

    [Fact]
    public void Who_leaves_is_sent_nothing_more()
    {
        SharedNetworkPort first = Join(First);
        using (SharedNetworkPort second = Join(Second))
        {
            first.Send(To(Second, 60), largest: 0);
        }

        Assert.True(first.Send(To(Second, 60), largest: 0));
        using var peer = new Peer(Path);
        Assert.Equal(0, peer.Bench.Read(Bench.Page + PageOfAddresses, 1)[0]);
    }

    [Fact]
    public async Task A_guest_that_waits_is_woken()
    {
        using var woken = new SemaphoreSlim(0);
        SharedNetworkPort first = Join(First);
        SharedNetworkPort second = Join(Second, () => woken.Release());
        Assert.Empty(Received(second));
        await Task.Delay(50, TestContext.Current.CancellationToken);
        while (await woken.WaitAsync(0, TestContext.Current.CancellationToken))
        {
        }

        first.Send(To(Second, 60), largest: 0);

        Assert.True(await woken.WaitAsync(500, TestContext.Current.CancellationToken));
        Assert.Single(Received(second));
    }

    /// <summary>Says of whatever the first guest offers that it is filled, with no byte.</summary>
    private static void FillAllWithNothing(SharedMemory memory)
    {
        for (int entry = 0; entry < SharedLayout.Entries; entry++)
        {
            ref ulong word = ref memory.Entry(0, 0, entry);
            var state = new EntryState(Volatile.Read(ref word));
            if (state.Phase == EntryPhase.Offered)
            {
                Interlocked.CompareExchange(ref word, state.Claim(1, 1).Fill(0).Word, state.Word);
            }
        }
    }

    private static byte[] To(byte[] address, int length) => [.. address, .. Peer.Frame(length - address.Length)];

    private static byte[][] Received(SharedNetworkPort port)
    {
        var frames = new List<byte[]>();
        while (port.TryPeek(out ReadOnlySpan<byte> frame, out int largest))
        {
            Assert.Equal(0, largest);
            frames.Add(frame.ToArray());
            port.Remove();
        }

        return [.. frames];
    }

    private SharedNetworkPort Join(byte[] address, Action? attention = null)
    {
        var port = new SharedNetworkPort(SharedNetwork.Join(Path, NullLogger.Instance));
        _ports.Add(port);
        port.TakeGuestAddress(address);
        port.Start(attention ?? (() => { }));
        return port;
    }
}
