using System.Text;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Vendors;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// Executes a sequence of 32-bit (or 16-bit) instructions on our processor and on the host's, from one state, and compares all that they
/// could have changed. Ours goes first, so that each instruction can be chosen by what the ones before it did; and once more, when all
/// the code is there.
/// </summary>
internal sealed unsafe class CompatibilityComparison : IDisposable
{
    /// <summary>EFLAGS that are compared.</summary>
    private const uint ComparedFlags =
        Eflags.Arithmetic | Eflags.Df | Eflags.Tf | Eflags.If | Eflags.Iopl | Eflags.Nt | Eflags.Ac | Eflags.Id;

    private const int GeneralRegisters = 8;
    private const int Esp = 4;
    private const int MostSteps = 0x4000;
    private const byte Breakpoint = 0xCC;

    private readonly CompatibilityProcessor _native = new();
    private readonly CompatibilityMachine _machine = new();
    private readonly byte[] _code = new byte[LowMemory.PageSize];
    private readonly bool[] _isUsed = new bool[LowMemory.PageSize];
    private readonly byte[][] _before = [.. LowMemory.WritablePages.Select(_ => new byte[LowMemory.PageSize])];
    private readonly List<string> _listing = [];
    private string _start = "";
    private byte[] _saved = [];
    private ulong _retiredBefore;
    private uint _undefined;
    private bool _isAbandoned;

    /// <summary>Our side.</summary>
    public CompatibilityMachine Machine => _machine;

    /// <summary>The last instruction.</summary>
    public Code Last { get; private set; }

    /// <summary>Whether the sequence has ended: by an exception, or at an address where there is no code.</summary>
    public bool HasEnded => _machine.Exception is not null || HasLeft;

    /// <summary>Whether an instruction can be put at EIP.</summary>
    public bool HasRoom => !HasEnded && !_isAbandoned && IsFree(CodeOffset, LongestInstruction + 1);

    /// <summary>Flags that are undefined now, so that no instruction may look at them.</summary>
    public uint UndefinedNow => _undefined;

    /// <summary>Where EIP is in the page of code.</summary>
    public uint CodeOffset => _machine.Cpu.State.Cs.Base + _machine.Cpu.State.Eip - LowMemory.Code;

    /// <summary>Whether code has 32 bits now.</summary>
    public bool Is32 => _machine.Cpu.State.Cs.IsDefault32;

    private CompatibilityState* State => _native.State;

    /// <summary>
    /// Whether nobody has seen on such a host which of several faults comes first, and which of several accesses. It is as here on
    /// AMD's processors.
    /// </summary>
    private static bool IsUnrecorded => HostVendor.Current is not { Name: HostVendor.Amd };

    private bool IsCall => Last.Mnemonic() == Mnemonic.Call;

    private bool IsFarReturn => Last.Mnemonic() is Mnemonic.Retf or Mnemonic.Iret or Mnemonic.Iretd;

    private bool IsFaultOfComparison => _machine.Exception is { Origin: ExceptionOrigin.Fault }
        && Last.Mnemonic() is Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd;

    private static int LongestInstruction => 15;

    private bool HasLeft => CodeOffset >= LowMemory.PageSize;

    /// <summary>Starts over: from a random state with usable segments, in flat segments or in the LDT's.</summary>
    public void Begin(Random random)
    {
        _machine.Exception = null;
        _undefined = 0;
        _isAbandoned = false;
        _listing.Clear();
        Array.Fill(_code, (byte)0xF4);
        Array.Clear(_isUsed);
        _machine.WriteCode(0, _code);
        FillMemory(random);
        ChooseSegments(random);
        ref ProcessorState state = ref _machine.Cpu.State;
        for (int i = 0; i < GeneralRegisters; i++)
        {
            state.SetGeneral(i, random.Next(3) == 0 ? IntegerValues.Next(random) : NextPointer(random));
        }

        state.Esp = LowMemory.Data + 5 * LowMemory.PageSize - (uint)random.Next(0x200) * 4 - state.Ss.Base;
        state.Ebp = state.Esp + (uint)random.Next(0x40) * 4;
        _machine.Cpu.Eflags = Eflags.Fixed | Eflags.If | (uint)random.Next() & Eflags.Arithmetic
            | (random.Next(8) == 0 ? Eflags.Df : 0) | (random.Next(8) == 0 ? Eflags.Ac : 0) | (random.Next(16) == 0 ? Eflags.Id : 0);
        Export();
        _start = Describe();
        _saved = _machine.Cpu.Save();
        _retiredBefore = _machine.Cpu.Retired;
    }

    /// <summary>Ends the sequence without a comparison: vendors differ in what it has done.</summary>
    public void Abandon() => _isAbandoned = true;

    /// <summary>Executes an instruction on our side. There has to be room for it, and it mustn't look at undefined flags.</summary>
    public void Step(ReadOnlySpan<byte> bytes)
    {
        Instruction instruction = Iced.Intel.Decoder.Create(Is32 ? 32 : 16, bytes.ToArray()).Decode();
        Last = instruction.Code;
        uint at = CodeOffset;
        bytes.CopyTo(_code.AsSpan((int)at));
        _isUsed.AsSpan((int)at, bytes.Length).Fill(true);
        _machine.WriteCode(at, bytes);
        uint ecx = _machine.Cpu.State.Ecx;
        uint eip = _machine.Cpu.State.Eip;
        _listing.Add($"{eip:X8} {Convert.ToHexString(bytes)} {instruction}");
        bool repeats = instruction.IsStringInstruction && (instruction.HasRepPrefix || instruction.HasRepnePrefix);
        int steps = 0;
        do
        {
            _machine.Cpu.Run(1);
        }
        while (repeats && !HasEnded && _machine.Cpu.State.Eip == eip && ++steps < MostSteps);
        if (_machine.Exception is null || _machine.Exception.Value.Origin != ExceptionOrigin.Fault)
        {
            uint undefined = UndefinedFlags.Of(instruction, ecx);
            _undefined = (_undefined & ~(UndefinedFlags.Modified(instruction) & ~undefined)) | undefined;
        }
    }

    /// <summary>Whether an instruction's result doesn't depend on what is undefined.</summary>
    public bool IsDefined(in Instruction instruction) =>
        (UndefinedFlags.Read(instruction) & _undefined) == 0
        && !UndefinedFlags.IsResultUndefined(instruction, _machine.Cpu.State.Ecx);

    /// <summary>Executes it all on the host's processor.</summary>
    /// <returns>What differs, with all that is needed to see why; or null.</returns>
    public string? Finish()
    {
        if (_isAbandoned || AsksForForeignSelector() || (!HasEnded && !IsFree(CodeOffset, 1)))
        {
            return null;
        }

        if (!HasEnded)
        {
            _code[CodeOffset] = Breakpoint;
        }

        RunAgain();
        _native.Execute(_code);
        string? difference = FindDifference();
        return difference is null
            ? null
            : $"{difference}\n{string.Join('\n', _listing)}\nbefore: {_start}\nours: {Describe()}\nprocessor: {DescribeNative()}";
    }

    /// <summary>Where data are, mostly; near the edges of pages often.</summary>
    public static uint NextPointer(Random random)
    {
        uint page = (uint)random.Next(LowMemory.DataPages);
        return random.Next(4) switch
        {
            0 => LowMemory.Data + page * LowMemory.PageSize + (uint)random.Next(-16, 16),
            1 => LowMemory.Data + (page * LowMemory.PageSize) + (uint)random.Next((int)LowMemory.PageSize),
            _ => LowMemory.Data + (uint)random.Next(2 * (int)LowMemory.PageSize - 64) & ~3u,
        };
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _machine.Dispose();
        _native.Dispose();
    }

    /// <summary>All of it in one go, with all of the code in memory, from the same state.</summary>
    private void RunAgain()
    {
        ulong steps = _machine.Cpu.Retired - _retiredBefore;
        bool leaves = HasLeft && _machine.Exception is null;
        _machine.WriteCode(0, _code);
        RestoreMemory();
        _machine.Cpu.Load(_saved);
        _machine.Exception = null;
        _machine.Cpu.Run(leaves ? steps : steps + MostSteps);
    }

    /// <summary>Whether the exception at the end is about a selector with which something might have happened on the host.</summary>
    private bool AsksForForeignSelector() =>
        _machine.Exception is { Vector: >= ExceptionVector.InvalidTss and <= ExceptionVector.GeneralProtection } fault
        && CompatibilityMachine.IsForeign(fault.ErrorCode);

    private void RestoreMemory()
    {
        int i = 0;
        foreach (int page in LowMemory.WritablePages)
        {
            _machine.WritePage(page, _before[i++]);
        }
    }

    private bool IsFree(uint offset, int length) =>
        offset <= LowMemory.PageSize - length && !_isUsed.AsSpan((int)offset, length).Contains(true);

    private void FillMemory(Random random)
    {
        const int page = (int)LowMemory.PageSize;
        int i = 0;
        foreach (int number in LowMemory.WritablePages)
        {
            byte[] bytes = _before[i++];
            random.NextBytes(bytes);
            for (int words = 0; words < page / 16; words++)
            {
                ushort word = random.Next(2) == 0 ? NextSelector(random) : (ushort)IntegerValues.Next(random);
                BitConverter.TryWriteBytes(bytes.AsSpan(random.Next(page - 2)), word);
            }

            bytes.CopyTo(LowMemory.Page(number));
        }

        RestoreMemory();

        LowMemory.WriteReadOnlyPage(_before[0]);
        _machine.WritePage(LowMemory.ReadOnlyPage, _before[0]);
    }

    /// <summary>A selector that Linux has too; good ones often.</summary>
    public static ushort NextSelector(Random random) => random.Next(8) switch
    {
        0 => (ushort)random.Next(4),
        1 => (ushort)(0x10 + 8 * random.Next(2) + random.Next(4)),
        2 => CompatibilityEntry.FlatCode,
        3 => CompatibilityEntry.FlatData,
        4 => (ushort)(LocalDescriptors.All[random.Next(LocalDescriptors.All.Length)] & ~3 | random.Next(4)),
        _ => LocalDescriptors.All[random.Next(LocalDescriptors.All.Length)],
    };

    private void ChooseSegments(Random random)
    {
        bool isFlat = random.Next(2) == 0;
        foreach (SegmentName name in (SegmentName[])[SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs])
        {
            _machine.Load(name, isFlat || random.Next(2) == 0 ? CompatibilityEntry.FlatData : Pick(LocalDescriptors.UsableData, random));
        }

        _machine.Load(SegmentName.Ss, isFlat || random.Next(2) == 0 ? CompatibilityEntry.FlatData : Pick(LocalDescriptors.UsableStacks, random));
        _machine.Load(SegmentName.Cs, isFlat || random.Next(2) == 0 ? CompatibilityEntry.FlatCode : Pick(LocalDescriptors.UsableCode, random));
        const uint start = 0x100;
        _machine.Cpu.State.Eip = LowMemory.Code + start - _machine.Cpu.State.Cs.Base;
    }

    private static ushort Pick(ushort[] selectors, Random random) => selectors[random.Next(selectors.Length)];

    private void Export()
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        State->Reset();
        for (int i = 0; i < GeneralRegisters; i++)
        {
            State->General[i] = ours.GetGeneral(i);
        }

        for (int i = 0; i < 6; i++)
        {
            State->Selectors[i] = _machine.Segment((SegmentName)i).Selector;
        }

        State->Flags = _machine.Cpu.Eflags;
        State->Eip = ours.Eip;
    }

    private string? FindDifference()
    {
        if (FindExceptionDifference() is { } exception)
        {
            return exception;
        }

        ref ProcessorState ours = ref _machine.Cpu.State;
        for (int i = 0; i < GeneralRegisters; i++)
        {
            // Vendors differ in what POPA has loaded before a fault.
            bool isLeftToVendors = i != Esp && _machine.Exception is { Origin: ExceptionOrigin.Fault }
                && Last.Mnemonic() is Mnemonic.Popa or Mnemonic.Popad;
            if (ours.GetGeneral(i) != (uint)State->General[i] && !isLeftToVendors)
            {
                return $"general register {i}: {ours.GetGeneral(i):X8}, processor {(uint)State->General[i]:X8}";
            }
        }

        for (int i = 0; i < 6; i++)
        {
            ushort selector = _machine.Segment((SegmentName)i).Selector;
            ushort expected = State->Selectors[i];
            if (selector != expected && !(IsNull(selector) && IsNull(expected)))
            {
                return $"{(SegmentName)i}: {selector:X4}, processor {expected:X4}";
            }
        }

        // Vendors differ in what a repeated comparison that faults leaves in the flags.
        uint undefined = _undefined | (IsFaultOfComparison ? Eflags.Arithmetic : 0);
        if (((_machine.Cpu.Eflags ^ (uint)State->Flags) & ComparedFlags & ~undefined) != 0)
        {
            return $"EFLAGS: {_machine.Cpu.Eflags:X}, processor {State->Flags:X}, of which {undefined:X} are undefined";
        }

        if (_machine.Exception is { Origin: ExceptionOrigin.Fault } && Last.Mnemonic() is Mnemonic.Enter or Mnemonic.Pusha or Mnemonic.Pushad or Mnemonic.Call)
        {
            // What lies below the stack's top then is the implementation's.
            return null;
        }

        foreach (int page in LowMemory.WritablePages)
        {
            Span<byte> actual = _machine.Page(page);
            Span<byte> theirs = LowMemory.Page(page);
            int at = actual.CommonPrefixLength(theirs);
            if (at != actual.Length)
            {
                return $"memory at {LowMemory.Data + page * LowMemory.PageSize + at:X}: {Convert.ToHexString(actual[at..Math.Min(at + 8, actual.Length)])}, "
                    + $"processor {Convert.ToHexString(theirs[at..Math.Min(at + 8, actual.Length)])}";
            }
        }

        return null;
    }

    /// <summary>Which of the four null selectors it was is lost on the way through Linux.</summary>
    private static bool IsNull(ushort selector) => selector <= 3;

    private string? FindExceptionDifference()
    {
        int theirs = (int)State->Vector;
        uint theirEip = (uint)State->Eip;
        ref ProcessorState ours = ref _machine.Cpu.State;
        if (_machine.Exception is not { } exception)
        {
            // Data aren't for execution on the host; here everything is.
            uint linear = ours.Cs.Base + ours.Eip;
            bool isFetch = theirs == ExceptionVector.PageFault && theirEip == ours.Eip && State->FaultAddress == linear;
            return isFetch ? null : $"no code at {ours.Eip:X}, processor {theirs} at {theirEip:X}";
        }

        if (exception.Vector == ExceptionVector.GeneralProtection && theirEip == ours.Eip && (IsFarReturn || IsCall)
            && theirs is ExceptionVector.PageFault or ExceptionVector.StackSegment or ExceptionVector.AlignmentCheck)
        {
            // How much of the frame is accessed before the selector or the target is refused, vendors see differently.
            return null;
        }

        if (IsUnrecorded && ours.Eip == theirEip && IsMemoryFault(exception.Vector) && IsMemoryFault(theirs))
        {
            return null;
        }

        if (exception.Vector != theirs || ours.Eip != theirEip)
        {
            return $"exception {exception.Vector} at {ours.Eip:X}, processor {theirs} at {theirEip:X}";
        }

        if (exception.Vector == ExceptionVector.PageFault && exception.Address != State->FaultAddress && !IsFarReturn)
        {
            return $"page fault at {exception.Address:X}, processor {State->FaultAddress:X}";
        }

        // Whether a page is there the host decides from one moment to the next.
        uint compared = exception.Vector == ExceptionVector.PageFault ? ~PageFaultError.Protection : uint.MaxValue;
        return ExceptionVector.HasErrorCode(theirs) && ((exception.ErrorCode ^ (uint)State->ErrorCode) & compared) != 0
            ? $"error code of {theirs}: {exception.ErrorCode:X}, processor {State->ErrorCode:X}"
            : null;
    }

    private static bool IsMemoryFault(int vector) => vector is ExceptionVector.PageFault or ExceptionVector.AlignmentCheck;

    private string Describe()
    {
        var text = new StringBuilder($"EIP {_machine.Cpu.State.Eip:X} EFLAGS {_machine.Cpu.Eflags:X}");
        for (int i = 0; i < GeneralRegisters; i++)
        {
            text.Append($" r{i} {_machine.Cpu.State.GetGeneral(i):X8}");
        }

        for (int i = 0; i < 6; i++)
        {
            text.Append($" {(SegmentName)i} {_machine.Segment((SegmentName)i).Selector:X}");
        }

        return text.Append($" {_machine.Exception}").ToString();
    }

    private string DescribeNative()
    {
        var text = new StringBuilder($"EIP {State->Eip:X} EFLAGS {State->Flags:X}");
        for (int i = 0; i < GeneralRegisters; i++)
        {
            text.Append($" r{i} {(uint)State->General[i]:X8}");
        }

        for (int i = 0; i < 6; i++)
        {
            text.Append($" {(SegmentName)i} {State->Selectors[i]:X}");
        }

        return text.Append($" vector {State->Vector} error {State->ErrorCode:X} CR2 {State->FaultAddress:X}").ToString();
    }
}
