using System.Text;
using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>The calls at the beginning and the end of a guest's life.</summary>
internal static class LifecycleCalls
{
    private const int LongestText = 128;
    private const char Unprintable = '.';

    /// <summary>Nothing by itself: the ring has been drained before any call.</summary>
    public static uint? FlushAsync(HypercallContext context, in HypercallArguments arguments) => null;

    /// <summary>Takes the address of lguest_data and how large it is, and fills in what the guest must know from the start.</summary>
    public static uint? Init(HypercallContext context, in HypercallArguments arguments)
    {
        if (context.Data.IsPresent)
        {
            throw new GuestFaultException("the guest has been initialised already");
        }

        context.Data.Locate(arguments.First, arguments.Second);
        context.Data.WriteIdentity(context.Abi.ReservedMemory, context.GuestId, GuestClock.TscKilohertz);
        context.Data.WriteWallClock(context.Clock.WallTime);
        return null;
    }

    /// <summary>The guest is over: what it says tells how.</summary>
    public static uint? Crash(HypercallContext context, in HypercallArguments arguments)
    {
        context.Ending.End(context.Abi.ReadCrash(ReadText(context.Memory, arguments.First)));
        return null;
    }

    /// <summary>Reads no further than the NUL: the text may be the last thing in memory.</summary>
    private static string ReadText(GuestMemory memory, uint address)
    {
        var text = new StringBuilder(LongestText);
        for (uint i = 0; i < LongestText; i++)
        {
            byte character = memory.ReadByte(address + i, "the text");
            if (character == 0)
            {
                break;
            }

            text.Append(char.IsBetween((char)character, ' ', '~') ? (char)character : Unprintable);
        }

        return text.ToString();
    }
}
