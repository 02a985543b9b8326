using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Host.Hypercalls;

/// <summary>Calls that change segment descriptors.</summary>
internal static class SegmentCalls
{
    /// <summary>Copies the guest's GDT as it is now.</summary>
    public static uint? LoadGdt(HypercallContext context, in HypercallArguments arguments)
    {
        if (arguments.Second > SegmentTable.Entries)
        {
            throw new GuestFaultException($"a GDT of {arguments.Second} entries is too large: 32 is the most");
        }

        Load(context, 0, (int)arguments.Second, arguments.First, "the GDT");
        return null;
    }

    /// <summary>Takes one descriptor of the guest's GDT.</summary>
    public static uint? LoadGdtEntry(HypercallContext context, in HypercallArguments arguments)
    {
        if (arguments.First >= SegmentTable.Entries)
        {
            throw new GuestFaultException($"the GDT has no entry {arguments.First}: 31 is the last");
        }

        context.Segments.Load((int)arguments.First, [arguments.Second | ((ulong)arguments.Third << 32)]);
        return null;
    }

    /// <summary>Copies the three thread-local descriptors.</summary>
    public static uint? LoadTls(HypercallContext context, in HypercallArguments arguments)
    {
        Load(context, SegmentTable.FirstTls, SegmentTable.TlsEntries, arguments.First, "the TLS table");
        return null;
    }

    private static void Load(HypercallContext context, int first, int count, uint address, string what)
    {
        Span<ulong> descriptors = stackalloc ulong[count];
        context.Memory.Read(address, MemoryMarshal.AsBytes(descriptors), what);
        if (!BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.ReverseEndianness(descriptors, descriptors);
        }

        context.Segments.Load(first, descriptors);
    }
}
