using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.FloatingPoint;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>
/// A machine that random bytes are executed on, from random states, with everything checked afterwards that must hold
/// whatever they were.
/// </summary>
internal sealed unsafe class FuzzMachine : IDisposable
{
    private const uint Code = 0x2_8FE0;
    private const uint ReservedFlags = 1 << 3 | 1 << 5 | 1 << 15 | 0xFFC0_0000;

    private const byte Nop = 0x90;

    // Present, writable, for users and accessed, so that what the processor still sets tells what was written.
    private const uint PageFlags = 0x27;
    private const uint Dirty = 0x40;

    // Memory of ours that the guest has, between two stretches of ours that it doesn't have.
    private const uint FencedAddress = 0x80_0000;
    private const uint FencedPages = 0x38_0000;
    private const int FencedLength = 0x1_0000;
    private const byte Fence = 0xA5;

    private readonly ProtectedMachine _machine = new();
    private readonly byte* _fenced;
    private readonly byte[] _memory = new byte[Machine.MemorySize];
    private readonly byte[] _fresh;
    private byte[] _code = [];
    private byte[] _before = [];
    private uint _start;
    private bool _is32;

    public FuzzMachine()
    {
        _fenced = (byte*)NativeMemory.AlignedAlloc(3 * FencedLength, PhysicalMemory.PageSize);
        new Span<byte>(_fenced, 3 * FencedLength).Fill(Fence);
        _machine.Memory.AddShared(FencedAddress, (nint)_fenced + FencedLength, FencedLength);
        for (ushort selector = 8; selector < ProtectedMachine.Beyond; selector += 8)
        {
            const ulong codeOrData = 1ul << 44;
            const ulong accessed = 1ul << 40;
            ulong descriptor = _machine.GetDescriptor(selector);
            _machine.SetDescriptor(selector, (descriptor & codeOrData) != 0 ? descriptor | accessed : descriptor);
        }

        _machine.MapWithHole();
        for (uint page = 0; page < Machine.MemorySize; page += PhysicalMemory.PageSize)
        {
            bool isFenced = page is >= FencedPages and < FencedPages + FencedLength;
            _machine.SetPage(page, (isFenced ? page - FencedPages + FencedAddress : page) | PageFlags);
        }

        _machine.SetPage(ProtectedMachine.MissingPage, 0);
        uint directory = _machine.Cpu.ReadControlRegister(3);
        _machine.Machine.WriteUInt32(directory, _machine.Machine.ReadUInt32(directory) | PageFlags);
        _machine.Machine.StopAtExceptions = true;
        _machine.EnterRing(0);
        _fresh = _machine.Cpu.Save();
        _machine.Memory.Span(0, Machine.MemorySize).CopyTo(_memory);
    }

    /// <summary>Cases that ended without an exception.</summary>
    public int Executed { get; private set; }

    /// <summary>Executes one case, and fails the test where something is wrong.</summary>
    public void Check(int seed)
    {
        Prepare(new Random(seed));
        string what = $"{Convert.ToHexString(_code)} {Decode()}\n  {Describe()}";
        StopReason reason = _machine.Cpu.Run(1);
        string? wrong = FindFault(reason);
        string after = $"{reason} {string.Join(", ", _machine.Exceptions)}\n  {Describe()}";
        wrong ??= FindContradiction(reason);
        if (wrong is not null)
        {
            Assert.Fail($"{wrong}\n{what}\nafter: {after}\nagain:\n  {Describe()}");
        }
    }

    public void Dispose()
    {
        _machine.Dispose();
        NativeMemory.AlignedFree(_fenced);
    }

    private Instruction Decode() => Decoder.Create(_is32 ? 32 : 16, _code).Decode();

    private void Prepare(Random random)
    {
        // The case before may have written to descriptors.
        RestoreMemory();
        _machine.Cpu.Load(_fresh);
        _machine.Exceptions.Clear();
        if (random.Next(3) == 0)
        {
            _machine.EnterRing(3);
        }

        _is32 = random.Next(4) != 0;
        if (!_is32)
        {
            SegmentRegister segment = _machine.State.Cs;
            segment.Access &= ~SegmentAccess.Default32;
            _machine.Cpu.SetSegment(SegmentName.Cs, segment);
        }

        if (random.Next(4) == 0)
        {
            SegmentName[] names = [SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs];
            SegmentRegister segment = _machine.State.Ds with { Base = (uint)random.Next(0x1000), Limit = (uint)random.Next(0x40_0000) };
            _machine.Cpu.SetSegment(names[random.Next(names.Length)], random.Next(8) == 0 ? default : segment);
        }

        FillRegisters(random);
        _code = RandomCode.Next(random);
        _start = random.Next(8) == 0 ? ProtectedMachine.MissingPage - (uint)random.Next(1, RandomCode.Length) : Code;
        _machine.State.Eip = _start;
        PlaceCode();
        RestoreMemory();
        _before = _machine.Cpu.Save();
    }

    /// <summary>As much of it as there is room for; the NOP before it is for the second time.</summary>
    private void PlaceCode()
    {
        const int around = 2 * RandomCode.Length;
        _memory.AsSpan((int)Code - 1, around).Clear();
        _memory.AsSpan((int)ProtectedMachine.MissingPage - around, around).Clear();
        int room = (int)Math.Min(RandomCode.Length, ProtectedMachine.MissingPage - _start);
        byte[] program = [Nop, .. _code.AsSpan(0, room)];
        program.CopyTo(_memory, (int)_start - 1);
    }

    private void FillRegisters(Random random)
    {
        ref ProcessorState state = ref _machine.State;
        for (int i = 0; i < 8; i++)
        {
            state.SetGeneral(i, random.Next(4) switch
            {
                0 => IntegerValues.Next(random),
                1 => ProtectedMachine.MissingPage + (uint)random.Next(-16, 16) + (random.Next(2) == 0 ? 0 : PhysicalMemory.PageSize),
                2 => FencedPages + (random.Next(2) == 0 ? (uint)random.Next(FencedLength) : FencedLength - (uint)random.Next(16)),
                _ => 0x10_0000 + (uint)random.Next(0x10_0000),
            });
            Float80 number = FloatSamples.Next80(random);
            state.X87.Registers[i] = number;
            state.Sse.Registers[i] = new XmmRegister { Low = FloatSamples.Next64(random), High = FloatSamples.Next64(random) };
        }

        if (random.Next(4) != 0)
        {
            state.Esp = 0x18_0000 + (uint)random.Next(0x1000);
        }

        state.X87.Control = X87Control.Normalize(FloatSamples.NextControl(random));
        state.X87.Status = (ushort)(random.Next(8) << 11);
        state.X87.Valid = (byte)random.Next(256);
        state.Mxcsr = FloatSamples.NextMxcsr(random, unmasked: true);
        _machine.Cpu.Eflags = (uint)random.Next() & (Eflags.Arithmetic | Eflags.Df | Eflags.If | Eflags.Iopl | Eflags.Ac | Eflags.Id);
        uint cr0 = _machine.Cpu.ReadControlRegister(0) | Cr0.Ne;
        cr0 |= random.Next(16) switch { 0 => Cr0.Ts, 1 => Cr0.Em, 2 => Cr0.Mp | Cr0.Ts, 3 => Cr0.Am, _ => 0 };
        _machine.Cpu.WriteControlRegister(0, cr0);
        _machine.Cpu.WriteControlRegister(4, random.Next(8) == 0 ? 0 : Cr4.Osfxsr | Cr4.Osxmmexcpt);
    }

    /// <summary>Says what is wrong with the state after an instruction, or null.</summary>
    private string? FindFault(StopReason reason)
    {
        uint eflags = _machine.Cpu.Eflags;
        if (!FencesStand())
        {
            return "memory that isn't the guest's was written";
        }

        if ((eflags & (ReservedFlags | Eflags.Fixed)) != Eflags.Fixed)
        {
            return $"EFLAGS is {eflags:X}: reserved bits have one value";
        }

        switch (_machine.Exceptions.Count)
        {
            case 0:
                Executed++;
                return FindBadCompletion(reason);
            case 1:
                return reason == StopReason.Requested ? FindBadException(_machine.Exceptions[0]) : $"the run ended with {reason}";
            default:
                return "one instruction raised two exceptions";
        }
    }

    private string? FindBadException(in ExceptionInfo exception)
    {
        bool isAllowed = AllowedExceptions.Contains(_code, _is32, exception.Vector, out Instruction instruction);
        bool isCutOff = exception.Vector == ExceptionVector.PageFault && exception.Address == ProtectedMachine.MissingPage
            && ProtectedMachine.MissingPage - _start < RandomCode.Length;
        if (!isAllowed && !isCutOff)
        {
            return $"it may not raise exception {exception.Vector}";
        }

        // A task switch may fail when the old task is gone. What a REP has done so far stays.
        bool isUnchanged = exception.Origin == ExceptionOrigin.Fault && _machine.Cpu.Retired == 0
            && !instruction.HasRepPrefix && !instruction.HasRepnePrefix
            && _machine.State.Tr.Selector == ProtectedMachine.TssSelector && !AllowedExceptions.IsSystem(instruction);
        return isUnchanged ? FindChange(exception.Vector) : null;
    }

    /// <summary>After a fault that nothing has retired before, all is as it was.</summary>
    private string? FindChange(int vector)
    {
        // A page that is checked for a write counts as written, even if what comes next fails.
        foreach (uint page in WrittenPages())
        {
            if (PhysicalOf(page) == page && !ReadPage(page).AsSpan().SequenceEqual(_memory.AsSpan((int)page, (int)PhysicalMemory.PageSize)))
            {
                return $"a fault has changed memory at {page:X}";
            }
        }

        byte[] after = _machine.Cpu.Save();
        if (vector == ExceptionVector.SimdError)
        {
            // Which exceptions there were stays in MXCSR; and conversions from MMX registers have entered MMX by then.
            uint mxcsr = _machine.State.Mxcsr;
            (ushort status, byte valid) = (_machine.State.X87.Status, _machine.State.X87.Valid);
            _machine.Cpu.Load(_before);
            _machine.State.Mxcsr = mxcsr;
            _machine.State.X87.Status = status;
            _machine.State.X87.Valid = valid;
            bool same = _machine.Cpu.Save().AsSpan().SequenceEqual(after);
            return same ? null : "a fault has changed registers";
        }

        return after.AsSpan().SequenceEqual(_before) ? null : "a fault has changed registers";
    }

    private string? FindBadCompletion(StopReason reason)
    {
        ref ProcessorState state = ref _machine.State;
        Instruction instruction = Decode();
        if (reason is not (StopReason.InstructionLimit or StopReason.Halted))
        {
            return $"the run ended with {reason}";
        }

        if (_machine.Cpu.Retired != 1)
        {
            return $"{_machine.Cpu.Retired} instructions have retired, rather than one";
        }

        if (instruction.IsInvalid)
        {
            return "it isn't an instruction, and was executed";
        }

        int cpl = state.Cpl;
        if (!state.Ss.IsUsable || state.Ss.Dpl != cpl || (state.Ss.Selector & 3) != cpl)
        {
            return $"CPL is {cpl}, but SS is {state.Ss.Selector:X4} {state.Ss.Access}";
        }

        if ((state.Cs.Access & (SegmentAccess.Code | SegmentAccess.Present)) != (SegmentAccess.Code | SegmentAccess.Present))
        {
            return $"CS is {state.Cs.Access}";
        }

        uint next = _start + (uint)instruction.Length;
        bool repeats = instruction.IsStringInstruction && state.Eip == _start;
        return instruction.FlowControl != FlowControl.Next || state.Eip == next || repeats
            ? null
            : $"EIP is {state.Eip:X}, expected {next:X}";
    }

    /// <summary>Once more, as the second instruction of its block: it must end in the same state.</summary>
    private string? FindContradiction(StopReason reason)
    {
        byte[] once = _machine.Cpu.Save();
        List<(uint Page, byte[] Bytes)> onceMemory = [.. WrittenPages().Select(page => (page, ReadPage(page)))];
        List<ExceptionInfo> onceExceptions = [.. _machine.Exceptions];
        RestoreMemory();
        _machine.Cpu.Load(_before);
        _machine.Exceptions.Clear();
        _machine.State.Eip = _start - 1;

        // With the NOP, as many will have retired.
        _machine.State.RetiredLimit = ulong.MaxValue;
        StopReason twice = _machine.Cpu.Run(2);
        if (twice != reason || !_machine.Exceptions.SequenceEqual(onceExceptions))
        {
            return $"after a NOP it ends with {twice} {string.Join(", ", _machine.Exceptions)}";
        }

        if (!_machine.Cpu.Save().AsSpan().SequenceEqual(once))
        {
            return "after a NOP it leaves other registers";
        }

        List<uint> written = WrittenPages();
        return written.Count == onceMemory.Count && onceMemory.All(page => ReadPage(page.Page).AsSpan().SequenceEqual(page.Bytes))
            ? null
            : "after a NOP it leaves other memory";
    }

    /// <summary>Pages that the processor has marked as written.</summary>
    private List<uint> WrittenPages()
    {
        List<uint> pages = [];
        ReadOnlySpan<uint> entries = _machine.Pages;
        for (int i = 0; i < entries.Length; i++)
        {
            if ((entries[i] & Dirty) != 0)
            {
                pages.Add((uint)i * PhysicalMemory.PageSize);
            }
        }

        return pages;
    }

    private byte[] ReadPage(uint page) => _machine.Memory.Span(PhysicalOf(page), PhysicalMemory.PageSize).ToArray();

    private static uint PhysicalOf(uint page) =>
        page is >= FencedPages and < FencedPages + FencedLength ? page - FencedPages + FencedAddress : page;

    /// <summary>Puts back what was written, and the page tables last.</summary>
    private void RestoreMemory()
    {
        foreach (uint page in WrittenPages())
        {
            if (PhysicalOf(page) == page)
            {
                _machine.Memory.Write(page, _memory.AsSpan((int)page, (int)PhysicalMemory.PageSize));
            }
            else
            {
                new Span<byte>(_fenced + FencedLength + (page - FencedPages), (int)PhysicalMemory.PageSize).Fill(Fence);
            }
        }

        // The test itself writes to these.
        foreach (uint address in (uint[])[ProtectedMachine.Tables, Code, ProtectedMachine.MissingPage - 1])
        {
            uint page = address & ~PhysicalMemory.PageOffsetMask;
            _machine.Memory.Write(page, _memory.AsSpan((int)page, (int)PhysicalMemory.PageSize));
        }
    }

    private bool FencesStand() =>
        !new ReadOnlySpan<byte>(_fenced, FencedLength).ContainsAnyExcept(Fence)
        && !new ReadOnlySpan<byte>(_fenced + (2 * FencedLength), FencedLength).ContainsAnyExcept(Fence);

    private string Describe()
    {
        ref ProcessorState state = ref _machine.State;
        var text = new System.Text.StringBuilder($"EIP {state.Eip:X} EFLAGS {_machine.Cpu.Eflags:X} CPL {state.Cpl}");
        for (int i = 0; i < 8; i++)
        {
            text.Append($" r{i} {state.GetGeneral(i):X8}");
        }

        text.Append($"\n  CS {state.Cs.Access} DS {state.Ds.Base:X} {state.Ds.Limit:X} ES {state.Es.Base:X} {state.Es.Limit:X}");
        text.Append($"\n  CR0 {state.Cr0:X} CR4 {state.Cr4:X} FCW {state.X87.Control:X} FSW {state.X87.Status:X} MXCSR {state.Mxcsr:X}");
        return text.ToString();
    }
}
