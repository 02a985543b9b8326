using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <content>SSE, MMX and x87, on the host's units.</content>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>The x87's pointer to its last instruction, if it isn't in the state yet.</summary>
    private uint? _x87Pointer;

    private readonly List<UnitLoad> _loads = [];

    /// <summary>Sees that the host's units have what the instructions from one on use, as far as they are translated.</summary>
    private void SeeToUnits(int from)
    {
        var units = HostUnits.None;
        for (int i = from; i < _instructions.Count && _instructions[i].Form != TranslatedForm.None; i++)
        {
            units |= FloatingPointForms.UnitsOf(_instructions[i].Instruction);
        }

        if (units != HostUnits.None)
        {
            byte* missing = _emitter.JumpIfMissing(units);
            _loads.Add(new UnitLoad(from, units, (nint)missing, (nint)_emitter.Position));
        }
    }

    /// <summary>Loads what was found missing, and goes on; or has the interpreter execute those instructions.</summary>
    private void EmitLoads()
    {
        foreach (UnitLoad load in _loads)
        {
            HostEmitter.SetDistance((byte*)load.Missing, _emitter.Position);
            byte* unavailable = _emitter.LoadUnits(load.Units, (byte*)load.Loaded, _unitLoader);
            HostEmitter.SetDistance(unavailable, _emitter.Position);
            LeaveFor(new TranslatedExit(_translation, load.Index) { Source = FlagSource.Entry });
        }
    }

    private void CheckOperand(int index, in Instruction guest, bool isWrite) => Check(
        index, guest.MemorySize.GetSize(), isWrite, guest.MemorySegment, FloatingPointForms.MustBeAligned(guest));

    /// <summary>A host's pointer would be to emitted code: what the guest finds comes from here.</summary>
    private void NoteX87Pointer()
    {
        if (_x87Pointer is { } pointer)
        {
            _emitter.NoteX87Pointer(pointer);
            _x87Pointer = null;
        }
    }

    /// <summary>FLDCW: one that unmasks an exception is the interpreter's.</summary>
    private void EmitLoadX87Control(int index, in Instruction instruction)
    {
        EmitAddress(instruction, Register.R8D);
        CheckOperand(index, instruction, isWrite: false);
        AddMiss(index, _emitter.LoadX87Control());
    }

    /// <summary>LDMXCSR: one that unmasks an exception, or can't be, is the interpreter's.</summary>
    private void EmitLoadMxcsr(int index, in Instruction instruction)
    {
        EmitAddress(instruction, Register.R8D);
        CheckOperand(index, instruction, isWrite: false);
        AddMiss(index, _emitter.LoadMxcsrOfGuest());
    }

    /// <summary>A place where units are looked at: before which instruction, which ones, and where the jump's distance is and where it goes on.</summary>
    private readonly record struct UnitLoad(int Index, HostUnits Units, nint Missing, nint Loaded);
}
