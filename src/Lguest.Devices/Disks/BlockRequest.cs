using System.Buffers;

namespace Lguest.Devices.Disks;

/// <summary>What a guest asks of a disk.</summary>
internal enum BlockOperation
{
    /// <summary>Nothing: the request was refused, and only waits for its turn to be answered.</summary>
    None,

    /// <summary>Bytes from the disk.</summary>
    Read,

    /// <summary>Bytes to the disk.</summary>
    Write,

    /// <summary>All earlier writes to stable storage.</summary>
    Flush,
}

/// <summary>One request, on its way from the guest through the worker and back. Requests are used again and again.</summary>
internal sealed class BlockRequest
{
    /// <summary>What to do.</summary>
    public BlockOperation Operation { get; set; }

    /// <summary>Where on the disk, in bytes.</summary>
    public ulong Offset { get; set; }

    /// <summary>How many bytes.</summary>
    public int Length { get; set; }

    /// <summary>The bytes; rented, and at least <see cref="Length"/> long.</summary>
    public byte[] Data { get; set; } = [];

    /// <summary>Whether the disk did it.</summary>
    public bool Succeeded { get; set; }

    /// <summary>Whether the worker is done with it; only read and written with the worker's lock held.</summary>
    public bool IsDone { get; set; }

    /// <summary>Takes up a request that was saved: the disk has done it.</summary>
    public void Restore(BlockRequestState state)
    {
        byte[] data = ArrayPool<byte>.Shared.Rent(state.Data.Length);
        state.Data.CopyTo(data);
        Operation = (BlockOperation)state.Operation;
        Offset = state.Offset;
        Length = state.Data.Length;
        Data = data;
        Succeeded = state.Succeeded;
        IsDone = true;
    }

    /// <summary>What is saved of it, once the disk has done it.</summary>
    public BlockRequestState Save() => new((int)Operation, Offset, Data.AsSpan(0, Length).ToArray(), Succeeded);
}
