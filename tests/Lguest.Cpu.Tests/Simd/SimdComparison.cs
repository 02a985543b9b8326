using System.Runtime.Intrinsics;
using System.Text;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>
/// Executes an instruction on the host's processor and on ours, from the same state, and compares all that it
/// could have changed.
/// </summary>
internal sealed unsafe class SimdComparison : IDisposable
{
    private const int TopShift = 11;
    private const int GeneralRegisters = 8;
    private const int Esp = 4;
    private const int Esi = 6;
    private const int Edi = 7;
    /// <summary>CF, PF, AF, ZF, SF, OF.</summary>
    public const uint ArithmeticFlags = 0x8D5;

    private readonly NativeProcessor _native = new();
    private readonly Machine _machine = new();
    private SimdForm? _form;
    private uint _address;
    private bool _throughFs;

    public SimdComparison() => _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr | Cr4.Osxmmexcpt);

    /// <summary>Bytes of memory around the operand that are compared.</summary>
    public const int MemorySize = 64;

    /// <summary>Our machine, for what only it has.</summary>
    public Machine Machine => _machine;

    /// <summary>The state to start from; <see cref="Compare"/> leaves in it what the host's processor made of it.</summary>
    public NativeState* State => _native.State;

    /// <summary>Where the memory operand is, in bytes from an address that is a multiple of 64.</summary>
    public uint MemoryOffset { get; set; }

    /// <summary>The memory around the operand.</summary>
    public Span<byte> Memory => new(State->Scratch, MemorySize);

    /// <summary>An XMM register.</summary>
    public void SetXmm(int number, Vector128<byte> value) =>
        State->Fx.Xmm(number) = new XmmRegister { Low = value.AsUInt64()[0], High = value.AsUInt64()[1] };

    /// <summary>Starts over: FNINIT, empty registers, empty memory.</summary>
    public void Reset() => State->Reset();

    /// <summary>Chooses the instruction to execute.</summary>
    public void Load(SimdForm form)
    {
        _form = form;
        _throughFs = false;
        _address = _machine.WriteAlone(form.Bytes);
    }

    /// <summary>Chooses the instruction to execute; ours has to go through a segment whose base isn't 0.</summary>
    public void LoadThroughFs(SimdForm form)
    {
        const byte fsPrefix = 0x64;
        const uint fsBase = 0x2468;
        _form = form;
        _throughFs = true;
        SegmentRegister segment = _machine.Cpu.State.Ds;
        segment.Base = fsBase;
        _machine.Cpu.SetSegment(SegmentName.Fs, segment);
        _address = _machine.WriteAlone([fsPrefix, .. form.Bytes]);
    }

    /// <summary>Executes the instruction on both, and fails the test where they differ.</summary>
    public void Compare()
    {
        NativeState before = *State;
        ImportState();
        State->General[Esi] = State->General[Edi] = _native.ScratchAddress + MemoryOffset;
        _machine.Cpu.State.Esi = _machine.Cpu.State.Edi =
            Machine.DataBase + MemoryOffset - (_throughFs ? _machine.Cpu.State.Fs.Base : 0);
        _machine.Exceptions.Clear();
        _native.Execute(_form!.Bytes);
        _machine.Cpu.State.Eip = _address;
        _machine.Cpu.Run(1);
        string? difference = FindDifference();
        if (difference is not null)
        {
            Assert.Fail(Describe(difference, before));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _native.Dispose();
        _machine.Dispose();
    }

    private void ImportState()
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        for (int i = 0; i < GeneralRegisters; i++)
        {
            ours.X87.Registers[(State->Fx.Top + i) & 7] = State->Fx.St(i);
            ours.Sse.Registers[i] = State->Fx.Xmm(i);
            ours.SetGeneral(i, (uint)State->General[i]);
        }

        ours.X87.Control = State->Fx.Control;
        ours.X87.Status = State->Fx.Status;
        ours.X87.Valid = State->Fx.Valid;
        ours.Mxcsr = State->Fx.Mxcsr;
        _machine.Cpu.Eflags = (uint)State->Flags;
        _machine.Memory.Write(Machine.DataBase, Memory);
    }

    private string? FindDifference()
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        long theirVector = State->Signal == 0 ? -1 : (long)State->Vector;
        long ourVector = _machine.Exceptions.Count == 0 ? -1 : _machine.Exceptions[0].Vector;
        if (theirVector != ourVector)
        {
            return $"exception (-1 is none): {ourVector}, expected {theirVector}";
        }

        for (int i = 0; i < GeneralRegisters; i++)
        {
            XmmRegister xmm = State->Fx.Xmm(i);
            if (ours.Sse.Registers[i].Low != xmm.Low || ours.Sse.Registers[i].High != xmm.High)
            {
                return $"XMM{i}: {Hex(ours.Sse.Registers[i])}, expected {Hex(xmm)}";
            }

            Float80 st = State->Fx.St(i);
            Float80 ourSt = ours.X87.Registers[(State->Fx.Top + i) & 7];
            if (ourSt.Significand != st.Significand || ourSt.SignExponent != st.SignExponent)
            {
                return $"ST{i}: {Hex(ourSt)}, expected {Hex(st)}";
            }

            if (i is not (Esp or Esi or Edi) && ours.GetGeneral(i) != (uint)State->General[i])
            {
                return $"general register {i}: {ours.GetGeneral(i):X8}, expected {(uint)State->General[i]:X8}";
            }
        }

        if (ours.X87.Status != State->Fx.Status || ours.X87.Valid != State->Fx.Valid)
        {
            return $"x87 status and tags: {ours.X87.Status:X4} {ours.X87.Valid:X2}, "
                + $"expected {State->Fx.Status:X4} {State->Fx.Valid:X2}";
        }

        if (ours.Mxcsr != State->Fx.Mxcsr)
        {
            return $"MXCSR: {ours.Mxcsr:X4}, expected {State->Fx.Mxcsr:X4}";
        }

        if (((_machine.Cpu.Eflags ^ State->Flags) & ArithmeticFlags) != 0)
        {
            return $"flags: {_machine.Cpu.Eflags:X}, expected {State->Flags:X}";
        }

        Span<byte> ourMemory = _machine.Memory.Span(Machine.DataBase, MemorySize);
        return ourMemory.SequenceEqual(Memory)
            ? null
            : $"memory: {Convert.ToHexString(ourMemory)}, expected {Convert.ToHexString(Memory)}";
    }

    private string Describe(string difference, NativeState before)
    {
        NativeState ours = Export(before);
        return new StringBuilder($"{_form}: {difference}, memory + {MemoryOffset}")
            .Append("\nbefore: ").Append(Describe(ref before))
            .Append("\nours: ").Append(Describe(ref ours))
            .Append("\nprocessor: ").Append(Describe(ref *State))
            .ToString();
    }

    /// <summary>Our state as the host's processor would store it.</summary>
    private NativeState Export(NativeState before)
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        NativeState result = before;
        for (int i = 0; i < GeneralRegisters; i++)
        {
            result.Fx.St(i) = ours.X87.Registers[((ours.X87.Status >> TopShift) + i) & 7];
            result.Fx.Xmm(i) = ours.Sse.Registers[i];
            result.General[i] = ours.GetGeneral(i);
        }

        result.Fx.Status = ours.X87.Status;
        result.Fx.Valid = ours.X87.Valid;
        result.Fx.Mxcsr = ours.Mxcsr;
        result.Flags = _machine.Cpu.Eflags;
        _machine.Memory.Span(Machine.DataBase, MemorySize).CopyTo(new Span<byte>(result.Scratch, MemorySize));
        return result;
    }

    private static string Describe(ref NativeState state)
    {
        var text = new StringBuilder();
        for (int i = 0; i < GeneralRegisters; i++)
        {
            text.Append($"\n  XMM{i} {Hex(state.Fx.Xmm(i))} ST{i} {Hex(state.Fx.St(i))} general {i} {(uint)state.General[i]:X8}");
        }

        fixed (byte* memory = state.Scratch)
        {
            return text
                .Append($"\n  TOP {(state.Fx.Status >> TopShift) & 7} tags {state.Fx.Valid:X2} MXCSR {state.Fx.Mxcsr:X4} ")
                .Append($"flags {state.Flags:X3}\n  memory {Convert.ToHexString(new ReadOnlySpan<byte>(memory, MemorySize))}")
                .ToString();
        }
    }

    private static string Hex(XmmRegister value) => $"{value.High:X16}_{value.Low:X16}";

    private static string Hex(Float80 value) => $"{value.SignExponent:X4}_{value.Significand:X16}";
}
