using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Backends;

/// <summary>Standard input, output and error, as the user gave them to this process, or didn't (<c>&lt;&amp;- &gt;&amp;-</c>).</summary>
/// <remarks>
/// Of a descriptor that is closed when a process begins, the number goes to what the process opens first: the runtime's pipes, or a
/// disk. Who used it would read and write those. Nobody can inherit a descriptor that is to be closed in programs
/// that are started, and all that is opened in here is one of these; so that flag tells.
/// </remarks>
public static class StandardDescriptors
{
    private const int Closed = -1;
    private const int Count = 3;
    private const string Nowhere = "/dev/null";

    /// <summary>Standard input; a number that nothing can be read from where the user has closed it.</summary>
    public static int Input => Usable(0);

    /// <summary>Standard output; likewise.</summary>
    public static int Output => Usable(1);

    /// <summary>Standard error; likewise.</summary>
    public static int Error => Usable(2);

    /// <summary>What standard input is. Where the host doesn't say, it may be anything: a stream.</summary>
    public static InputKind InputKind
    {
        get
        {
            const uint MemoryDevices = 1;
            const uint NullDevice = 3;
            if (!OperatingSystem.IsLinux())
            {
                return InputKind.Stream;
            }

            if (Input == Closed)
            {
                return InputKind.Fixed;
            }

            try
            {
                FileStatus status = HostFile.StatusOf(new SafeFileHandle(Input, ownsHandle: false));
                return status.Kind switch
                {
                    FileStatus.RegularFile => InputKind.Fixed,
                    FileStatus.CharacterDevice when (status.OwnMajor, status.OwnMinor) == (MemoryDevices, NullDevice) => InputKind.Fixed,
                    FileStatus.Pipe or FileStatus.Socket => InputKind.Stream,
                    _ => InputKind.Device,
                };
            }
            catch (IOException)
            {
                return InputKind.Stream;
            }
        }
    }

    /// <summary>Moves standard input and output to other numbers, for somebody else than a guest. What they leave is empty (<c>/dev/null</c>). Linux only.</summary>
    /// <returns>What they were.</returns>
    /// <exception cref="IOException">The host couldn't.</exception>
    public static (Stream Input, Stream Output) TakeAside()
    {
        var input = new FileStream(Copy(0), FileAccess.Read, bufferSize: 0);
        var output = new FileStream(Copy(1), FileAccess.Write, bufferSize: 0);
        using SafeFileHandle nowhere = HostFile.Open(Nowhere, SystemCalls.OpenReadWrite);
        Replace(0, nowhere);
        Replace(1, nowhere);
        return (input, output);
    }

    /// <summary>Puts files in the places of standard output and standard error, as a shell does with <c>&gt;OUTPUT 2&gt;ERRORS</c>. Linux only.</summary>
    /// <param name="output">Is created, or emptied.</param>
    /// <param name="errors">Likewise.</param>
    /// <exception cref="IOException">The host couldn't.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public static void Redirect(string output, string errors)
    {
        using SafeFileHandle first = HostFile.Create(output);
        using SafeFileHandle second = HostFile.Create(errors);
        Replace(1, first);
        Replace(2, second);
    }

    /// <summary>Takes the numbers of those that are closed, so that nothing else gets them.</summary>
    internal static void TakeClosed()
    {
        for (int descriptor = 0; descriptor < Count; descriptor++)
        {
            // The host gives the lowest that is free.
            if (SystemCalls.Fcntl(descriptor, SystemCalls.FcntlGetDescriptorFlags, 0) < 0)
            {
                _ = SystemCalls.Open(Nowhere, SystemCalls.OpenReadWrite | SystemCalls.OpenCloseOnExec);
            }
        }
    }

    private static SafeFileHandle Copy(int descriptor)
    {
        int copy = SystemCalls.Fcntl(descriptor, SystemCalls.FcntlDuplicateCloseOnExec, SystemCalls.FirstFreeDescriptor);
        return copy >= 0 ? new SafeFileHandle(copy, ownsHandle: true) : throw Failure();
    }

    private static void Replace(int descriptor, SafeFileHandle file)
    {
        if (SystemCalls.Duplicate((int)file.DangerousGetHandle(), descriptor) < 0)
        {
            throw Failure();
        }
    }

    private static IOException Failure() => new(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));

    private static int Usable(int descriptor) =>
        OperatingSystem.IsLinux() && SystemCalls.Fcntl(descriptor, SystemCalls.FcntlGetDescriptorFlags, 0) != 0 ? Closed : descriptor;
}

/// <summary>What standard input is, as far as it matters for time.</summary>
public enum InputKind
{
    /// <summary>A pipe or a socket: whoever writes it may wait for an answer first, and for how long nobody knows.</summary>
    Stream,

    /// <summary>A regular file, or nothing: it is all there already.</summary>
    Fixed,

    /// <summary>A terminal, or another device.</summary>
    Device,
}
