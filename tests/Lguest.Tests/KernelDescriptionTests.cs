using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>What the kernel that ships says of itself is true: its log and its taint are where it says, as it says.</summary>
public sealed class KernelDescriptionTests
{
    private const int Word = sizeof(uint);
    private const uint IdMask = 0x3fff_ffff;
    private const uint StateShift = 30;
    private const uint Finalized = 2;

    [Fact]
    public void It_has_all_drivers() => Look("quiet", guest =>
    {
        KernelDescription kernel = guest.Kernel!;

        Assert.All(Enum.GetValues<DeviceType>(), type => Assert.Equal(type != DeviceType.None, kernel.HasDriver(type)));
    });

    [Fact]
    public void The_addresses_are_those_of_its_symbols() => Look("quiet", guest =>
    {
        KernelDescription kernel = guest.Kernel!;

        Assert.Equal(0xc000_0000u, kernel.PageOffset);
        Assert.Equal(Symbol("tainted_mask"), kernel.TaintedMask + kernel.PageOffset);
        Assert.Equal(Symbol("prb"), kernel.Log + kernel.PageOffset);
    });

    [Theory]
    [InlineData("")]
    [InlineData("quiet")]
    [InlineData("log_buf_len=1M")]
    public void Its_log_can_be_read_from_outside_whatever_it_prints(string words) => Look(words, guest =>
    {
        (int Level, ulong Time, string Text)[] records = [.. Records(guest)];

        Assert.StartsWith("Linux version ", records[0].Text, StringComparison.Ordinal);
        Assert.Equal(5, records[0].Level);
        Assert.Contains(records, record => record.Text.StartsWith("Kernel command line: ", StringComparison.Ordinal));
        Assert.Contains(records, record => record is { Text: "lguest: guest 1, devices at 0x04000000, TSC 1000000 kHz", Level: 6 });
        Assert.True(records.Length > 50);
        Assert.All(records.Zip(records.Skip(1)), pair => Assert.True(pair.First.Time <= pair.Second.Time));
    });

    [Fact]
    public void Its_taint_is_0_until_something_is_wrong() =>
        Look("quiet", guest => Assert.Equal(0u, Read(guest, guest.Kernel!.TaintedMask)));

    /// <summary>Boots it without a root file system, which is its end, and looks at it then.</summary>
    private static void Look(string words, Action<Guest> look) => InProcessGuest.Run(words, guest =>
    {
        GuestOutcome outcome = guest.Run(new RunLimits(InProcessGuest.MostInstructions), TestContext.Current.CancellationToken);
        Assert.StartsWith("VFS: Unable to mount root fs", Assert.IsType<GuestOutcome.Panic>(outcome).Text, StringComparison.Ordinal);
        look(guest);
        return outcome;
    });

    private static IEnumerable<(int Level, ulong Time, string Text)> Records(Guest guest)
    {
        KernelDescription kernel = guest.Kernel!;
        KernelLogLayout layout = kernel.LogLayout;
        uint ring = Read(guest, kernel.Log) - kernel.PageOffset;
        uint descriptors = Read(guest, ring + (uint)layout.Descriptors) - kernel.PageOffset;
        uint infos = Read(guest, ring + (uint)layout.Infos) - kernel.PageOffset;
        uint data = Read(guest, ring + (uint)layout.Data) - kernel.PageOffset;
        uint count = 1u << (int)Read(guest, ring + (uint)layout.CountBits);
        uint size = 1u << (int)Read(guest, ring + (uint)layout.SizeBits);
        uint head = Read(guest, ring + (uint)layout.HeadId) & IdMask;
        for (uint id = Read(guest, ring + (uint)layout.TailId) & IdMask; id != ((head + 1) & IdMask); id = (id + 1) & IdMask)
        {
            uint descriptor = descriptors + (id % count * (uint)layout.DescriptorSize);
            uint state = Read(guest, descriptor + (uint)layout.DescriptorState);
            if (state >> (int)StateShift != Finalized || (state & IdMask) != id)
            {
                continue;
            }

            uint info = infos + (id % count * (uint)layout.InfoSize);
            int length = BinaryPrimitives.ReadUInt16LittleEndian(guest.PhysicalMemory.Span(info + (uint)layout.InfoTextLength, 2));
            int level = guest.PhysicalMemory.Span(info + (uint)layout.InfoFacility + 1, 1)[0] >> 5;
            ulong time = BinaryPrimitives.ReadUInt64LittleEndian(guest.PhysicalMemory.Span(info + (uint)layout.InfoTime, 8));
            uint begin = Read(guest, descriptor + (uint)layout.DescriptorText) % size;

            // The record's id is before its text.
            yield return (level, time, Encoding.ASCII.GetString(guest.PhysicalMemory.Span(data + begin + Word, (uint)length)));
        }
    }

    private static uint Read(Guest guest, uint address) => BinaryPrimitives.ReadUInt32LittleEndian(guest.PhysicalMemory.Span(address, Word));

    private static uint Symbol(string name) => uint.Parse(
        File.ReadLines(Image("System.map")).First(line => line.EndsWith(" " + name, StringComparison.Ordinal)).Split(' ')[0],
        NumberStyles.AllowHexSpecifier,
        CultureInfo.InvariantCulture);
}
