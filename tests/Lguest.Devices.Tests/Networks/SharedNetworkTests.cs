using Lguest.Devices.Backends;
using Lguest.Devices.Networks.Peers;
using Lguest.Devices.Tests.FrontEnds;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.Networks;

/// <summary>The file in which guests meet: who may join, who is there, and what becomes of those who vanish.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed unsafe class SharedNetworkTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lguest-shared").FullName;

    public SharedNetworkTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Shared networks need Linux.");

    private string Path => System.IO.Path.Combine(_folder, "net");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_missing_file_is_made_for_its_owner_alone_and_takes_little_room()
    {
        using SharedNetwork network = Join();

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
        Assert.Equal(0, network.Slot);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4096)]
    public void An_empty_file_and_one_of_a_page_will_do(int length)
    {
        File.WriteAllBytes(Path, new byte[length]);

        Join().Dispose();
        Join().Dispose();
    }

    [Fact]
    public void What_is_no_network_is_refused_and_left_as_it_is()
    {
        byte[] page = new byte[4096];
        Array.Fill(page, (byte)'x');
        AssertRefused(page, "is something else");
        AssertRefused(page[..100], "is something else");
        AssertRefused([.. page, .. page], "is something else");
    }

    [Fact]
    public void A_network_of_another_version_is_refused()
    {
        using (Join())
        {
        }

        using (FileStream file = File.OpenWrite(Path))
        {
            file.Position = SharedLayout.Header + 6;
            file.WriteByte(99);
        }

        Assert.Contains("another version of lguest", Assert.Throws<BackendException>(Join).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_a_pipe_and_a_place_that_is_not_there_are_refused()
    {
        Assert.Contains("is a directory", Assert.Throws<BackendException>(() => Join(_folder)).Message, StringComparison.Ordinal);
        Assert.Contains("is in a folder that does not exist", Assert.Throws<BackendException>(() => Join(Path + "/none/net")).Message, StringComparison.Ordinal);
        Assert.Contains("is not a regular file", Assert.Throws<BackendException>(() => Join("/dev/null")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_file_is_the_same_network_by_whatever_path()
    {
        using SharedNetwork network = Join();
        File.CreateSymbolicLink(Path + ".link", Path);
        using SharedNetwork same = Join(Path + ".link");
        using SharedNetwork other = Join(Path + ".other");

        Assert.True(network.IsSameAs(same));
        Assert.False(network.IsSameAs(other));
        Assert.Equal((0, 1, 0), (network.Slot, same.Slot, other.Slot));
    }

    [Fact]
    public void Sixty_four_guests_fit_and_one_more_is_told()
    {
        var networks = Enumerable.Range(0, 64).Select(_ => Join()).ToList();

        Assert.Equal(Enumerable.Range(0, 64), networks.Select(network => network.Slot));
        Assert.Contains("64 guests are in it already", Assert.Throws<BackendException>(Join).Message, StringComparison.Ordinal);

        networks[17].Dispose();
        using SharedNetwork next = Join();
        Assert.Equal(17, next.Slot);
        networks.ForEach(network => network.Dispose());
    }

    [Fact]
    public void A_slot_that_another_program_has_locked_is_left_alone()
    {
        using var other = SharedFile.Open(Path);
        Assert.True(other.TryLock(0));
        other.Memory.Addresses[0] = 2;

        using SharedNetwork network = Join();

        Assert.Equal(1, network.Slot);
        Assert.Equal(2, other.Memory.Addresses[0]);
    }

    [Fact]
    public void An_id_is_one_guests_as_long_as_it_is_there()
    {
        using SharedNetwork first = Join();
        SharedNetwork second = Join();

        Assert.True(second.TryReserve(7));
        Assert.False(first.TryReserve(7));
        Assert.True(first.TryReserve(8));
        second.Dispose();
        Assert.True(first.TryReserve(7));
    }

    [Fact]
    public void What_the_dead_leave_is_cleared_by_who_comes_and_by_who_is_there()
    {
        using var first = new Peer(Path);
        using var file = SharedFile.Open(Path);
        LeaveRemains(file, 5);

        // Once a second somebody looks.
        Assert.True(SpinWait.SpinUntil(() => file.Memory.Addresses[30] == 0, TimeSpan.FromSeconds(30)));
        Assert.True(SpinWait.SpinUntil(() => file.Memory.Members == 1, TimeSpan.FromSeconds(30)));
        Assert.Equal(0ul, file.Memory.Receivers(20));

        LeaveRemains(file, 6);
        Join().Dispose();
        Assert.Equal((0, 1ul), (file.Memory.Addresses[36], file.Memory.Members));
    }

    [Fact]
    public void Who_leaves_takes_its_address_along()
    {
        using var file = SharedFile.Open(Path);
        using (var peer = new Peer(Path))
        {
            peer.Bind();
            file.Memory.Addresses[0] = 2;
            Assert.Equal(1ul, file.Memory.Receivers(0));
        }

        Assert.Equal((0, 0ul, 0ul), (file.Memory.Addresses[0], file.Memory.Members, file.Memory.Receivers(0)));
        Assert.False(file.IsLocked(0));
    }

    [Fact]
    public void A_claim_of_somebody_who_has_died_is_taken_back()
    {
        using var receiver = new Peer(Path);
        using var sender = new Peer(Path);
        using var file = SharedFile.Open(Path);
        receiver.Bind(buffers: 1);
        Claim(file, 0, slot: 9);

        Assert.True(SpinWait.SpinUntil(() => CanSend(sender, receiver), TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void A_claim_of_somebody_who_is_stopped_is_revoked_and_its_memory_is_not_used_again_before_it_says_so()
    {
        using var receiver = new Peer(Path);
        using var sender = new Peer(Path);
        using var file = SharedFile.Open(Path);
        receiver.Bind(buffers: 1);
        Assert.True(file.TryLock(9));
        EntryState claim = Claim(file, 0, slot: 9);

        Assert.True(SpinWait.SpinUntil(() => CanSend(sender, receiver), TimeSpan.FromSeconds(30)));
        for (int i = 0; i < 100; i++)
        {
            receiver.Bench.Service();
            receiver.Free(0);
            receiver.Bench.Service();
            Assert.Equal(60u, sender.Send(receiver, Peer.Frame(60)));
            Assert.Equal(claim.Revoke(), new EntryState(file.Memory.Entry(0, 0, 0)));
        }
    }

    [Fact]
    public void A_stopped_sender_holds_up_nobody_else_and_its_successor_in_the_slot_inherits_no_claim()
    {
        using var file = SharedFile.Open(Path);
        using (var receiver = new Peer(Path))
        {
            receiver.Bind(buffers: 8);
            Assert.True(file.TryLock(9));
            Claim(file, 0, slot: 9);
            using var sender = new Peer(Path);

            Assert.Equal(60u, sender.Send(receiver, Peer.Frame(60)));
            receiver.Bench.Service();
            Assert.Equal((60u, 0u), (receiver.Used(0), receiver.Used(1)));
        }

        // The next owner of the slot goes round what is still being written.
        using var next = new Peer(Path);
        next.Bind(buffers: 8);
        Assert.Equal(EntryPhase.Revoked, new EntryState(file.Memory.Entry(0, 0, 0)).Phase);
        Assert.Equal(EntryPhase.Offered, new EntryState(file.Memory.Entry(0, 0, 1)).Phase);
    }

    [Theory]
    [InlineData(0u, 1u, true)]
    [InlineData(1u, 0u, false)]
    [InlineData(0xff_ffffu, 0u, true)]
    [InlineData(0u, 0xff_ffffu, false)]
    public void Which_of_two_offers_is_older_is_known_also_when_their_numbers_wrap(uint first, uint second, bool isOlder) =>
        Assert.Equal(isOlder, EntryState.Offer(first, 1).IsOlderThan(EntryState.Offer(second, 1)));

    [Fact]
    public void A_state_keeps_what_is_put_into_it()
    {
        EntryState filled = EntryState.Offer(0xab_cdef, 65536).Claim(63, 0xffff).Fill(65536);

        Assert.Equal((EntryPhase.Filled, 65536, 63, 0xab_cdefu), (filled.Phase, filled.Length, filled.Slot, filled.Sequence));
        Assert.True(filled.IsOf(0x3fff));
        Assert.False(filled.IsOf(0x3ffe));
        Assert.Equal(65536, EntryState.Offer(1, 65536).Length);
    }

    private static bool CanSend(Peer sender, Peer receiver)
    {
        receiver.Bench.Service();
        return sender.Send(receiver, Peer.Frame(60)) == 60;
    }

    /// <summary>Claims an entry of slot 0's first inbox, as somebody does who then writes, and never gets to the end.</summary>
    private static EntryState Claim(SharedFile file, int entry, int slot)
    {
        ref ulong word = ref file.Memory.Entry(0, 0, entry);
        Assert.Equal(EntryPhase.Offered, new EntryState(word).Phase);
        EntryState claim = new EntryState(word).Claim(slot, file.Memory.Incarnation(slot));
        word = claim.Word;
        return claim;
    }

    private static void LeaveRemains(SharedFile file, int slot)
    {
        Interlocked.Or(ref file.Memory.Members, SlotTable.Bit(slot));
        Interlocked.Or(ref file.Memory.Receivers(slot * 4), SlotTable.Bit(slot));
        file.Memory.Addresses[slot * 6] = 2;
    }

    private SharedNetwork Join() => Join(Path);

    private static SharedNetwork Join(string path) => SharedNetwork.Join(path, NullLogger.Instance);

    private void AssertRefused(byte[] contents, string why)
    {
        File.WriteAllBytes(Path, contents);
        Assert.Contains(why, Assert.Throws<BackendException>(Join).Message, StringComparison.Ordinal);
        Assert.Equal(contents, File.ReadAllBytes(Path));
        File.Delete(Path);
    }
}
