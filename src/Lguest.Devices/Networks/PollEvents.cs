using Lguest.Devices.Backends;

namespace Lguest.Devices.Networks;

/// <summary>What poll(2) and libslirp call the same things.</summary>
internal static class PollEvents
{
    private static readonly (int Slirp, short Host)[] Names =
    [
        (SlirpLibrary.PollIn, SystemCalls.PollIn),
        (SlirpLibrary.PollOut, SystemCalls.PollOut),
        (SlirpLibrary.PollUrgent, SystemCalls.PollUrgent),
        (SlirpLibrary.PollError, SystemCalls.PollError),
        (SlirpLibrary.PollHangUp, SystemCalls.PollHangUp),
    ];

    /// <summary>libslirp's events as poll(2)'s.</summary>
    public static short ToHost(int events)
    {
        short result = 0;
        foreach ((int slirp, short host) in Names)
        {
            result |= (events & slirp) != 0 ? host : (short)0;
        }

        return result;
    }

    /// <summary>poll(2)'s events as libslirp's.</summary>
    public static int FromHost(short events)
    {
        int result = 0;
        foreach ((int slirp, short host) in Names)
        {
            result |= (events & host) != 0 ? slirp : 0;
        }

        return result;
    }
}
