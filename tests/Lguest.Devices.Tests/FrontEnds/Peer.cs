using Lguest.Devices.Lgbus;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Lguest.Host.Dma;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>One of the guests on a shared network, with the test in the place of its kernel.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class Peer : IDisposable
{
    public const int Irq = 3;
    public const uint BufferSize = 2048;

    private const uint SentList = 0x800;
    private const uint Lists = 0x1000;
    private const uint Outgoing = 0x4000;
    private const uint Buffers = 0x2_0000;

    public Peer(string path, IFrameRecorder? recorder = null)
    {
        Network = SharedNetwork.Join(path, NullLogger.Instance);
        Device = new SharedNetworkDevice(Network, recorder);
        Bench = new Bench(Device);
    }

    public SharedNetwork Network { get; }

    public SharedNetworkDevice Device { get; }

    public Bench Bench { get; }

    public int Slot => Network.Slot;

    public static uint List(int number) => Lists + ((uint)number * DmaList.Size);

    public static uint Buffer(int number, uint size = BufferSize) => Buffers + ((uint)number * size);

    /// <summary>Binds buffers to the key of the own slot, as a driver does at ifup.</summary>
    public void Bind(int buffers = 8) => BindTo(Slot * 4, buffers);

    public void BindTo(int key, int buffers, uint size = BufferSize)
    {
        for (int i = 0; i < buffers; i++)
        {
            Bench.WriteList(List(i), (Buffer(i, Math.Max(size, BufferSize)), (ushort)size));
        }

        Assert.True(Bench.Router.Bind(Bench.Page + (uint)key, Lists, (uint)buffers, Irq));
        Bench.Service();
    }

    public void Unbind()
    {
        Assert.True(Bench.Router.Unbind(Bench.Page + (uint)(Slot * 4), Lists));
        Bench.Service();
    }

    /// <summary>Sends a frame to another's key; the other's buffer may take less.</summary>
    /// <returns>The used_len.</returns>
    public uint Send(Peer to, byte[] frame, uint request = 0) => SendTo(to.Slot * 4, frame, request);

    public uint SendTo(int key, byte[] frame, uint request = 0)
    {
        Bench.Memory.Write(Outgoing, frame, "a frame");
        int first = Math.Min(frame.Length, 1000);
        Bench.WriteList(SentList, [(Outgoing, (ushort)first), .. frame.Length > first ? [(Outgoing + 1000, (ushort)(frame.Length - first))] : Array.Empty<(uint, ushort)>()]);
        Bench.SetUsed(SentList, request);
        Bench.Router.Send(Bench.Page + (uint)key, SentList);
        return Bench.Used(SentList);
    }

    /// <summary>Sends what a list says that the test has written.</summary>
    public uint SendList(int key, uint list)
    {
        Bench.Router.Send(Bench.Page + (uint)key, list);
        return Bench.Used(list);
    }

    public uint Used(int buffer) => Bench.Used(List(buffer));

    public byte[] Received(int buffer) => Bench.Read(Buffer(buffer), (int)Used(buffer));

    public void Free(int buffer) => Bench.SetUsed(List(buffer), 0);

    public static byte[] Frame(int length, int first = 0) => [.. Enumerable.Range(first, length).Select(value => (byte)(value * 31))];

    public void Dispose() => Bench.Dispose();
}
