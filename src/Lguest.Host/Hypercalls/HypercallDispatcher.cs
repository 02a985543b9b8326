using Lguest.Cpu;
using Lguest.Cpu.State;
using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>
/// Makes the guest's hypercalls: those of its INT instruction, and before them, and before anything else the
/// guest could notice, those it has queued in the ring.
/// </summary>
public sealed class HypercallDispatcher
{
    private readonly HypercallContext _context;
    private readonly HypercallDefinition?[] _table;
    private readonly ulong[] _counts;
    private int _nextSlot;

    /// <summary>Makes a dispatcher for the context's ABI.</summary>
    public HypercallDispatcher(HypercallContext context)
    {
        _context = context;
        uint highest = 0;
        foreach (HypercallDefinition row in context.Abi.Hypercalls)
        {
            highest = Math.Max(highest, row.Number);
        }

        _table = new HypercallDefinition?[highest + 1];
        _counts = new ulong[highest + 1];
        foreach (HypercallDefinition row in context.Abi.Hypercalls)
        {
            _table[row.Number] = row;
        }
    }

    /// <summary>How often each call was made, queued ones included, by name; calls never made are left out.</summary>
    public IEnumerable<KeyValuePair<string, ulong>> Counts =>
        from row in _context.Abi.Hypercalls
        where _counts[row.Number] != 0
        orderby row.Number
        select KeyValuePair.Create(row.Name, _counts[row.Number]);

    /// <summary>The state to save: the slot of the ring to look at next.</summary>
    public int State
    {
        get => _nextSlot;
        set => _nextSlot = value;
    }

    /// <summary>Makes the hypercall in the processor's registers, after those in the ring.</summary>
    /// <exception cref="GuestFaultException">The guest may not make it like this.</exception>
    public void Dispatch()
    {
        ref ProcessorState registers = ref _context.Processor.State;
        HypercallRegisters names = _context.Abi.Registers;
        uint number = registers.GetGeneral(names.Number);
        if (!_context.Data.IsPresent && number != _context.Abi.FirstHypercall)
        {
            throw new GuestFaultException($"hypercall {NameOf(number)} before {NameOf(_context.Abi.FirstHypercall)}");
        }

        DrainRing();
        if (_context.Ending.IsOver)
        {
            return;
        }

        var arguments = new HypercallArguments(
            registers.GetGeneral(names.First), registers.GetGeneral(names.Second), registers.GetGeneral(names.Third));
        if (Make(number, arguments) is { } result)
        {
            registers.SetGeneral(names.Number, result);
        }

        _context.AddressSpace.CheckBeforeUse();
    }

    /// <summary>
    /// Makes the queued calls, in order from where it stopped last, until it meets an empty slot; once around at
    /// most.
    /// </summary>
    /// <returns>Whether there were any: what the guest's registers and tables mean may have changed.</returns>
    /// <exception cref="GuestFaultException">The guest may not make one of them.</exception>
    public bool DrainRing()
    {
        if (!_context.Data.IsPresent || !_context.Data.IsQueued(_nextSlot))
        {
            return false;
        }

        Span<uint> fields = stackalloc uint[4];
        for (int i = 0; i < _context.Data.RingSlots && _context.Data.IsQueued(_nextSlot) && !_context.Ending.IsOver; i++)
        {
            int slot = _nextSlot;
            _nextSlot = (slot + 1) % _context.Data.RingSlots;
            _context.Data.ReadQueued(slot, fields);
            Make(fields[0], new HypercallArguments(fields[1], fields[2], fields[3]));
            _context.Data.FreeSlot(slot);
        }

        _context.AddressSpace.CheckBeforeUse();
        return true;
    }

    private uint? Make(uint number, in HypercallArguments arguments)
    {
        if (number >= _table.Length || _table[number] is not { } row)
        {
            throw new GuestFaultException($"there is no hypercall {number}");
        }

        _counts[number]++;
        try
        {
            return row.Handler(_context, arguments);
        }
        catch (GuestFaultException fault)
        {
            throw new GuestFaultException($"hypercall {row.Name}: {fault.Message}", fault);
        }
    }

    private string NameOf(uint number) =>
        number < _table.Length && _table[number] is { } row ? row.Name : number.ToString(provider: null);
}
