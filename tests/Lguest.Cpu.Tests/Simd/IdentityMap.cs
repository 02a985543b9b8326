using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>Turns on paging in a machine: every page where it was, and single pages changed by the test.</summary>
internal sealed class IdentityMap
{
    /// <summary>Present, writable and for all rings.</summary>
    public const uint Everything = 7;

    /// <summary>Present and for all rings.</summary>
    public const uint ReadOnly = 5;

    /// <summary>Nothing there.</summary>
    public const uint Missing = 0;

    private const uint Directory = 0x10_0000;
    private const uint Table = 0x10_1000;
    private const int PageShift = 12;

    private readonly Machine _machine;

    public IdentityMap(Machine machine)
    {
        _machine = machine;
        machine.WriteUInt32(Directory, Table | Everything);
        for (uint address = 0; address < Machine.MemorySize; address += 1u << PageShift)
        {
            machine.WriteUInt32(EntryOf(address), address | Everything);
        }

        machine.Cpu.WriteControlRegister(3, Directory);
        machine.Cpu.WriteControlRegister(0, machine.Cpu.ReadControlRegister(0) | Cr0.Pg | Cr0.Wp);
    }

    /// <summary>Changes what is allowed in the page at an address.</summary>
    public void Set(uint address, uint flags)
    {
        uint page = address >> PageShift << PageShift;
        _machine.WriteUInt32(EntryOf(address), flags == Missing ? 0 : page | flags);
        _machine.Cpu.FlushTlbPage(address);
    }

    private static uint EntryOf(uint address) => Table + (address >> PageShift) * sizeof(uint);
}
