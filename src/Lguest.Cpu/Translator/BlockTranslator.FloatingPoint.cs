using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <content>SSE, MMX and x87, on the host's units.</content>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>The x87's pointer to its last instruction, if it isn't in the state yet.</summary>
    private uint? _x87Pointer;

    /// <summary>What the translated part of the block uses.</summary>
    private HostUnits UnitsOf(int translated)
    {
        var units = HostUnits.None;
        for (int i = 0; i < translated; i++)
        {
            units |= FloatingPointForms.UnitsOf(_instructions[i].Instruction);
        }

        return units;
    }

    /// <summary>Loads what the block finds missing, and goes on; or has the interpreter execute the block.</summary>
    private void EmitLoad(HostUnits units, byte* loaded)
    {
        byte* unavailable = _emitter.LoadUnits(units, loaded, _unitLoader);
        HostEmitter.SetDistance(unavailable, _emitter.Position);
        LeaveFor(new TranslatedExit(_translation, 0) { Source = FlagSource.Entry });
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
        AddMisses(index, [(nint)_emitter.LoadX87Control()]);
    }

    /// <summary>LDMXCSR: one that unmasks an exception, or can't be, is the interpreter's.</summary>
    private void EmitLoadMxcsr(int index, in Instruction instruction)
    {
        EmitAddress(instruction, Register.R8D);
        CheckOperand(index, instruction, isWrite: false);
        AddMisses(index, [(nint)_emitter.LoadMxcsrOfGuest()]);
    }
}
