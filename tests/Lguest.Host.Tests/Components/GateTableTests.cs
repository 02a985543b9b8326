using Lguest.Host.Traps;

namespace Lguest.Host.Tests.Components;

public sealed class GateTableTests
{
    private const uint Low = 0x0061_5678;
    private const uint InterruptGate = 0xc012_8e00;
    private const uint TrapGate = 0xc012_ef00;

    private readonly GateTable _gates = new();

    [Fact]
    public void A_gate_is_what_the_guest_said_but_for_the_selector()
    {
        _gates.Load(6, 0xffff_5678, InterruptGate);
        _gates.Load(0x80, Low, TrapGate);

        Assert.Equal(new Gate(true, 0xc012_5678, 0, true), _gates[6]);
        Assert.Equal(new Gate(true, 0xc012_5678, 3, false), _gates[0x80]);
    }

    [Theory]
    [InlineData(2u)]
    [InlineData(8u)]
    [InlineData(15u)]
    [InlineData(0x1fu)]
    [InlineData(64u)]
    [InlineData(0x7fu)]
    [InlineData(0x81u)]
    [InlineData(255u)]
    [InlineData(256u)]
    [InlineData(256u + 0x80)]
    [InlineData(uint.MaxValue)]
    public void Vectors_that_are_not_the_guests_are_ignored_whatever_the_gate(uint vector)
    {
        _gates.Load(vector, Low, InterruptGate);
        _gates.Load(vector, Low, 0xc012_8500);

        Assert.False(_gates[(int)(vector & 0xff)].IsPresent);
    }

    [Theory]
    [InlineData(256u)]
    [InlineData(uint.MaxValue)]
    public void Where_every_vector_can_have_a_gate_one_beyond_them_kills(uint vector)
    {
        var gates = new GateTable(lastGate: 255);
        gates.Load(255, Low, InterruptGate);

        GuestFaultException fault = Assert.Throws<GuestFaultException>(() => gates.Load(vector, Low, 0));

        Assert.True(gates[255].IsPresent);
        Assert.Equal($"there is no vector {vector} to have a gate: 255 is the last", fault.Message);
    }

    [Theory]
    [InlineData(0xc012_8c00u, "0xc")]
    [InlineData(0xc012_8500u, "0x5")]
    [InlineData(0xc012_8600u, "0x6")]
    public void A_present_gate_of_another_type_kills(uint high, string type)
    {
        GuestFaultException fault = Assert.Throws<GuestFaultException>(() => _gates.Load(14, Low, high));

        Assert.Equal($"the gate 0x{high:x8}:0x00615678 has type {type}, which is neither 0xe nor 0xf", fault.Message);
    }

    [Fact]
    public void A_gate_that_is_not_present_clears_the_vector_whatever_its_type()
    {
        _gates.Load(14, Low, InterruptGate);
        _gates.Load(14, Low, 0xc012_0500);

        Assert.Equal(default, _gates[14]);
    }

    [Fact]
    public void It_knows_which_interrupts_have_a_gate()
    {
        _gates.Load(32, Low, InterruptGate);
        _gates.Load(63, Low, InterruptGate);
        _gates.Load(40, Low, InterruptGate);
        _gates.Load(40, Low, 0);
        _gates.Load(14, Low, InterruptGate);

        Assert.Equal(0x8000_0001u, _gates.InterruptGates);
    }

    [Fact]
    public void Its_state_can_be_saved_and_restored()
    {
        _gates.Load(33, Low, InterruptGate);
        _gates.Stack = new KernelStackTop(0x69, 0xc000_1000);
        var other = new GateTable { State = _gates.State };

        Assert.Equal(_gates[33], other[33]);
        Assert.Equal(_gates.Stack, other.Stack);
        Assert.Equal(2u, other.InterruptGates);
    }
}
