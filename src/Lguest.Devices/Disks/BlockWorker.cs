using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Disks;

/// <summary>
/// The thread that waits for a disk in place of the processor's. It does requests one after the other, in the order
/// in which they come.
/// </summary>
internal sealed class BlockWorker : IDisposable
{
    private readonly IBlockBackend _disk;
    private readonly ILogger _logger;
    private readonly Action _onDone;
    private readonly Thread _thread;
    private readonly object _lock = new();
    private readonly Queue<BlockRequest> _waiting = new();
    private bool _closing;
    private bool _reported;

    /// <summary>Starts a worker.</summary>
    /// <param name="disk">What it works on.</param>
    /// <param name="logger">Hears of the disk's first error.</param>
    /// <param name="onDone">Called on the worker's thread after each request.</param>
    public BlockWorker(IBlockBackend disk, ILogger logger, Action onDone)
    {
        _disk = disk;
        _logger = logger;
        _onDone = onDone;
        _thread = new Thread(Work) { IsBackground = true, Name = $"block {disk.Name}" };
        _thread.Start();
    }

    /// <summary>Hands a request over. Until it is done, only the worker touches it.</summary>
    public void Begin(BlockRequest request)
    {
        lock (_lock)
        {
            request.IsDone = false;
            _waiting.Enqueue(request);
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>
    /// Does a read in the caller's thread, if that needs no waiting. The caller has seen all requests before it done: the order
    /// is kept, and the disk has one user at a time.
    /// </summary>
    public bool TryAtOnce(BlockRequest request)
    {
        if (request.Operation != BlockOperation.Read || !_disk.TryRead(request.Offset, request.Data.AsSpan(0, request.Length)))
        {
            return false;
        }

        lock (_lock)
        {
            request.Succeeded = true;
            request.IsDone = true;
        }

        return true;
    }

    /// <summary>Whether a request is done.</summary>
    public bool IsDone(BlockRequest request)
    {
        lock (_lock)
        {
            return request.IsDone;
        }
    }

    /// <summary>Waits until a request is done.</summary>
    public void WaitFor(BlockRequest request)
    {
        lock (_lock)
        {
            while (!request.IsDone)
            {
                Monitor.Wait(_lock);
            }
        }
    }

    /// <summary>Finishes all that has been handed over, and ends the thread.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _closing = true;
            Monitor.PulseAll(_lock);
        }

        _thread.Join();
    }

    private void Work()
    {
        while (Next() is { } request)
        {
            request.Succeeded = TryDo(request);
            lock (_lock)
            {
                request.IsDone = true;
                Monitor.PulseAll(_lock);
            }

            _onDone();
        }
    }

    private BlockRequest? Next()
    {
        lock (_lock)
        {
            while (_waiting.Count == 0 && !_closing)
            {
                Monitor.Wait(_lock);
            }

            return _waiting.TryDequeue(out BlockRequest? request) ? request : null;
        }
    }

    private bool TryDo(BlockRequest request)
    {
        try
        {
            switch (request.Operation)
            {
                case BlockOperation.Read:
                    _disk.Read(request.Offset, request.Data.AsSpan(0, request.Length));
                    return true;
                case BlockOperation.Write:
                    _disk.Write(request.Offset, request.Data.AsSpan(0, request.Length));
                    return true;
                case BlockOperation.Flush:
                    _disk.Flush();
                    return true;
                default:
                    return false;
            }
        }
        catch (IOException error)
        {
            if (!_reported)
            {
                _reported = true;
                DiskLog.BlockError(_logger, _disk.Name, request.Offset, error.Message);
            }

            return false;
        }
    }
}
