using System.Text;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// Executes an instruction on the host's processor and on ours, from the same state, and compares all that it
/// could have changed.
/// </summary>
internal sealed unsafe class IntegerComparison : IDisposable
{
    /// <summary>Bytes of memory that both sides have, and that are compared.</summary>
    public const int MemorySize = 640;

    private const int GeneralRegisters = 8;
    private const int Esp = 4;
    private const int None = -1;

    private readonly NativeProcessor _native = new();
    private readonly Machine _machine = new();
    private readonly byte[] _memoryBefore = new byte[MemorySize];
    private readonly uint[] _registersBefore = new uint[GeneralRegisters];
    private IntegerForm? _form;
    private uint _address;
    private uint _flagsBefore;

    /// <summary>Registers that point into the memory, and where to: offsets, or -1 for plain values.</summary>
    public int[] Pointers { get; } = [None, None, None, None, None, None, None, None];

    /// <summary>The state to start from; afterwards, what the host's processor made of it.</summary>
    public NativeState* State => _native.State;

    /// <summary>The memory, at every offset that a pointer can have.</summary>
    public Span<byte> Memory => new(State->Scratch, MemorySize);

    /// <summary>Our side.</summary>
    public Machine Machine => _machine;

    /// <summary>Chooses the instruction to execute.</summary>
    public void Load(IntegerForm form)
    {
        _form = form;
        _address = _machine.WriteAlone(form.Bytes);
        Array.Fill(Pointers, None);
    }

    /// <summary>Puts operands into registers, flags and memory.</summary>
    public void Fill(Random random)
    {
        IntegerValues.Fill(Memory, random);
        for (int i = 0; i < GeneralRegisters; i++)
        {
            State->General[i] = IntegerValues.Next(random);
        }

        State->Flags = (uint)random.Next() & Eflags.Arithmetic;
    }

    /// <summary>Executes the instruction on both, and fails the test where they differ.</summary>
    public void Compare()
    {
        SaveBefore();
        ref ProcessorState ours = ref _machine.Cpu.State;
        for (int i = 0; i < GeneralRegisters; i++)
        {
            ours.SetGeneral(i, Pointers[i] == None ? _registersBefore[i] : Machine.DataBase + (uint)Pointers[i]);
            if (Pointers[i] != None)
            {
                State->General[i] = _native.ScratchAddress + (uint)Pointers[i];
            }
        }

        _machine.Cpu.Eflags = _flagsBefore;
        _machine.Memory.Write(Machine.DataBase, Memory);
        _machine.Exceptions.Clear();
        ours.Eip = _address;
        _machine.Cpu.Run(1);
        _native.Execute(_form!.Bytes);
        string? difference = FindDifference();
        if (difference is not null)
        {
            Assert.Fail(Describe(difference));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _native.Dispose();
        _machine.Dispose();
    }

    private void SaveBefore()
    {
        Memory.CopyTo(_memoryBefore);
        _flagsBefore = (uint)State->Flags;
        for (int i = 0; i < GeneralRegisters; i++)
        {
            _registersBefore[i] = (uint)State->General[i];
        }
    }

    private string? FindDifference()
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        long theirVector = State->Signal == 0 ? None : (long)State->Vector;
        long ourVector = _machine.Exceptions.Count == 0 ? None : _machine.Exceptions[0].Vector;
        if (theirVector != ourVector)
        {
            return $"exception (-1 is none): {ourVector}, expected {theirVector}";
        }

        uint undefined = ourVector == None ? UndefinedFlags.Of(_form!.Decoded, _registersBefore[1]) : 0;
        uint flags = (_machine.Cpu.Eflags ^ (uint)State->Flags) & IntegerValues.Flags & ~undefined;
        if (flags != 0)
        {
            return $"flags: {_machine.Cpu.Eflags:X3}, expected {State->Flags:X3}, of which {undefined:X3} are undefined";
        }

        if (UndefinedFlags.IsResultUndefined(_form!.Decoded, _registersBefore[1]))
        {
            return null;
        }

        for (int i = 0; i < GeneralRegisters; i++)
        {
            uint actual = ours.GetGeneral(i);
            uint expected = (uint)State->General[i];
            if (Pointers[i] != None)
            {
                actual -= Machine.DataBase;
                expected -= (uint)_native.ScratchAddress;
            }

            if (i != Esp && actual != expected)
            {
                return $"general register {i}: {actual:X8}, expected {expected:X8}";
            }
        }

        Span<byte> memory = _machine.Memory.Span(Machine.DataBase, MemorySize);
        int at = memory.CommonPrefixLength(Memory);
        return at == MemorySize ? null : $"memory at offset {at}: {memory[at]:X2}, expected {Memory[at]:X2}";
    }

    private string Describe(string difference)
    {
        var text = new StringBuilder($"{_form}: {difference}\nbefore: flags {_flagsBefore:X3}");
        for (int i = 0; i < GeneralRegisters; i++)
        {
            text.Append(Pointers[i] == None ? $" r{i} {_registersBefore[i]:X8}" : $" r{i} memory + {Pointers[i]}");
        }

        text.Append($"\n  memory {Convert.ToHexString(_memoryBefore)}\nours: flags {_machine.Cpu.Eflags:X3}");
        for (int i = 0; i < GeneralRegisters; i++)
        {
            text.Append($" r{i} {_machine.Cpu.State.GetGeneral(i):X8}");
        }

        text.Append($"\n  memory {Convert.ToHexString(_machine.Memory.Span(Machine.DataBase, MemorySize))}");
        text.Append($"\nprocessor: flags {State->Flags:X3}");
        for (int i = 0; i < GeneralRegisters; i++)
        {
            text.Append($" r{i} {(uint)State->General[i]:X8}");
        }

        return text.Append($"\n  memory {Convert.ToHexString(Memory)}").ToString();
    }
}
