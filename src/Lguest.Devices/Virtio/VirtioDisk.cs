using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lguest.Devices.Disks;
using Lguest.Host.Virtio;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Virtio;

/// <summary>
/// A disk as a virtio device (virtio 1.0, 5.2): a request is a chain of a header, data and a status byte, however the guest has cut it
/// into pieces.
/// </summary>
/// <remarks>
/// The disk is used by a thread of its own, but for reads of what the host has in memory. Data passes through a buffer of the host's,
/// because the processor's thread alone touches guest memory. Answers come in the order of the requests.
/// </remarks>
public sealed class VirtioDisk : IVirtioDevice, IDiskDevice
{
    private const int RequestQueue = 0;
    private const uint SegmentsFeature = 1 << 2;
    private const uint GeometryFeature = 1 << 4;
    private const uint ReadOnlyFeature = 1 << 5;
    private const uint BlockSizeFeature = 1 << 6;
    private const uint FlushFeature = 1 << 9;

    private const int HeaderSize = 16;
    private const int SectorOffset = 8;
    private const uint TypeRead = 0;
    private const uint TypeWrite = 1;
    private const uint TypeFlush = 4;
    private const uint TypeIdentify = 8;
    private const int IdentityLength = 20;
    private const byte StatusDone = 0;
    private const byte StatusFailed = 1;
    private const byte StatusUnsupported = 2;

    // The configuration: {u64 sectors, u32 bytes of a segment, u32 segments, {u16 cylinders, u8 heads, u8 sectors}, u32 bytes of a block}.
    private const int ConfigurationSize = 24;
    private const int MostSegmentsOffset = 12;
    private const int CylindersOffset = 16;
    private const int HeadsOffset = 18;
    private const int TrackOffset = 19;
    private const int BlockSizeOffset = 20;

    private const byte SectorsOfTrack = 63;
    private const uint MostCylinders = 1024;

    private const int MostInFlight = 32;

    // Of the geometries that a PC's BIOS makes up, the one with the fewest heads that has no more cylinders than a BIOS knows.
    private static readonly byte[] Heads = [16, 32, 64, 128, 255];

    private readonly IBlockBackend _disk;
    private readonly ILogger _logger;
    private readonly int _headerSize;
    private readonly uint _sectors;
    private readonly Queue<Pending> _inFlight = new();
    private readonly Stack<Pending> _spare = new();
    private readonly byte[] _configuration = new byte[ConfigurationSize];
    private VirtioSlot? _slot;
    private VirtioChain? _chain;
    private BlockWorker? _worker;

    // In virtual time: moments to come of requests that a reset has dropped.
    private int _dropped;

    /// <summary>Makes a disk.</summary>
    /// <param name="disk">Its contents, which the device owns from now on.</param>
    /// <param name="logger">Hears of the host's first error, and of what the guest doesn't get.</param>
    /// <param name="headerSize">Bytes of a request's header: {u32 type, u32 priority, u64 sector}, and what is of no use behind it.</param>
    /// <exception cref="Backends.BackendException">It is smaller than a sector, or has more of them than 32 bits can count.</exception>
    public VirtioDisk(IBlockBackend disk, ILogger logger, int headerSize = HeaderSize)
    {
        _disk = disk;
        _logger = logger;
        _headerSize = headerSize;
        _sectors = Sectors.Count(disk, logger);
        BinaryPrimitives.WriteUInt64LittleEndian(_configuration, _sectors);
        byte heads = Heads.FirstOrDefault(each => _sectors / (each * (uint)SectorsOfTrack) <= MostCylinders, Heads[^1]);
        uint cylinders = Math.Clamp(_sectors / (heads * (uint)SectorsOfTrack), 1, ushort.MaxValue);
        BinaryPrimitives.WriteUInt16LittleEndian(_configuration.AsSpan(CylindersOffset), (ushort)cylinders);
        _configuration[HeadsOffset] = heads;
        _configuration[TrackOffset] = SectorsOfTrack;
        BinaryPrimitives.WriteUInt32LittleEndian(_configuration.AsSpan(BlockSizeOffset), Sectors.Size);
    }

    /// <inheritdoc />
    public VirtioIdentity Identity => new(
        VirtioType.Block, Queues: 1, SegmentsFeature | GeometryFeature | BlockSizeFeature | FlushFeature | (_disk.IsReadOnly ? ReadOnlyFeature : 0));

    /// <inheritdoc />
    public ReadOnlyMemory<byte> Configuration => _configuration;

    /// <inheritdoc />
    public BlockStatistics Statistics { get; } = new();

    /// <inheritdoc />
    public string Kind => string.Create(
        CultureInfo.InvariantCulture, $"a virtio {(_disk.IsReadOnly ? "read-only disk" : "disk")} of {_sectors} sectors");

    /// <inheritdoc />
    public string Save()
    {
        foreach (Pending pending in _inFlight)
        {
            _worker?.WaitFor(pending.Request);
        }

        var state = new VirtioDiskState([.. _inFlight.Select(Save)], _dropped);
        return JsonSerializer.Serialize(state, VirtioDiskJson.Default.VirtioDiskState);
    }

    /// <inheritdoc />
    public void Restore(string saved)
    {
        VirtioDiskState state = JsonSerializer.Deserialize(saved, VirtioDiskJson.Default.VirtioDiskState)!;
        foreach (VirtioRequestState request in state.Requests)
        {
            _inFlight.Enqueue(Restore(request));
        }

        _dropped = state.Dropped;
    }

    /// <inheritdoc />
    public void Attach(VirtioSlot slot)
    {
        _slot = slot;
        _chain = slot.MakeChain();

        // A header and a status go with the data.
        BinaryPrimitives.WriteUInt32LittleEndian(_configuration.AsSpan(MostSegmentsOffset), (uint)slot.Queue(RequestQueue).Size - 2);
        _worker = new BlockWorker(_disk, _logger, slot.Attention);
    }

    /// <inheritdoc />
    public void OnNotify(int queue)
    {
        (VirtioSlot slot, Virtqueue requests, VirtioChain chain, BlockWorker worker) = Place();
        for (int i = 0; i < requests.Size && _inFlight.Count < MostInFlight && requests.TryPeek(chain); i++)
        {
            requests.Take();
            Pending pending = Describe(chain);
            Statistics.Requests++;
            _inFlight.Enqueue(pending);
            if (slot.IsRepeatable)
            {
                worker.Begin(pending.Request);
                slot.After(IDiskDevice.VirtualDelay);
            }
            else if (_inFlight.Count > 1 || !worker.TryAtOnce(pending.Request))
            {
                worker.Begin(pending.Request);
            }
            else
            {
                AnswerFirst(requests, chain);
            }
        }
    }

    /// <inheritdoc />
    public void Service()
    {
        if (_inFlight.Count == 0)
        {
            return;
        }

        (VirtioSlot slot, Virtqueue requests, VirtioChain chain, BlockWorker worker) = Place();
        while (!slot.IsRepeatable && _inFlight.TryPeek(out Pending? pending) && worker.IsDone(pending.Request))
        {
            AnswerFirst(requests, chain);
        }

        OnNotify(RequestQueue);
    }

    /// <inheritdoc />
    public void OnDue()
    {
        if (_dropped > 0)
        {
            _dropped--;
            return;
        }

        (_, Virtqueue requests, VirtioChain chain, BlockWorker worker) = Place();
        worker.WaitFor(_inFlight.Peek().Request);
        AnswerFirst(requests, chain);
        OnNotify(RequestQueue);
    }

    /// <inheritdoc />
    public void OnReset()
    {
        foreach (Pending pending in _inFlight)
        {
            _worker?.WaitFor(pending.Request);
            Release(pending);
        }

        _dropped += _slot is { IsRepeatable: true } ? _inFlight.Count : 0;
        _inFlight.Clear();
    }

    /// <summary>Lets the disk finish what it was asked for, and closes it.</summary>
    public void Dispose()
    {
        _worker?.Dispose();
        _disk.Dispose();
    }

    /// <summary>Takes a request. One that can't be done takes its turn all the same, to be refused then.</summary>
    private Pending Describe(VirtioChain chain)
    {
        Span<byte> header = stackalloc byte[HeaderSize];
        bool isWhole = chain.ReadableLength >= _headerSize && chain.WritableLength > 0;
        chain.Read(0, header);
        uint type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(header[SectorOffset..]);
        int toDisk = chain.ReadableLength - _headerSize;
        int fromDisk = chain.WritableLength - 1;
        (BlockOperation operation, int length) = type switch
        {
            _ when !isWhole => (BlockOperation.None, 0),
            TypeRead when toDisk == 0 && IsInside(sector, fromDisk) => (BlockOperation.Read, fromDisk),
            TypeWrite when fromDisk == 0 && IsInside(sector, toDisk) && !_disk.IsReadOnly => (BlockOperation.Write, toDisk),
            TypeFlush => (BlockOperation.Flush, 0),
            _ => (BlockOperation.None, 0),
        };
        Pending pending = _spare.TryPop(out Pending? spare) ? spare : new Pending();
        pending.Head = chain.Head;
        pending.IsIdentify = isWhole && type == TypeIdentify;
        pending.Refusal = type is TypeRead or TypeWrite or TypeFlush ? StatusFailed : StatusUnsupported;
        BlockRequest request = pending.Request;
        request.Operation = operation;
        request.Offset = operation is BlockOperation.Read or BlockOperation.Write ? sector * Sectors.Size : 0;
        request.Length = length;
        request.Data = ArrayPool<byte>.Shared.Rent(length);
        if (operation == BlockOperation.Write)
        {
            chain.Read(_headerSize, request.Data.AsSpan(0, length));
        }

        return pending;
    }

    private bool IsInside(ulong sector, int length) =>
        length % Sectors.Size == 0 && sector <= _sectors && (ulong)length / Sectors.Size <= _sectors - sector;

    /// <summary>Data, status, then the chain goes back, in this order.</summary>
    private void AnswerFirst(Virtqueue requests, VirtioChain chain)
    {
        Pending pending = _inFlight.Dequeue();
        BlockRequest request = pending.Request;

        // The guest may have changed the chain meanwhile: what it is now is checked once more.
        requests.Load(pending.Head, chain);
        int written = 0;
        byte status = request.Succeeded ? StatusDone : pending.Refusal;
        if (request is { Succeeded: true, Operation: BlockOperation.Read })
        {
            written = chain.Write(0, request.Data.AsSpan(0, request.Length));
        }
        else if (pending.IsIdentify && chain.WritableLength > 1)
        {
            written = chain.Write(0, new byte[Math.Min(IdentityLength, chain.WritableLength - 1)]);
            status = StatusDone;
        }

        if (chain.WritableLength > 0)
        {
            chain.Write(chain.WritableLength - 1, [status]);
            written++;
        }

        Statistics.Count(request, status == StatusDone);
        requests.Return(pending.Head, written);
        Release(pending);
    }

    private void Release(Pending pending)
    {
        ArrayPool<byte>.Shared.Return(pending.Request.Data);
        pending.Request.Data = [];
        _spare.Push(pending);
    }

    private (VirtioSlot Slot, Virtqueue Requests, VirtioChain Chain, BlockWorker Worker) Place() =>
        _slot is { } slot && _chain is { } chain && _worker is { } worker
            ? (slot, slot.Queue(RequestQueue), chain, worker)
            : throw new InvalidOperationException("The device isn't attached to a bus.");

    private static VirtioRequestState Save(Pending pending) =>
        new(pending.Head, pending.IsIdentify, pending.Refusal, pending.Request.Save());

    private static Pending Restore(VirtioRequestState state)
    {
        var pending = new Pending { Head = state.Head, IsIdentify = state.IsIdentify, Refusal = state.Refusal };
        pending.Request.Restore(state.Request);
        return pending;
    }

    /// <summary>A request on its way. They are used again and again.</summary>
    private sealed class Pending
    {
        /// <summary>What the disk does.</summary>
        public BlockRequest Request { get; } = new();

        /// <summary>The chain to answer.</summary>
        public ushort Head { get; set; }

        /// <summary>Whether it asks for the disk's name, which is empty.</summary>
        public bool IsIdentify { get; set; }

        /// <summary>The status if it isn't done.</summary>
        public byte Refusal { get; set; }
    }
}

/// <summary>What a saved state has of a disk.</summary>
/// <param name="Requests">Those that haven't been answered, all done by the disk.</param>
/// <param name="Dropped">Moments of requests that a reset has dropped.</param>
internal sealed record VirtioDiskState(IReadOnlyList<VirtioRequestState> Requests, int Dropped);

/// <summary>A request in a saved state.</summary>
internal sealed record VirtioRequestState(ushort Head, bool IsIdentify, byte Refusal, BlockRequestState Request);

/// <summary>Serialises without reflection.</summary>
[JsonSerializable(typeof(VirtioDiskState))]
internal sealed partial class VirtioDiskJson : JsonSerializerContext;
