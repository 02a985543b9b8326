using Lguest.Host.Traps;

namespace Lguest.Host.Tests.Components;

public sealed class SegmentTableTests
{
    private readonly SegmentTable _segments = new();

    [Fact]
    public void It_starts_with_flat_kernel_segments_and_nothing_else()
    {
        for (int i = 0; i < SegmentTable.Entries; i++)
        {
            ulong expected = i switch
            {
                12 => 0x00cf_bb00_0000_ffff,
                13 => 0x00cf_b300_0000_ffff,
                _ => 0,
            };
            Assert.Equal(expected, _segments.Table[i]);
        }
    }

    [Fact]
    public void The_kernels_descriptors_get_its_privilege_and_all_are_accessed()
    {
        _segments.Load(12, [0x00cf_9a00_0000_ffff, 0x00cf_9200_0000_ffff, 0x00cf_fa00_0000_ffff, 0x00cf_d200_0000_ffff]);

        Assert.Equal(0x00cf_bb00_0000_fffful, _segments.Table[12]);
        Assert.Equal(0x00cf_b300_0000_fffful, _segments.Table[13]);
        Assert.Equal(0x00cf_fb00_0000_fffful, _segments.Table[14]);
        Assert.Equal(0x00cf_d300_0000_fffful, _segments.Table[15]);
    }

    [Fact]
    public void The_hosts_entries_stay()
    {
        var all = new ulong[32];
        Array.Fill(all, 0x00cf_fa00_0000_fffful);

        _segments.Load(0, all);

        Assert.All([10, 11, 16, 31], entry => Assert.Equal(0ul, _segments.Table[entry]));
        Assert.Equal(28, _segments.Table.Count(descriptor => descriptor == 0x00cf_fb00_0000_ffff));
    }

    [Fact]
    public void No_code_descriptor_ever_has_the_hosts_privilege()
    {
        var random = new Random(1);
        var all = new ulong[32];
        for (int round = 0; round < 100; round++)
        {
            random.NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(all.AsSpan()));
            _segments.Load(0, all);
            Assert.All(
                _segments.Table.Where((_, entry) => entry is not (10 or 11 or 16 or 31)),
                descriptor => Assert.NotEqual(0ul, (descriptor >> 45) & 3));
        }
    }

    [Fact]
    public void Its_state_can_be_saved_and_restored()
    {
        _segments.Load(6, [1, 2, 3]);
        var other = new SegmentTable { State = _segments.State };

        Assert.Equal(_segments.Table, other.Table);
    }
}
