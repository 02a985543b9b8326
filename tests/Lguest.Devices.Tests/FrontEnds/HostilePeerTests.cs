using Lguest.Devices.Networks.Peers;
using Lguest.Devices.Tests.Networks.Segments;
using Lguest.Host;
using Lguest.Host.Dma;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>Guests, and whole processes, that mean no good to those with whom they share a network.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class HostilePeerTests : IDisposable
{
    private const int Attempts = 100_000;
    private const int Seed = 2623;

    private readonly string _folder = Directory.CreateTempSubdirectory("lguest-hostile").FullName;
    private readonly Random _random = new(Seed);

    public HostilePeerTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Shared networks need Linux.");

    private string Path => System.IO.Path.Combine(_folder, "net");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_guest_with_any_list_that_it_can_think_of_hurts_nobody_but_itself()
    {
        using var honest = new Peer(Path);
        honest.Bind();
        using var hostile = new Peer(Path);
        hostile.Bench.SetStatus(0x000f);
        int survived = 0;
        for (int i = 0; i < Attempts; i++)
        {
            string when = $"attempt {i} of seed {Seed}";
            WriteAnything(hostile.Bench);
            try
            {
                DoAnything(hostile.Bench);
                hostile.Bench.Service();
                survived++;
            }
            catch (GuestFaultException)
            {
                // It is over, and the next one begins, without any bindings.
                hostile.Bench.Router.State = [];
                hostile.Bench.Service();
            }

            // What the hostile guest has bound may swallow it or not.
            honest.Send(hostile, Peer.Frame(60));
            honest.Bench.Service();
            for (int buffer = 0; buffer < 8; buffer++)
            {
                Assert.True(honest.Used(buffer) <= Peer.BufferSize, when);
                honest.Free(buffer);
            }
        }

        Assert.InRange(survived, 1, Attempts - 1);
        hostile.Bench.Router.State = [];
        hostile.Bench.Service();
        hostile.Bench.ClearInterrupts();
        hostile.Bind();
        honest.Bench.Service();
        Assert.Equal(60u, hostile.Send(honest, Peer.Frame(60)));
        Assert.Equal(61u, honest.Send(hostile, Peer.Frame(61)));
    }

    [Fact]
    public void A_process_that_writes_anything_into_the_shared_memory_hurts_nobody_for_long()
    {
        using var first = new Peer(Path);
        using var second = new Peer(Path);
        first.Bind();
        second.Bind();
        using var file = SharedFile.Open(Path);
        for (int i = 0; i < Attempts; i++)
        {
            WriteAnything(file.Memory);
            first.Send(second, Peer.Frame(60));
            second.Send(first, Peer.Frame(60));
            for (int buffer = 0; buffer < 8; buffer++)
            {
                Assert.True(first.Used(buffer) <= Peer.BufferSize && second.Used(buffer) <= Peer.BufferSize, $"attempt {i} of seed {Seed}");
                first.Free(buffer);
                second.Free(buffer);
            }
        }

        first.Unbind();
        second.Unbind();
        first.Bind();
        second.Bind();
        Assert.True(SpinWait.SpinUntil(() => IsWhole(first, second) && IsWhole(second, first), TimeSpan.FromSeconds(30)));
    }

    private static bool IsWhole(Peer from, Peer to)
    {
        to.Bench.Service();
        for (int buffer = 0; buffer < 8; buffer++)
        {
            to.Free(buffer);
        }

        to.Bench.Service();
        return from.Send(to, Peer.Frame(99)) == 99;
    }

    private void WriteAnything(SharedMemory memory)
    {
        int slot = _random.Next(2);
        int inbox = _random.Next(2);
        ulong word = _random.Next(4) == 0 ? (ulong)_random.NextInt64() : (ulong)_random.Next(64);
        switch (_random.Next(8))
        {
            case 0: memory.Receivers(_random.Next(16) * 4) = word; break;
            case 1: memory.Key(slot, inbox) = (uint)word; break;
            case 2: memory.Armed(slot) = (uint)word; break;
            case 3: memory.Sequence(slot, inbox) = (uint)word; break;
            case 4: memory.Request(slot, inbox) = (uint)word; break;
            case 5: memory.Members = word; break;
            case 6: memory.Incarnation(slot) = (uint)word; break;
            default:
                ref ulong entry = ref memory.Entry(slot, inbox, _random.Next(16));
                entry = _random.Next(2) == 0 ? word : (entry & ~7ul) | (uint)_random.Next(8);
                break;
        }
    }

    private void WriteAnything(Bench bench)
    {
        if (_random.Next(4) == 0)
        {
            WriteSegment(bench);
            return;
        }

        var pieces = new (uint, ushort)[_random.Next(1, DmaList.Sections + 1)];
        for (int i = 0; i < pieces.Length; i++)
        {
            pieces[i] = (AnyAddress(), AnyLength());
        }

        bench.WriteList(AnyList(), pieces);
    }

    /// <summary>Writes a segment that is to be split, with something wrong with it, or nothing.</summary>
    private void WriteSegment(Bench bench)
    {
        byte[] segment = TestFrame.Unfinished(_random.Next(8000), _random.Next(2) == 0, extension: _random.Next(2) * 8);
        for (int mistakes = _random.Next(3); mistakes > 0; mistakes--)
        {
            segment[_random.Next(_random.Next(2) == 0 ? 60 : segment.Length)] = (byte)_random.Next(256);
        }

        bench.Memory.Write(0x1_0000, segment, "a segment");
        uint list = AnyList();
        bench.WriteList(list, [.. segment.Chunk(4096).Select((piece, i) => (0x1_0000 + ((uint)i * 4096), (ushort)piece.Length))]);
        bench.SetUsed(list, _random.Next(8) switch
        {
            0 => (uint)_random.NextInt64(),
            1 => ushort.MaxValue,
            2 => (uint)_random.Next(48),
            _ => (uint)_random.Next(48, 1600),
        });
    }

    private void DoAnything(Bench bench)
    {
        uint key = Bench.Page + (uint)(_random.Next(8) == 0 ? _random.Next(8192) : _random.Next(4) * 4);
        switch (_random.Next(4))
        {
            case 0:
                bench.Router.Bind(key, _random.Next(8) == 0 ? AnyAddress() : AnyList(), (uint)_random.Next(_random.Next(2) == 0 ? 4 : 1 << 24), (uint)_random.Next(40));
                break;
            case 1 when bench.Router.State is [{ Binding: var binding }, ..]:
                bench.Router.Unbind(binding.Key, binding.Array);
                break;
            default:
                bench.Router.Send(key, _random.Next(8) == 0 ? AnyAddress() : AnyList());
                break;
        }
    }

    private uint AnyList() => 0x1000u + ((uint)_random.Next(8) * DmaList.Size);

    private uint AnyAddress() => _random.Next(8) switch
    {
        0 => (uint)_random.NextInt64(),
        1 => Bench.Page + (uint)_random.Next(8192) - 4096,
        2 => uint.MaxValue - (uint)_random.Next(5000),
        3 => 0x1_0000u + 4096u - (uint)_random.Next(32),
        _ => (0x1_0000u + (uint)_random.Next(0x1_0000)) & ~0xfffu,
    };

    private ushort AnyLength() => _random.Next(5) switch
    {
        0 => (ushort)_random.Next(0x1_0000),
        1 => (ushort)_random.Next(32),
        2 => 4096,
        _ => (ushort)_random.Next(1, 1515),
    };
}
