using Iced.Intel;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>What may be wrong with a page.</summary>
public enum Obstacle
{
    /// <summary>It isn't present.</summary>
    Missing,

    /// <summary>It can't be written.</summary>
    ReadOnly,

    /// <summary>It is the supervisor's, and the access isn't.</summary>
    Supervisor,
}

/// <summary>Executes one instruction next to a page that something is wrong with, and tells whether anything changed.</summary>
internal sealed class FaultMachine : IDisposable
{
    public const uint First = 0x10_0000;
    public const uint Second = First + PagedMachine.PageSize;

    /// <summary>Where every register points, unless it is set: a far pointer lies there.</summary>
    public const uint Safe = 0x20_0000;

    private const uint Gdt = 0x30_0000;
    private const uint TwoPages = 2 * PagedMachine.PageSize;

    private const byte IncrementEbx = 0x43;

    private readonly PagedMachine _machine = new();
    private readonly byte[] _fresh;
    private byte[] _before = [];

    public FaultMachine()
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Ne);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr | Cr4.Osxmmexcpt);
        _machine.Cpu.State.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = 0xF };
        for (int i = 0; i < 8; i++)
        {
            _machine.Cpu.State.SetGeneral(i, Safe);
        }

        // A bit number; what to pop and to store; where to jump.
        _machine.Cpu.State.Eax = 0;
        _machine.Machine.Memory.Write(Safe, OpcodeSpace.FarPointer);
        _machine.Cpu.State.X87.Valid = byte.MaxValue;
        _fresh = _machine.Cpu.Save();
    }

    public ref ProcessorState State => ref _machine.Cpu.State;

    public Processor Cpu => _machine.Cpu;

    public PhysicalMemory Memory => _machine.Machine.Memory;

    /// <summary>Executes with all pages as they should be but for one.</summary>
    /// <param name="code">The instruction.</param>
    /// <param name="obstacle">What is wrong with the page, or null for nothing.</param>
    /// <param name="badPage">The page.</param>
    /// <param name="prepare">Sets registers.</param>
    /// <returns>The exception, or null.</returns>
    public ExceptionInfo? Execute(byte[] code, Obstacle? obstacle, uint badPage, Action prepare)
    {
        _machine.Map(First, First);
        _machine.Map(Second, Second);
        switch (obstacle)
        {
            case Obstacle.Missing: _machine.Unmap(badPage); break;
            case Obstacle.ReadOnly: _machine.MapReadOnly(badPage); break;
            case Obstacle.Supervisor: _machine.MapForSupervisor(badPage); break;
        }

        // Far transfers stay in their ring.
        bool isUser = obstacle == Obstacle.Supervisor;
        ulong far = TestDescriptor.Flat(TestDescriptor.Code | TestDescriptor.Accessed, isUser ? 3 : 0);
        _machine.Machine.Memory.Write(Gdt + OpcodeSpace.FarSelector, BitConverter.GetBytes(far));
        _machine.Cpu.Load(_fresh);
        if (isUser)
        {
            _machine.EnterUserMode();
        }

        _machine.Machine.Memory.Span(First, TwoPages).Clear();
        // After a fault the next instruction mustn't execute.
        _machine.Machine.Memory.Write(Machine.CodeBase, [.. code, IncrementEbx]);
        _machine.Machine.Exceptions.Clear();
        prepare();
        State.Eip = Machine.CodeBase;
        _before = _machine.Cpu.Save();
        _machine.Cpu.Run(2);
        return _machine.Machine.Exceptions.Count == 0 ? null : _machine.Machine.Exceptions[0];
    }

    /// <summary>Fails the test unless the last instruction has left everything as it was.</summary>
    public void AssertUnchanged(string what)
    {
        Assert.True(Cpu.Save().AsSpan().SequenceEqual(_before), $"{what} has changed registers");
        Assert.False(_machine.Machine.Memory.Span(First, TwoPages).ContainsAnyExcept((byte)0), $"{what} has changed memory");
    }

    public void Dispose() => _machine.Dispose();
}
