using System.Runtime.InteropServices;

namespace Lguest.Devices.Backends;

/// <summary>What a host may have too little of for a process, said in a sentence.</summary>
public static class HostLimits
{
    /// <summary>
    /// Files that lguest has open with all devices there can be: half of them are its own and the runtime's libraries, and it
    /// should be able to load the last of these too.
    /// </summary>
    private const ulong DescriptorsNeeded = 128;

    /// <summary>Threads that the runtime may yet want to start for a guest that is about to run: for timers, signals, compilation.</summary>
    private const int ThreadsNeeded = 8;

    private const string ThreadShortage =
        "this user, or this container, can have no more threads: raise that limit (`ulimit -u`, pids.max), or end other processes";

    /// <summary>Whether this process may have too few files open for any guest.</summary>
    /// <returns>A sentence that says so, or null.</returns>
    public static string? Shortage() =>
        OperatingSystem.IsLinux() && Read(SystemCalls.LimitOfDescriptors) is { } most && most < DescriptorsNeeded
            ? $"this process may have only {most} files open, and lguest needs up to {DescriptorsNeeded}: raise that limit, for example with `ulimit -n 1024`"
            : null;

    /// <summary>Sees that memory of a size can be had: it is a file without a name.</summary>
    /// <exception cref="BackendException">This process may make none as long.</exception>
    public static void CheckMemory(ulong bytes)
    {
        if (OperatingSystem.IsLinux() && Read(SystemCalls.LimitOfFileSize) is { } most && most < bytes)
        {
            throw new BackendException(
                $"this process may make no file longer than {most} bytes, and a guest's memory is one: raise that limit, for example with `ulimit -f unlimited`, or give the guest less memory");
        }
    }

    /// <summary>Sees that a guest that is set up can also run: the runtime ends the process when it gets no thread.</summary>
    /// <exception cref="BackendException">There can't be enough threads.</exception>
    public static void CheckThreads()
    {
        if (!CanStartThreads(ThreadsNeeded))
        {
            throw new BackendException(ThreadShortage);
        }
    }

    /// <summary>Looks for the limit that may be behind an exception. What was used up must still be in use.</summary>
    /// <returns>A sentence, or null.</returns>
    public static string? Explain()
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        if (!CanOpen())
        {
            return "this process, or the host, can have no more files open: raise the limit, for example with `ulimit -n 1024`";
        }

        return CanStartThreads(1) ? null : ThreadShortage;
    }

    private static bool CanOpen()
    {
        int descriptor = SystemCalls.Open("/", SystemCalls.OpenCloseOnExec);
        if (descriptor >= 0)
        {
            _ = SystemCalls.Close(descriptor);
        }

        return descriptor >= 0 || Marshal.GetLastPInvokeError() is not (SystemCalls.Emfile or SystemCalls.Enfile);
    }

    private static bool CanStartThreads(int count)
    {
        const int StackSize = 64 * 1024;
        using var end = new ManualResetEventSlim();
        var threads = new List<Thread>(count);
        try
        {
            for (int i = 0; i < count; i++)
            {
                var thread = new Thread(end.Wait, StackSize);
                thread.Start();
                threads.Add(thread);
            }

            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
        finally
        {
            end.Set();
            threads.ForEach(thread => thread.Join());
        }
    }

    /// <summary>A limit of this process; null for none.</summary>
    private static unsafe ulong? Read(int resource)
    {
        SystemCalls.ResourceLimit limit;
        return SystemCalls.GetLimit(resource, &limit) == 0 && limit.Current != SystemCalls.NoLimit ? limit.Current : null;
    }
}
