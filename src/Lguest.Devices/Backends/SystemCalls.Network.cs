using System.Runtime.InteropServices;

namespace Lguest.Devices.Backends;

/// <summary>What networks need of the C library.</summary>
internal static unsafe partial class SystemCalls
{
    /// <summary>No permission, as most calls say it.</summary>
    public const int Eperm = 1;

    /// <summary>There is no such file.</summary>
    public const int Enoent = 2;

    /// <summary>There is no such device.</summary>
    public const int Enodev = 19;

    /// <summary>open and eventfd: calls never wait.</summary>
    public const int OpenNonBlocking = 0x800;

    /// <summary>socket: IPv4.</summary>
    public const int SocketFamilyInternet = 2;

    /// <summary>socket: a stream of bytes.</summary>
    public const int SocketStream = 1;

    /// <summary>socket: datagrams.</summary>
    public const int SocketDatagrams = 2;

    /// <summary>TUNSETIFF: makes the open /dev/net/tun an interface.</summary>
    public const nuint TunSetInterface = 0x400454ca;

    /// <summary>TUNSETOFFLOAD: what the reader of a tap can take unfinished.</summary>
    public const nuint TunSetOffload = 0x400454d0;

    /// <summary>SIOCGIFFLAGS: what an interface is and does.</summary>
    public const nuint GetInterfaceFlags = 0x8913;

    /// <summary>SIOCSIFFLAGS.</summary>
    public const nuint SetInterfaceFlags = 0x8914;

    /// <summary>SIOCSIFADDR: an interface's IPv4 address.</summary>
    public const nuint SetInterfaceAddress = 0x8916;

    /// <summary>SIOCSIFNETMASK.</summary>
    public const nuint SetInterfaceNetmask = 0x891c;

    /// <summary>SIOCGIFHWADDR: an interface's MAC address.</summary>
    public const nuint GetHardwareAddress = 0x8927;

    /// <summary>SIOCGIFINDEX: an interface's number.</summary>
    public const nuint GetInterfaceIndex = 0x8933;

    /// <summary>SIOCBRADDIF: plugs an interface, by number, into a bridge.</summary>
    public const nuint AddToBridge = 0x89a2;

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(int descriptor, nuint request, InterfaceRequest* argument);

    // TUNSETOFFLOAD takes its argument by value.
    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(int descriptor, nuint request, nuint argument);

    [LibraryImport(Library, EntryPoint = "readv", SetLastError = true)]
    public static partial nint ReadVector(int descriptor, MemoryVector* vectors, int count);

    [LibraryImport(Library, EntryPoint = "writev", SetLastError = true)]
    public static partial nint WriteVector(int descriptor, MemoryVector* vectors, int count);

    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport(Library, EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(int socket, InternetAddress* address, uint length);

    [LibraryImport(Library, EntryPoint = "getifaddrs", SetLastError = true)]
    public static partial int GetAddresses(InterfaceAddress** first);

    [LibraryImport(Library, EntryPoint = "freeifaddrs")]
    public static partial void FreeAddresses(InterfaceAddress* first);

    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventDescriptor(uint start, int flags);

    /// <summary>What the host said of the last call that failed.</summary>
    public static string LastError() => Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
}

/// <summary>struct sockaddr_in. All numbers are in the network's order.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct InternetAddress
{
    public ushort Family;
    public ushort Port;
    public uint Address;
    public ulong Zero;
}

/// <summary>The start of a struct ifaddrs: an address of one of the host's interfaces.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct InterfaceAddress
{
    public InterfaceAddress* Next;
    public byte* Name;
    public uint Flags;

    /// <summary>Null, or of any family.</summary>
    public InternetAddress* Address;
}

/// <summary>struct ifreq: an interface's name, and what is asked of it or answered.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal unsafe struct InterfaceRequest
{
    /// <summary>IFNAMSIZ: a name and its NUL.</summary>
    public const int NameSize = 16;

    /// <summary>IFF_UP.</summary>
    public const short FlagUp = 1;

    /// <summary>IFF_TAP: Ethernet frames.</summary>
    public const short FlagTap = 2;

    /// <summary>IFF_NO_PI: frames, and nothing before them of what protocol they are.</summary>
    public const short FlagPlain = 0x1000;

    /// <summary>IFF_VNET_HDR: before each frame, an <see cref="OffloadHeader"/>.</summary>
    public const short FlagOffload = 0x4000;

    [FieldOffset(0)]
    public fixed byte Name[NameSize];

    [FieldOffset(NameSize)]
    public short Flags;

    [FieldOffset(NameSize)]
    public int Index;

    [FieldOffset(NameSize)]
    public InternetAddress Address;

    /// <summary>The sa_data of a hardware address.</summary>
    [FieldOffset(NameSize + sizeof(ushort))]
    public fixed byte HardwareAddress[6];

    /// <summary>Writes a name of at most 15 ASCII characters.</summary>
    public void SetName(string name)
    {
        for (int i = 0; i < NameSize; i++)
        {
            Name[i] = i < name.Length ? (byte)name[i] : (byte)0;
        }
    }

    /// <summary>Reads the name.</summary>
    public readonly string GetName()
    {
        fixed (byte* name = Name)
        {
            return System.Text.Encoding.ASCII.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        }
    }
}
