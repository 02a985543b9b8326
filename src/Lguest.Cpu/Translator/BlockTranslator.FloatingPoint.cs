using Iced.Intel;
using Lguest.Cpu.Instructions.X87;

namespace Lguest.Cpu.Translator;

/// <content>SSE, MMX and x87, on the host's units.</content>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>The fewest x87 instructions worth loading the x87 for: that takes as long as to interpret so many.</summary>
    private const int FewestX87ToLoadFor = 8;

    /// <summary>The x87's pointer to its last instruction, if it isn't in the state yet.</summary>
    private uint? _x87Pointer;

    private readonly GrowingArray<UnitLoad> _loads = new();

    /// <summary>
    /// Where a block leaves for an x87 instruction, its state goes from the host's unit to the interpreter and back. For a few
    /// other x87 instructions around it that isn't worth while: they are the interpreter's too.
    /// </summary>
    private void LeaveFewX87()
    {
        int left = 0;
        int translated = 0;
        for (int i = 0; i < _instructions.Count; i++)
        {
            ref readonly GuestInstruction one = ref _instructions[i];
            bool isLeft = one.Form == TranslatedForm.None;
            left += isLeft && FloatingPointForms.IsX87(one.Instruction) ? 1 : 0;
            translated += !isLeft && UsesX87(one.Instruction) ? 1 : 0;
        }

        if (translated >= left * FewestX87ToLoadFor)
        {
            return;
        }

        for (int i = 0; i < _instructions.Count; i++)
        {
            if (UsesX87(_instructions[i].Instruction))
            {
                _instructions[i] = _instructions[i] with { Form = TranslatedForm.None };
            }
        }
    }

    private static bool UsesX87(in Instruction instruction) =>
        (FloatingPointForms.UnitsOf(instruction) & HostUnits.X87) != 0;

    /// <summary>Sees that the host's units have what the instructions from one on use, as far as they are translated.</summary>
    private void SeeToUnits(int from)
    {
        var units = HostUnits.None;
        Mnemonic user = Mnemonic.INVALID;
        for (int i = from; i < _instructions.Count && _instructions[i].Form != TranslatedForm.None; i++)
        {
            Instruction instruction = _instructions[i].Instruction;
            units |= FloatingPointForms.UnitsOf(instruction);
            user = units != HostUnits.None && user == Mnemonic.INVALID ? instruction.Mnemonic : user;
        }

        if (units != HostUnits.None)
        {
            byte* missing = _emitter.JumpIfMissing(units);
            _loads.Add(new UnitLoad(from, units, user, (nint)missing, (nint)_emitter.Position));
        }
    }

    /// <summary>Loads what was found missing, and goes on; or has the interpreter execute those instructions.</summary>
    private void EmitLoads()
    {
        for (int i = 0; i < _loads.Count; i++)
        {
            UnitLoad load = _loads[i];
            HostEmitter.SetDistance((byte*)load.Missing, _emitter.Position);
            byte* unavailable = _emitter.LoadUnits(load.Units, (byte*)load.Loaded, _unitLoader);
            HostEmitter.SetDistance(unavailable, _emitter.Position);
            LeaveFor(new TranslatedExit(_translation, load.Index) { Source = FlagSource.Entry, Reason = load.User });
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

    /// <summary>FSIN and its like. What is out of the ordinary is the interpreter's, which finds everything as it was.</summary>
    private void EmitX87Function(int index, in Instruction instruction)
    {
        X87Function function = FloatingPointForms.FunctionOf(instruction.Mnemonic);
        int operands = X87Call.HasTwoOperands(function) ? 2 : 1;
        KeepFlags(index);
        AddMiss(index, _emitter.JumpIfStatus(X87Status.Sf | (X87Call.ClearsC2(function) ? X87Status.C2 : 0)));
        _emitter.TakeOperands(operands);
        AddMiss(index, _emitter.ReturnIfEmpty(operands));
        AddMiss(index, _emitter.CallFunction(function, operands, _functionCaller));
        _emitter.LoadResult();
        _x87Pointer = instruction.IP32;
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

    /// <summary>A place where units are looked at: before which instruction, which ones, who is the first to use one, and where the jump's distance is and where it goes on.</summary>
    private readonly record struct UnitLoad(int Index, HostUnits Units, Mnemonic User, nint Missing, nint Loaded);
}
