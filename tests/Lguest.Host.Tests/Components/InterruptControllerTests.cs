using Lguest.Cpu.Memory;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Host.Tests.Components;

public sealed class InterruptControllerTests : IDisposable
{
    private const uint DataAddress = 0x100;
    private const uint Blocked = DataAddress + 4;

    private readonly PhysicalMemory _physical = new();
    private readonly LguestData _data;
    private readonly InterruptController _interrupts;
    private readonly FakeTraps _traps = new();

    public InterruptControllerTests()
    {
        _physical.AddRam(0, 0x1000);
        _data = new LguestData(new GuestMemory(_physical), LguestDataLayout.Linux2623);
        _interrupts = new InterruptController(_data, new RealClock());
        _data.Locate(DataAddress);
    }

    public void Dispose() => _physical.Dispose();

    [Fact]
    public void Raising_twice_is_raising_once()
    {
        _interrupts.Raise(4);
        _interrupts.Raise(4);

        Assert.True(_interrupts.TryDeliver(_traps));
        Assert.False(_interrupts.TryDeliver(_traps));
        Assert.Equal([4], _traps.Entered);
    }

    [Fact]
    public void The_lowest_goes_first()
    {
        _interrupts.Raise(31);
        _interrupts.Raise(0);
        _interrupts.Raise(7);

        while (_interrupts.TryDeliver(_traps))
        {
        }

        Assert.Equal([0, 7, 31], _traps.Entered);
    }

    [Fact]
    public void Blocked_ones_and_those_without_a_gate_stay()
    {
        _interrupts.Raise(1);
        _interrupts.Raise(2);
        _interrupts.Raise(3);
        _physical.Write(Blocked, [1 << 1, 0, 0, 0]);
        _traps.Gates = ~(1u << 2);

        while (_interrupts.TryDeliver(_traps))
        {
        }

        Assert.Equal([3], _traps.Entered);
        Assert.Equal(0b110u, _interrupts.Pending);
    }

    [Fact]
    public void Nothing_is_delivered_to_a_guest_that_does_not_accept()
    {
        _interrupts.Raise(1);
        _traps.Accepts = false;

        Assert.False(_interrupts.TryDeliver(_traps));
        Assert.True(_interrupts.IsWaiting(_traps));
    }

    [Fact]
    public void Nothing_is_delivered_before_the_guest_has_said_where_its_data_is()
    {
        _data.State = null;
        _interrupts.Raise(1);

        Assert.False(_interrupts.TryDeliver(_traps));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(32)]
    public void There_are_32_lines(int irq) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _interrupts.Raise(irq));

    [Fact]
    public void Its_state_can_be_saved_and_restored()
    {
        _interrupts.Raise(9);
        _interrupts.IsHalted = true;
        var other = new InterruptController(_data, new RealClock()) { State = _interrupts.State };

        Assert.Equal(1u << 9, other.Pending);
        Assert.True(other.IsHalted);
    }
}
