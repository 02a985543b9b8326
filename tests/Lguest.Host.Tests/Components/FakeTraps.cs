using Lguest.Cpu;
using Lguest.Cpu.State;
using Lguest.Host.Traps;

namespace Lguest.Host.Tests.Components;

/// <summary>A kernel that takes what the test lets it take, and remembers it.</summary>
internal sealed class FakeTraps() : TrapPolicy(null!)
{
    public uint Gates { get; set; } = uint.MaxValue;

    public bool Accepts { get; set; } = true;

    public List<int> Entered { get; } = [];

    public override uint OpenLines => Gates;

    public override bool AcceptsInterrupts => Accepts;

    protected override int HypercallPrivilege => 1;

    public override void Start(in KernelEntry entry)
    {
    }

    public override void EnterInterrupt(int irq) => Entered.Add(irq);

    protected override ExceptionDisposition OnTrap(in ExceptionInfo exception) => ExceptionDisposition.Stop;
}
