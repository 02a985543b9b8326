using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Host;
using Lguest.Host.Bus;
using Lguest.Host.Dma;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Lgbus;

/// <summary>
/// A disk as a device of the lguest bus. The guest describes a request on the device's page and sends the data of a write,
/// or nothing, to the page's address; the answer goes into the buffer that it has bound there.
/// </summary>
/// <remarks>
/// The disk is used by a thread of its own, but for reads of what the host has in memory: two switches between threads take
/// longer than those. Data passes through a buffer of the host's, because the processor's thread alone
/// touches guest memory. Answers come in the order of the requests. What can't be done is an I/O error in the guest.
/// </remarks>
public sealed class BlockDevice : ILguestDevice, IDiskDevice
{
    private const ushort RandomFeature = 0x8000;
    private const ushort FlushFeature = 0x0001;
    private const ushort ReadOnlyFeature = 0x0002;

    private const int TypeOffset = 0;
    private const int SectorOffset = 4;
    private const int BytesOffset = 8;
    private const int ResultOffset = 12;
    private const int SectorCountOffset = 16;

    private const uint TypeRead = 0;
    private const uint TypeWrite = 1;
    private const uint TypeFlush = 2;
    private const uint ResultDone = 1;
    private const uint ResultFailed = 2;

    private const uint KeyLength = 4;

    /// <summary>A guest has one request at a time; one that has more waits for the first after so many.</summary>
    private const int MostInFlight = 16;

    private readonly IBlockBackend _disk;
    private readonly ILogger _logger;
    private readonly uint _sectors;
    private readonly Queue<BlockRequest> _inFlight = new();
    private readonly Stack<BlockRequest> _spare = new();
    private DeviceSlot? _slot;
    private BlockWorker? _worker;

    // In virtual time: requests whose moment has come but which haven't been answered, and requests that were
    // answered before their moment.
    private int _due;
    private int _early;

    /// <summary>Makes a disk.</summary>
    /// <param name="disk">Its contents, which the device owns from now on.</param>
    /// <param name="logger">Hears of the host's first error, and of what the guest doesn't get.</param>
    /// <exception cref="BackendException">It is smaller than a sector, or has more of them than 32 bits can count.</exception>
    public BlockDevice(IBlockBackend disk, ILogger logger)
    {
        _disk = disk;
        _logger = logger;
        _sectors = Sectors.Count(disk, logger);
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(
        DeviceType.Block, (ushort)(RandomFeature | FlushFeature | (_disk.IsReadOnly ? ReadOnlyFeature : 0)), Pages: 1);

    /// <summary>What has been done so far.</summary>
    public BlockStatistics Statistics { get; } = new();

    /// <inheritdoc />
    public string Kind => string.Create(CultureInfo.InvariantCulture, $"a {(_disk.IsReadOnly ? "read-only disk" : "disk")} of {_sectors} sectors");

    /// <summary>Requests that haven't been answered, all done by the disk: reading this waits for that.</summary>
    internal BlockDeviceState State => new([.. _inFlight.Select(Save)], _due, _early);

    /// <inheritdoc />
    public string Save() => State is { Requests: [], Due: 0, Early: 0 } ? string.Empty : JsonSerializer.Serialize(State, BlockDeviceJson.Default.BlockDeviceState);

    /// <inheritdoc />
    public void Restore(string saved)
    {
        // A disk that has nothing to do, which is most of the time, costs no serialiser.
        if (saved.Length == 0)
        {
            return;
        }

        BlockDeviceState state = JsonSerializer.Deserialize(saved, BlockDeviceJson.Default.BlockDeviceState)!;
        foreach (BlockRequestState request in state.Requests)
        {
            _inFlight.Enqueue(Restore(request));
        }

        (_due, _early) = (state.Due, state.Early);
    }

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        _worker = new BlockWorker(_disk, _logger, slot.Attention);
        slot.WritePage(SectorCountOffset, _sectors);
        slot.ListenOn(slot.PageAddress, KeyLength, this);
    }

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        (DeviceSlot slot, BlockWorker worker) = Place();
        if (_inFlight.Count >= MostInFlight)
        {
            AnswerEarly();
        }

        BlockRequest request = _spare.TryPop(out BlockRequest? spare) ? spare : new BlockRequest();
        Describe(request, slot, message);
        Statistics.Requests++;
        _inFlight.Enqueue(request);
        if (slot.IsRepeatable)
        {
            worker.Begin(request);
            slot.After(IDiskDevice.VirtualDelay);
        }
        else if (_inFlight.Count == 1 && worker.TryAtOnce(request))
        {
            Service();
        }
        else
        {
            worker.Begin(request);
        }

        return 0;
    }

    /// <inheritdoc />
    public void Service()
    {
        if (_inFlight.Count == 0)
        {
            return;
        }

        (DeviceSlot slot, BlockWorker worker) = Place();
        if (slot.IsRepeatable)
        {
            AnswerDue();
            return;
        }

        while (_inFlight.TryPeek(out BlockRequest? request) && worker.IsDone(request) && TryAnswer(request))
        {
            Finish();
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
        if (_early > 0)
        {
            _early--;
            return;
        }

        _due++;
        AnswerDue();
    }

    /// <summary>Lets the disk finish what it was asked for, and closes it.</summary>
    public void Dispose()
    {
        _worker?.Dispose();
        _disk.Dispose();
    }

    /// <summary>Takes a request from the guest. One that can't be done takes its turn all the same, to be refused then.</summary>
    private void Describe(BlockRequest request, DeviceSlot slot, DmaList message)
    {
        uint type = slot.ReadPage(TypeOffset);
        uint length = slot.ReadPage(BytesOffset);
        request.Offset = (ulong)slot.ReadPage(SectorOffset) * Sectors.Size;
        request.Operation = type switch
        {
            TypeRead when length <= DmaList.LongestTransfer && IsInside(request.Offset, length) => BlockOperation.Read,
            TypeWrite when length == message.Length && IsInside(request.Offset, length) && !_disk.IsReadOnly =>
                BlockOperation.Write,
            TypeFlush => BlockOperation.Flush,
            _ => BlockOperation.None,
        };
        request.Length = request.Operation is BlockOperation.Read or BlockOperation.Write ? (int)length : 0;
        request.Data = ArrayPool<byte>.Shared.Rent(request.Length);
        if (request.Operation == BlockOperation.Write)
        {
            message.CopyTo(request.Data.AsSpan(0, request.Length));
        }
    }

    private bool IsInside(ulong offset, uint length) =>
        length % Sectors.Size == 0 && offset + length <= (ulong)_sectors * Sectors.Size;

    /// <summary>Answers the requests whose moment in virtual time has come, waiting for the disk if it isn't that far.</summary>
    private void AnswerDue()
    {
        while (_due > 0 && _inFlight.TryPeek(out BlockRequest? request))
        {
            _worker?.WaitFor(request);
            if (!TryAnswer(request))
            {
                return;
            }

            Finish();
            _due--;
        }
    }

    /// <summary>Makes room for another request.</summary>
    private void AnswerEarly()
    {
        BlockRequest request = _inFlight.Peek();
        _worker?.WaitFor(request);
        if (!TryAnswer(request))
        {
            throw new GuestFaultException($"{MostInFlight} requests to {_disk.Name} wait for a free reply buffer");
        }

        Finish();
        if (_due > 0)
        {
            _due--;
        }
        else if (_slot is { IsRepeatable: true })
        {
            _early++;
        }
    }

    /// <summary>Data, used_len, result, interrupt, in this order; false when the guest has no buffer free now.</summary>
    private bool TryAnswer(BlockRequest request)
    {
        (DeviceSlot slot, _) = Place();
        uint key = slot.PageAddress;
        if (!slot.TryFindFree(key, out DmaBuffer buffer))
        {
            return slot.IsBound(key)
                ? false
                : throw new GuestFaultException($"the guest has bound no buffer for the answer of {_disk.Name}");
        }

        bool succeeded = request.Succeeded;
        uint used = 0;
        if (succeeded && request.Operation == BlockOperation.Read)
        {
            // A buffer that is too small makes a short transfer, which is a failed one.
            used = (uint)buffer.Fill(request.Data.AsSpan(0, request.Length));
            succeeded = used == request.Length;
        }

        Statistics.Count(request, succeeded);
        buffer.SetUsed(used);
        slot.WritePage(ResultOffset, succeeded ? ResultDone : ResultFailed);
        buffer.Interrupt();
        return true;
    }

    /// <summary>The first request has been answered.</summary>
    private void Finish()
    {
        BlockRequest request = _inFlight.Dequeue();
        ArrayPool<byte>.Shared.Return(request.Data);
        request.Data = [];
        _spare.Push(request);
    }

    private (DeviceSlot Slot, BlockWorker Worker) Place() => _slot is { } slot && _worker is { } worker
        ? (slot, worker)
        : throw new InvalidOperationException("The device isn't attached to a bus.");

    private BlockRequestState Save(BlockRequest request)
    {
        _worker?.WaitFor(request);
        return request.Save();
    }

    private static BlockRequest Restore(BlockRequestState state)
    {
        var request = new BlockRequest();
        request.Restore(state);
        return request;
    }
}
