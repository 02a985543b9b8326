using System.Runtime.InteropServices;
using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>What the host says of pages that were written.</summary>
public sealed class WrittenPagesTests
{
    private const ulong Present = 1ul << 63;
    private const ulong Swapped = 1ul << 62;
    private const ulong OfFile = 1ul << 61;

    [Theory]
    [InlineData(Present | OfFile, Present, true)]
    [InlineData(Present | OfFile | 1234, Present | 5678, true)]
    [InlineData(Present | OfFile, Swapped, true)]
    [InlineData(0, 0, false)]
    [InlineData(Present, Present, false)]
    [InlineData(0, Present, false)]
    [InlineData(Present | OfFile, Present | OfFile, false)]
    [InlineData(Present | OfFile, 0, false)]
    [InlineData(ulong.MaxValue, ulong.MaxValue, false)]
    public void A_host_is_believed_that_tells_a_page_that_was_read_from_one_that_was_written(ulong read, ulong written, bool isTrue) =>
        Assert.Equal(isTrue, WrittenPages.IsTrue(MemoryMarshal.AsBytes<ulong>([read, written]).ToArray()));
}
