using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Translator;

/// <content>
/// Accesses close to each other, through the same register while it doesn't change: one look at the TLB for all of them, at the
/// first. After that they can't leave, and the flags stay in the host's.
/// </content>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>The most bytes that a group may lie apart: the more, the likelier it is that they aren't on one page.</summary>
    private const int MostBytesOfGroup = 128;

    /// <summary>In <see cref="Access.Base"/>: the address is a number.</summary>
    private const int NoBase = 8;

    private readonly GrowingArray<Access> _accesses = new();

    /// <summary>Finds the groups of the block. R15 belongs to one at a time.</summary>
    private void FindGroups()
    {
        int from = 0;
        for (int i = 0; i <= _instructions.Count; i++)
        {
            if (i == _instructions.Count || _instructions[i].Form == TranslatedForm.None)
            {
                FindAccesses(from, i);
                ChooseGroups();
                from = i + 1;
            }
        }
    }

    /// <summary>Lists what is accessed from one instruction to another, and through which value of which register.</summary>
    private void FindAccesses(int from, int to)
    {
        Span<int> versions = stackalloc int[NoBase + 1];
        versions.Clear();
        int pushed = 0;
        _accesses.Clear();
        for (int i = from; i < to; i++)
        {
            ref readonly GuestInstruction one = ref _instructions[i];
            if (TryGetAccess(i, one, out Access access))
            {
                int offset = access.Base == Register.ESP - Register.EAX ? access.Offset - pushed : access.Offset;
                _accesses.Add(access with { Offset = offset, Version = versions[access.Base] });
            }

            int changed = RegisterChanges.Of(one.Instruction, one.Form);
            if (TryGetPushed(one, out int bytes))
            {
                pushed += bytes;
                changed &= ~RegisterChanges.Bit(Register.ESP);
            }

            for (int register = 0; register < NoBase; register++)
            {
                versions[register] += (changed >> register) & 1;
            }
        }
    }

    /// <summary>What an instruction accesses, if that is one operand at a fixed distance from a register.</summary>
    private static bool TryGetAccess(int index, in GuestInstruction one, out Access access)
    {
        const int Esp = Register.ESP - Register.EAX;
        const int Ebp = Register.EBP - Register.EAX;
        Instruction instruction = one.Instruction;
        access = default;
        switch (one.Form)
        {
            case TranslatedForm.Push when instruction.Op0Kind != OpKind.Memory:
            case TranslatedForm.PushFlags:
            case TranslatedForm.Call:
            case TranslatedForm.CallIndirect when instruction.Op0Kind == OpKind.Register:
                access = new Access(index, Esp, 0, -sizeof(uint), sizeof(uint), Writes: true);
                return true;
            case TranslatedForm.PushSelector:
                access = new Access(index, Esp, 0, -sizeof(uint), sizeof(ushort), Writes: true);
                return true;
            case TranslatedForm.Pop:
            case TranslatedForm.Return:
                access = new Access(index, Esp, 0, 0, sizeof(uint), Writes: false);
                return true;
            case TranslatedForm.Leave:
                access = new Access(index, Ebp, 0, 0, sizeof(uint), Writes: false);
                return true;
            case TranslatedForm.AsIs or TranslatedForm.X87 or TranslatedForm.Shift or TranslatedForm.BitTest or TranslatedForm.BitScan
                or TranslatedForm.SelectorRead or TranslatedForm.Divide when one.HasMemory:
                bool isFixed = instruction.MemoryIndex == Register.None
                    && instruction.MemorySegment is not (Register.FS or Register.GS) && !FloatingPointForms.MustBeAligned(instruction)
                    && !(one.Form == TranslatedForm.BitTest && instruction.Op1Kind == OpKind.Register);
                int register = instruction.MemoryBase == Register.None ? NoBase : instruction.MemoryBase - Register.EAX;
                bool writes = instruction.Op0Kind == OpKind.Memory && TranslatedForms.WritesFirst(instruction);
                access = new Access(index, register, 0, (int)instruction.MemoryDisplacement32, instruction.MemorySize.GetSize(), writes);
                return isFixed;
            default:
                return false;
        }
    }

    /// <summary>By how much an instruction lowers ESP, if that is all that it does to it.</summary>
    private static bool TryGetPushed(in GuestInstruction one, out int bytes)
    {
        Instruction instruction = one.Instruction;
        bytes = 0;
        switch (one.Form)
        {
            case TranslatedForm.Push or TranslatedForm.PushSelector or TranslatedForm.PushFlags:
                bytes = sizeof(uint);
                return true;
            case TranslatedForm.Pop:
                bytes = -sizeof(uint);
                return instruction.Op0Register != Register.ESP;
            case TranslatedForm.AsIs when instruction.Op0Kind == OpKind.Register && instruction.Op0Register == Register.ESP
                && instruction.Mnemonic is Mnemonic.Add or Mnemonic.Sub && instruction.Op1Kind is not (OpKind.Register or OpKind.Memory):
                int distance = (int)instruction.GetImmediate(1);
                bytes = instruction.Mnemonic == Mnemonic.Sub ? distance : -distance;
                return true;
            case TranslatedForm.Address when instruction.Op0Register == Register.ESP && instruction.MemoryBase == Register.ESP
                && instruction.MemoryIndex == Register.None:
                bytes = -(int)instruction.MemoryDisplacement32;
                return true;
            default:
                return false;
        }
    }

    /// <summary>Forms groups of the accesses, the largest first, so that none begins before another has ended.</summary>
    private void ChooseGroups()
    {
        while (true)
        {
            int best = 0;
            int most = 1;
            for (int i = 0; i < _accesses.Count; i++)
            {
                int members = TryForm(i, isFormed: false);
                if (members > most)
                {
                    best = i;
                    most = members;
                }
            }

            if (most == 1)
            {
                return;
            }

            TryForm(best, isFormed: true);
        }
    }

    /// <summary>
    /// Counts how many accesses from one on go through the same value, lie close enough and find R15 free in between; and makes them a
    /// group if asked to.
    /// </summary>
    private int TryForm(int begin, bool isFormed)
    {
        Access first = _accesses[begin];
        long low = first.Offset;
        long high = low + first.Size;
        bool writes = first.Writes;
        int members = 1;
        int last = first.Index;
        for (int i = begin + 1; i < _accesses.Count; i++)
        {
            Access access = _accesses[i];
            if (access.Base != first.Base || access.Version != first.Version)
            {
                continue;
            }

            long lowest = Math.Min(low, access.Offset);
            long highest = Math.Max(high, (long)access.Offset + access.Size);
            if (highest - lowest > MostBytesOfGroup || IsTaken(first.Index, access.Index))
            {
                break;
            }

            (low, high) = (lowest, highest);
            writes |= access.Writes;
            last = access.Index;
            members++;
            if (isFormed)
            {
                _instructions[last] = _instructions[last] with { IsCovered = true };
            }
        }

        if (isFormed)
        {
            var group = new AccessGroup(first.Index, (int)(low - first.Offset), (int)(high - low), writes);
            for (int i = first.Index; i <= last; i++)
            {
                _instructions[i] = _instructions[i] with { Group = group };
            }
        }

        return members;
    }

    /// <summary>Whether a group has R15 anywhere from an instruction to another.</summary>
    private bool IsTaken(int from, int to)
    {
        for (int i = from; i <= to; i++)
        {
            if (_instructions[i].Group is not null)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>From the first member's address in R8D to [R10 + R8], with R15 for the others.</summary>
    private void CheckGroup(int index, AccessGroup group)
    {
        AddToAddress(group.Lowest);
        byte* miss = _emitter.Translate(group.Length, TableOf(group.Writes));
        _stubs.Add(new Stub(index, (nint)miss, CurrentFlags(), IsLink: false, 0, 0) { Group = group });
        _emitter.Instruction(Instruction.Create(Code.Mov_r64_rm64, Register.R15, Register.R10));
        AddToAddress(-group.Lowest);
    }

    private void AddToAddress(int distance)
    {
        if (distance != 0)
        {
            _emitter.Instruction(Instruction.Create(Code.Lea_r32_m, Register.R8D, new MemoryOperand(Register.R8, distance)));
        }
    }

    /// <summary>The address of a group's first byte while its first member is next: a register of the state, and how far from there.</summary>
    private GroupAddress AddressOf(AccessGroup group)
    {
        TryGetAccess(group.First, _instructions[group.First], out Access access);
        byte register = access.Base == NoBase ? StateOffset.Zero : (byte)(access.Base * sizeof(uint));
        return new GroupAddress(register, access.Offset + group.Lowest, group.Length, group.Writes);
    }

    /// <summary>An access: by which instruction, through which register (by number, and which of its values), how far from there, of how many bytes.</summary>
    private readonly record struct Access(int Index, int Base, int Version, int Offset, int Size, bool Writes);

    /// <summary>A group: the instruction that looks at the TLB, how far the lowest byte is from its operand, how many bytes.</summary>
    private sealed record AccessGroup(int First, int Lowest, int Length, bool Writes);
}

/// <summary>What a group that was missed has to find on one page.</summary>
/// <param name="Register">State offset of a register.</param>
/// <param name="Offset">From there to the first byte.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Writes">Whether the page has to be writable.</param>
internal readonly record struct GroupAddress(byte Register, int Offset, int Length, bool Writes);
