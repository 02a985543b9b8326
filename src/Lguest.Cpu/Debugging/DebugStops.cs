using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Debugging;

/// <summary>
/// Where the machine's debugger wants the processor to stop: breakpoints and watchpoints that the guest can't see, as they are neither in its
/// memory nor in its debug registers. Addresses are linear, and mean what is there in any address space.
/// </summary>
/// <remarks>
/// <para>Blocks end before an instruction with a breakpoint, and a block that begins there is neither linked, nor known to the jump cache, nor
/// translated: so whoever comes there comes through the engine, which looks. As blocks belong to physical pages, this holds for every
/// instruction with the same offset in any page.</para>
/// <para>A page with watched bytes has a slow bit in its translations, so that accesses to it come to <see cref="MemoryAccess.Find"/>. One that
/// hits drops its own block and takes the countdown, so that nothing follows the instruction.</para>
/// <para>Accesses that the processor makes for itself (descriptors, frames of exceptions, saved floating-point state) aren't watched, nor are
/// those of devices. Everything here is called between two runs.</para>
/// </remarks>
public sealed unsafe class DebugStops
{
    private readonly Processor _processor;
    private readonly ProcessorState* _state;
    private readonly HashSet<uint> _instructions = [];
    private readonly List<Watchpoint> _data = [];
    private ulong _passedAt = ulong.MaxValue;
    private uint _passed;

    internal DebugStops(Processor processor, ProcessorState* state)
    {
        _processor = processor;
        _state = state;
    }

    /// <summary>What the last run stopped for; null if that was nothing of the debugger's, or has been passed.</summary>
    public DebugStop? Last { get; private set; }

    /// <summary>Whether the processor stops when it has delivered an exception or an INT, as who goes step by step wants to see it.</summary>
    public bool AtExceptions { get; set; }

    /// <summary>Replaces the breakpoints and watchpoints. To set the same again changes nothing that a guest could see: no translation is forgotten.</summary>
    /// <param name="instructions">Addresses of instructions.</param>
    /// <param name="data">Bytes that are watched.</param>
    public void Set(IEnumerable<uint> instructions, IEnumerable<Watchpoint> data)
    {
        _instructions.Clear();
        _instructions.UnionWith(instructions);
        bool areNew = false;
        foreach (uint address in _instructions)
        {
            areNew |= _processor.Blocks.EndBefore(address & PhysicalMemory.PageOffsetMask);
        }

        if (areNew)
        {
            // Offsets only get more until the debugger goes: who steps over a breakpoint takes it away and puts it back.
            _processor.Blocks.Clear();
        }

        Watchpoint[] watched = [.. data];
        if (!_data.SequenceEqual(watched))
        {
            _data.Clear();
            _data.AddRange(watched);
            _state->Watching = _data.Count > 0 ? 1u : 0;
            _processor.Translation.FlushAll();
        }
    }

    /// <summary>The debugger goes: the processor runs on as if there had been none.</summary>
    public void Release()
    {
        AtExceptions = false;
        Set([], []);
        _processor.Blocks.EndAnywhere();
        Pass();
    }

    /// <summary>Lets the next instruction execute although it has a breakpoint: before going on from one.</summary>
    public void Pass()
    {
        _passedAt = _processor.Retired;
        _passed = _state->Cs.Base + _state->Eip;
        Last = null;
    }

    /// <summary>Has even the next instruction stop if it has a breakpoint: before going on from somewhere else.</summary>
    public void PassNothing()
    {
        _passedAt = ulong.MaxValue;
        Last = null;
    }

    /// <summary>An access that was noted hasn't happened after all.</summary>
    internal void Forget()
    {
        _state->StopsAfter = 0;
        Last = null;
    }

    /// <summary>Whether the run is to stop before the instruction at EIP.</summary>
    internal bool StopsHere()
    {
        uint linear = _state->Cs.Base + _state->Eip;
        bool isPassed = linear == _passed && _processor.Retired == _passedAt;
        if (!_instructions.Contains(linear) || isPassed || _processor.IsWithinRepetition)
        {
            return false;
        }

        Last = new DebugStop(DebugStopKind.Instruction, linear);
        return true;
    }

    /// <summary>Takes note that an exception was delivered; answers whether the run is to stop for it.</summary>
    internal bool StopsAt(in ExceptionInfo exception)
    {
        if (AtExceptions)
        {
            Last = new DebugStop(DebugStopKind.Exception, (uint)exception.Vector);
        }

        return AtExceptions;
    }

    /// <summary>Whether bytes of a page are watched.</summary>
    internal bool WatchesPage(uint linear)
    {
        uint page = linear & ~PhysicalMemory.PageOffsetMask;
        foreach (Watchpoint watchpoint in _data)
        {
            if (watchpoint.Address - page < PhysicalMemory.PageSize || page - watchpoint.Address < watchpoint.Length)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Sees that the run stops after an instruction that is about to access watched bytes.</summary>
    internal void NoteAccess(uint linear, uint size, AccessKind kind)
    {
        foreach (Watchpoint watchpoint in _data)
        {
            bool overlaps = linear - watchpoint.Address < watchpoint.Length || watchpoint.Address - linear < size;
            bool counts = kind == AccessKind.Read ? watchpoint.OnRead : watchpoint.OnWrite || (kind == AccessKind.Modify && watchpoint.OnRead);
            if (!overlaps || !counts)
            {
                continue;
            }

            uint first = linear - watchpoint.Address < watchpoint.Length ? linear : watchpoint.Address;
            Last = new DebugStop(kind == AccessKind.Read ? DebugStopKind.Read : DebugStopKind.Write, first);
            _state->StopsAfter = 1;
            EndAfterInstruction();
            return;
        }
    }

    /// <summary>What follows in this block leads back to the engine, and no other block can be entered.</summary>
    private void EndAfterInstruction()
    {
        ulong block = ((ulong)_state->Block->Page << PhysicalMemory.PageShift) | _state->Block->Offset;
        _processor.Memory.NotifyWrite(block, 1);
        _state->RetiredLimit -= (ulong)_state->Countdown;
        _state->Countdown = 0;
    }
}
