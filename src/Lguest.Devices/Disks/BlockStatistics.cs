using System.Text.Json.Serialization;

namespace Lguest.Devices.Disks;

/// <summary>What a disk has done for its guest.</summary>
public sealed class BlockStatistics
{
    /// <summary>Requests made, of any kind and outcome.</summary>
    public ulong Requests { get; internal set; }

    /// <summary>Requests that were answered with an error.</summary>
    public ulong Errors { get; private set; }

    /// <summary>Flushes done.</summary>
    public ulong Flushes { get; private set; }

    /// <summary>Bytes the guest has read.</summary>
    public ulong BytesRead { get; private set; }

    /// <summary>Bytes the guest has written.</summary>
    public ulong BytesWritten { get; private set; }

    internal void Count(BlockRequest request, bool succeeded)
    {
        if (!succeeded)
        {
            Errors++;
            return;
        }

        switch (request.Operation)
        {
            case BlockOperation.Read:
                BytesRead += (ulong)request.Length;
                break;
            case BlockOperation.Write:
                BytesWritten += (ulong)request.Length;
                break;
            case BlockOperation.Flush:
                Flushes++;
                break;
            default:
                break;
        }
    }
}

/// <summary>The saved state of a disk's front end.</summary>
/// <param name="Requests">Not answered yet, first to last.</param>
/// <param name="Due">How many of them should have been, but the guest has no buffer free.</param>
/// <param name="Early">How many were answered before their moment.</param>
public sealed record BlockDeviceState(IReadOnlyList<BlockRequestState> Requests, int Due, int Early);

/// <summary>A request that the disk has done, and whose answer the guest doesn't have yet.</summary>
/// <param name="Operation">1 read, 2 write, 3 flush, 0 refused.</param>
/// <param name="Offset">Where on the disk, in bytes.</param>
/// <param name="Data">What was read or written.</param>
/// <param name="Succeeded">Whether the disk did it.</param>
public sealed record BlockRequestState(int Operation, ulong Offset, ReadOnlyMemory<byte> Data, bool Succeeded);

/// <summary>Reads and writes what is saved of a disk.</summary>
[JsonSerializable(typeof(BlockDeviceState))]
internal sealed partial class BlockDeviceJson : JsonSerializerContext;
