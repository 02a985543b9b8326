using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>What is done with a page.</summary>
public enum Access
{
    Read,
    Write,
    Execute,
}

/// <summary>What comes of it.</summary>
internal enum Outcome
{
    Done,
    PageFault,
}

/// <summary>Instructions that touch one page.</summary>
internal static class PageProbe
{
    /// <summary>Executes one.</summary>
    /// <param name="machine">Has exceptions recorded, and stops at them.</param>
    /// <param name="page">The linear address that is read, written, or executed.</param>
    /// <param name="access">How it is touched.</param>
    /// <param name="frames">The physical addresses that may be behind it.</param>
    public static Outcome Try(ProtectedMachine machine, uint page, Access access, params ReadOnlySpan<uint> frames)
    {
        machine.Exceptions.Clear();
        machine.State.Edi = page;
        switch (access)
        {
            case Access.Execute:
                foreach (uint frame in frames)
                {
                    // NOP
                    machine.Memory.Write(frame, [0x90]);
                }

                machine.State.Eip = page;
                machine.Cpu.Run(1);
                break;
            case Access.Read:
                machine.Step(a => a.mov(eax, __dword_ptr[edi]));
                break;
            default:
                machine.Step(a => a.mov(__dword_ptr[edi], eax));
                break;
        }

        return machine.Exceptions.Count == 0 ? Outcome.Done : Outcome.PageFault;
    }

    /// <summary>Reads a doubleword, which doesn't fault.</summary>
    public static uint Read(ProtectedMachine machine, uint linear)
    {
        machine.State.Edi = linear;
        machine.Step(a => a.mov(eax, __dword_ptr[edi]));
        Assert.Empty(machine.Exceptions);
        return machine.State.Eax;
    }
}
