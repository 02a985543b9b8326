using System.Runtime.InteropServices;

namespace Lguest.Devices.Networks;

/// <summary>The calls of libslirp that are used here. A stack is only ever used by one thread at a time.</summary>
internal static unsafe partial class SlirpLibrary
{
    /// <summary>The file's name, and the Debian package that has it.</summary>
    public const string Name = "libslirp.so.0";

    /// <summary>The Debian package that has it.</summary>
    public const string Package = "libslirp0";

    /// <summary>SlirpConfig's first version, which every libslirp since 4.1 takes.</summary>
    public const uint ConfigurationVersion = 1;

    // SLIRP_POLL_*.
    public const int PollIn = 1;
    public const int PollOut = 2;
    public const int PollUrgent = 4;
    public const int PollError = 8;
    public const int PollHangUp = 16;

    [LibraryImport(Name, EntryPoint = "slirp_new")]
    public static partial nint New(SlirpConfiguration* configuration, SlirpCallbacks* callbacks, nint context);

    [LibraryImport(Name, EntryPoint = "slirp_cleanup")]
    public static partial void Cleanup(nint stack);

    [LibraryImport(Name, EntryPoint = "slirp_input")]
    public static partial void Input(nint stack, byte* frame, int length);

    [LibraryImport(Name, EntryPoint = "slirp_pollfds_fill")]
    public static partial void FillPoll(
        nint stack, uint* timeout, delegate* unmanaged[Cdecl]<int, int, nint, int> addPoll, nint context);

    [LibraryImport(Name, EntryPoint = "slirp_pollfds_poll")]
    public static partial void AfterPoll(
        nint stack, int selectError, delegate* unmanaged[Cdecl]<int, nint, int> getEvents, nint context);

    // Addresses are struct in_addr by value: four bytes in the network's order.
    [LibraryImport(Name, EntryPoint = "slirp_add_hostfwd")]
    public static partial int AddForward(nint stack, int isUdp, uint hostAddress, int hostPort, uint guestAddress, int guestPort);
}

/// <summary>struct SlirpConfig, version 1.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SlirpConfiguration
{
    public uint Version;
    public int Restricted;
    public byte HasInternet4;
    public uint Network;
    public uint Netmask;
    public uint Host;
    public byte HasInternet6;
    public SlirpInternet6Address Prefix6;
    public byte PrefixLength6;
    public SlirpInternet6Address Host6;
    public nint HostName;
    public nint TftpServerName;
    public nint TftpPath;
    public nint BootFile;
    public uint DhcpStart;
    public uint NameServer;
    public SlirpInternet6Address NameServer6;
    public nint DnsSearch;
    public nint DomainName;
    public nuint LongestTransmitted;
    public nuint LongestReceived;
    public byte DisableHostLoopback;
    public byte EnableEmulation;
}

/// <summary>struct in6_addr.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SlirpInternet6Address
{
    public uint First;
    public uint Second;
    public uint Third;
    public uint Fourth;
}

/// <summary>struct SlirpCb as far as version 1 of the configuration reads it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SlirpCallbacks
{
    public delegate* unmanaged[Cdecl]<byte*, nuint, nint, nint> SendPacket;
    public delegate* unmanaged[Cdecl]<byte*, nint, void> GuestError;
    public delegate* unmanaged[Cdecl]<nint, long> ClockNanoseconds;

    // Only IPv6 has timers, and it is off.
    public nint NewTimer;
    public nint FreeTimer;
    public nint ChangeTimer;
    public delegate* unmanaged[Cdecl]<int, nint, void> RegisterPoll;
    public delegate* unmanaged[Cdecl]<int, nint, void> UnregisterPoll;
    public delegate* unmanaged[Cdecl]<nint, void> Notify;
}
