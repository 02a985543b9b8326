using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Networks;

/// <summary>A tap: a network interface of the host whose other end is a descriptor. Closing the descriptor, or the process's end, removes it.</summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class TapInterface : IDisposable
{
    /// <summary>Bytes of a MAC address.</summary>
    public const int AddressLength = 6;

    private const string Device = "/dev/net/tun";
    private const string NamePattern = "tap%d";
    private const string Capability = "run lguest as root or with the capability CAP_NET_ADMIN, or use --usernet, which needs neither";

    // Any socket is good for questions about interfaces.
    private readonly int _questions;
    private InterfaceRequest _request;

    private TapInterface(int descriptor, int questions)
    {
        Descriptor = descriptor;
        _questions = questions;
    }

    /// <summary>Where frames are read and written, one a call and an <see cref="OffloadHeader"/> before each, without waiting.</summary>
    public int Descriptor { get; }

    /// <summary>What the host calls it: tap0.</summary>
    public string Name { get; private set; } = string.Empty;

    /// <summary>The host's number for it, by which no two interfaces go at one time.</summary>
    public int Index { get; private set; }

    /// <summary>Its MAC address.</summary>
    public byte[] HardwareAddress { get; } = new byte[AddressLength];

    /// <summary>Makes an interface that has an address and is up.</summary>
    /// <exception cref="BackendException">The host has no taps, the user may not make one, or the address is taken.</exception>
    public static TapInterface WithAddress(HostNetworkAddress address)
    {
        if (IsOfHost(address))
        {
            throw new BackendException($"--tunnet={address}: this host has the address {address.Text} already: give another, or stop the guest that has it");
        }

        return Make($"--tunnet={address}", tap => tap.SetAddress(address));
    }

    /// <summary>Makes an interface that is up and in a bridge.</summary>
    /// <exception cref="BackendException">The host has no taps, the user may not make one, or there is no such bridge.</exception>
    public static TapInterface InBridge(string bridge) => Make($"--tunnet=bridge:{bridge}", tap => tap.JoinBridge(bridge));

    /// <summary>Takes the interface away.</summary>
    public void Dispose()
    {
        _ = SystemCalls.Close(Descriptor);
        _ = SystemCalls.Close(_questions);
    }

    private static TapInterface Make(string option, Action<TapInterface> connect)
    {
        int descriptor = SystemCalls.Open(
            Device, SystemCalls.OpenReadWrite | SystemCalls.OpenNonBlocking | SystemCalls.OpenCloseOnExec);
        if (descriptor < 0)
        {
            throw Marshal.GetLastPInvokeError() is SystemCalls.Enoent or SystemCalls.Enodev
                ? new BackendException($"{option}: there is no {Device}: load the host's driver with `modprobe tun`, or use --usernet")
                : new BackendException($"{option}: {Device} may not be opened by this user ({SystemCalls.LastError()}): {Capability}");
        }

        var tap = new TapInterface(
            descriptor, SystemCalls.Socket(SystemCalls.SocketFamilyInternet, SystemCalls.SocketDatagrams | SystemCalls.OpenCloseOnExec, 0));
        try
        {
            tap.Create(option);
            connect(tap);
            tap.BringUp(option);
            return tap;
        }
        catch
        {
            tap.Dispose();
            throw;
        }
    }

    // Binding a socket would tell less: it works for any address where no interface has ever had one.
    private static bool IsOfHost(HostNetworkAddress address)
    {
        InterfaceAddress* first;
        if (SystemCalls.GetAddresses(&first) != 0)
        {
            throw new BackendException(
                $"--tunnet={address}: this host's addresses cannot be read ({SystemCalls.LastError()}): use --usernet, which needs none");
        }

        uint wanted = Network(address.Address).Address;
        bool isFound = false;
        for (InterfaceAddress* each = first; each != null; each = each->Next)
        {
            isFound |= each->Address != null && each->Address->Family == SystemCalls.SocketFamilyInternet && each->Address->Address == wanted;
        }

        SystemCalls.FreeAddresses(first);
        return isFound;
    }

    private static InternetAddress Network(uint address) => new()
    {
        Family = SystemCalls.SocketFamilyInternet,
        Address = BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(address) : address,
    };

    private void Create(string option)
    {
        _request.SetName(NamePattern);
        _request.Flags = InterfaceRequest.FlagTap | InterfaceRequest.FlagPlain | InterfaceRequest.FlagOffload;
        if (!Ask(Descriptor, SystemCalls.TunSetInterface))
        {
            throw Marshal.GetLastPInvokeError() == SystemCalls.Eperm
                ? new BackendException($"{option}: this user may not make a network interface: {Capability}")
                : Refused(option, "be made");
        }

        Name = _request.GetName();
        if (SystemCalls.Control(Descriptor, SystemCalls.TunSetOffload, OffloadHeader.All) < 0)
        {
            throw Refused(option, "leave checksums to lguest");
        }

        if (!Ask(_questions, SystemCalls.GetHardwareAddress))
        {
            throw Refused(option, "tell its address");
        }

        for (int i = 0; i < AddressLength; i++)
        {
            HardwareAddress[i] = _request.HardwareAddress[i];
        }

        if (!Ask(_questions, SystemCalls.GetInterfaceIndex))
        {
            throw Refused(option, "tell its number");
        }

        Index = _request.Index;
    }

    private void SetAddress(HostNetworkAddress address)
    {
        _request.Address = Network(address.Address);
        bool isSet = Ask(_questions, SystemCalls.SetInterfaceAddress);
        _request.Address = Network(address.Mask);
        if (!isSet || !Ask(_questions, SystemCalls.SetInterfaceNetmask))
        {
            throw Refused($"--tunnet={address}", "have this address");
        }
    }

    private void JoinBridge(string bridge)
    {
        string option = $"--tunnet=bridge:{bridge}";
        _request.SetName(bridge);
        _request.Index = Index;
        bool joined = Ask(_questions, SystemCalls.AddToBridge);
        int error = Marshal.GetLastPInvokeError();
        _request.SetName(Name);
        if (!joined)
        {
            throw error switch
            {
                SystemCalls.Enodev => new BackendException(
                    $"{option}: there is no bridge '{bridge}': make it with `ip link add {bridge} type bridge && ip link set {bridge} up`, or correct the name"),
                SystemCalls.Eperm => new BackendException($"{option}: this user may not change the bridge: {Capability}"),
                _ => new BackendException(
                    $"{option}: '{bridge}' is not a bridge that an interface can be added to ({Marshal.GetPInvokeErrorMessage(error)}): `ip link show type bridge` lists those there are"),
            };
        }
    }

    private void BringUp(string option)
    {
        if (!Ask(_questions, SystemCalls.GetInterfaceFlags))
        {
            throw Refused(option, "tell its flags");
        }

        _request.Flags |= InterfaceRequest.FlagUp;
        if (!Ask(_questions, SystemCalls.SetInterfaceFlags))
        {
            throw Refused(option, "be switched on");
        }
    }

    private bool Ask(int descriptor, nuint request)
    {
        fixed (InterfaceRequest* argument = &_request)
        {
            return SystemCalls.Control(descriptor, request, argument) == 0;
        }
    }

    private static BackendException Refused(string option, string what) =>
        new($"{option}: a network interface cannot {what} ({SystemCalls.LastError()}): give another address or bridge, or use --usernet");
}
