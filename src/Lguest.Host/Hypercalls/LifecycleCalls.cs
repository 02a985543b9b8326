using System.Text;
using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>The calls at the beginning and the end of a guest's life.</summary>
internal static class LifecycleCalls
{
    private const int LongestText = 128;
    private const char Unprintable = '.';
    private const uint RestartRequest = 2;

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
        if (context.Data.State?.KernelAddress is { } kernelAddress)
        {
            BeginLinearly(context, kernelAddress);
        }

        return null;
    }

    /// <summary>The guest is over: what it says tells how.</summary>
    public static uint? Crash(HypercallContext context, in HypercallArguments arguments)
    {
        context.Ending.End(context.Abi.ReadCrash(ReadText(context.Memory, arguments.First)));
        return null;
    }

    /// <summary>As <see cref="Crash"/>, but whether it is a restart is said by a number: the text is often a null pointer then.</summary>
    public static uint? Shutdown(HypercallContext context, in HypercallArguments arguments) =>
        arguments.Second == RestartRequest ? Restart(context) : Crash(context, arguments);

    private static uint? Restart(HypercallContext context)
    {
        context.Ending.End(new GuestOutcome.Restart());
        return null;
    }

    /// <summary>The kernel leaves the identity mapping for its own address, with the tables that it was started on.</summary>
    private static void BeginLinearly(HypercallContext context, uint kernelAddress)
    {
        if (kernelAddress >= 0 - context.Abi.ReservedMemory)
        {
            throw new GuestFaultException($"the kernel's address 0x{kernelAddress:x8} is in the host's part of linear space");
        }

        context.AddressSpace.PageOffset = kernelAddress;
        context.Data.WritePageDirectory(context.AddressSpace.Directory);
        if (context.Abi.MapsLinearly)
        {
            context.AddressSpace.RepeatAt(kernelAddress);
        }
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
