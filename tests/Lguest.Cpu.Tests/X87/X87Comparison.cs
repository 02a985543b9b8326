using System.Text;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.FloatingPoint;
using Lguest.Cpu.Tests.Native;
using Lguest.Cpu.Tests.Vendors;

namespace Lguest.Cpu.Tests.X87;

/// <summary>
/// Executes an x87 instruction on the host's processor and on ours, from the same random state, and compares all
/// that it could have changed.
/// </summary>
internal sealed unsafe class X87Comparison : IDisposable
{
    /// <summary>Bytes of memory at the operand that are compared: an FSAVE area and some more.</summary>
    private const int MemorySize = 128;

    private const int Esi = 6;
    private const uint ArithmeticFlags = 0x8D5;
    private const ushort RoundedUp = 1 << 9;
    private const int FirstPointerField = 3;
    private const int PointerFields = 4;

    private readonly NativeProcessor _native = new();
    private readonly Machine _machine = new();
    private X87Form? _form;
    private uint _address;

    public X87Comparison()
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Ne);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
    }

    private NativeState* State => _native.State;

    private Span<byte> Memory => new(State->Scratch, MemorySize);

    /// <summary>Chooses the instruction to execute.</summary>
    public void Load(X87Form form)
    {
        _form = form;
        _address = _machine.WriteAlone(form.Bytes);
    }

    /// <summary>Executes the instruction on both, from the next random state.</summary>
    public void Compare(Random random, Mismatches mismatches)
    {
        X87Form form = _form!;
        do
        {
            MakeState(form, random);
        }
        while (X87Differences.Contain(
            form.Decoded.Mnemonic.ToString().ToUpperInvariant(), State->Fx.St(0), State->Fx.St(1), State->Fx.Control));
        NativeState before = *State;
        ImportState();
        _machine.Cpu.State.Esi = Machine.DataBase;
        State->General[Esi] = _native.ScratchAddress;
        _machine.Exceptions.Clear();
        _native.Execute(form.Bytes);
        _machine.Cpu.State.Eip = _address;
        _machine.Cpu.Run(1);
        string? difference = FindDifference(form, before);
        mismatches.Note(difference is null, () => Describe(form, difference!, before));
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _native.Dispose();
        _machine.Dispose();
    }

    private void MakeState(X87Form form, Random random)
    {
        State->Reset();
        ushort control = (ushort)(FloatSamples.NextControl(random) | 1 << 6 | random.Next(2) << 12);
        if (form.Decoded.Mnemonic == Mnemonic.Fld && form.Decoded.MemorySize != Iced.Intel.MemorySize.Float80)
        {
            // AMD's processors push a denormal even when its exception isn't masked; the manual says that TOP
            // remains unchanged (SDM 1, 8.5.2).
            control |= (ushort)FloatingPointExceptions.Denormal;
        }

        int flags = random.Next(4) == 0 ? random.Next(128) : 0;
        if (random.Next(8) != 0 || !NativeProcessor.CatchesFaults)
        {
            // As a rule no exception waits to be reported.
            flags &= control | 1 << 6;
        }

        bool pending = (flags & ~control & (int)FloatingPointExceptions.All) != 0;
        int conditions = random.Next(8) << 8 | random.Next(2) << 14;
        int top = random.Next(8);
        State->Fx.Control = control;
        State->Fx.Status = (ushort)(flags | conditions | top << 11 | (pending ? 0x8080 : 0));

        // Mostly full but for ST(7), so that there is room to push.
        int valid = random.Next(4) == 0 ? random.Next(256) : 0xFF ^ 1 << ((top + 7) & 7);
        State->Fx.Valid = (byte)(random.Next(8) == 0 ? 0xFF : valid);
        for (int i = 0; i < 8; i += 2)
        {
            (Float80 first, Float80 second) = FloatSamples.NextPair80(random);
            State->Fx.St(i) = first;
            State->Fx.St(i + 1) = second;
        }

        // Elsewhere the manual leaves FYL2XP1 undefined.
        bool undefined = form.Decoded.Mnemonic == Mnemonic.Fyl2xp1
            && ((Float80)State->Fx.St(0)).BiasedExponent >= Float80.Bias - 2;
        if (undefined || (form.IsTranscendental && random.Next(2) == 0))
        {
            State->Fx.St(0) = FloatSamples.NextNumber(random, -20, -3);
        }

        FillMemory(form, random);
        State->General[0] = (ulong)random.NextInt64();
        State->Flags = 0x202 | (uint)random.Next(1 << 12) & ArithmeticFlags;
    }

    private void FillMemory(X87Form form, Random random)
    {
        random.NextBytes(Memory);
        ulong* words = (ulong*)State->Scratch;
        words[0] = form.Decoded.MemorySize switch
        {
            Iced.Intel.MemorySize.Float32 => FloatSamples.Next32(random) | words[0] << 32,
            Iced.Intel.MemorySize.Float64 => FloatSamples.Next64(random),
            Iced.Intel.MemorySize.Int16 or Iced.Intel.MemorySize.Int32 or Iced.Intel.MemorySize.Int64 =>
                (ulong)((long)words[0] >> random.Next(64)),
            _ => words[0],
        };
        if (form.Decoded.MemorySize == Iced.Intel.MemorySize.Float80)
        {
            Float80 value = FloatSamples.Next80(random);
            words[0] = value.Significand;
            words[1] = value.SignExponent;
        }

        if (form.Code == Code.Fbld_m80bcd)
        {
            // The manual allows only decimal digits; as often as not there are few of them, or none.
            words[0] &= 0x7777_7777_7777_7777;
            words[1] &= 0xFFFF_FFFF_FFFF_8077;
            int digits = random.Next(32);
            if (digits < 16)
            {
                words[0] &= (1ul << (4 * digits)) - 1;
                words[1] &= 0xFFFF_FFFF_FFFF_8000;
            }
        }
    }

    private void ImportState()
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        for (int i = 0; i < 8; i++)
        {
            ours.X87.Registers[(State->Fx.Top + i) & 7] = State->Fx.St(i);
        }

        ours.X87.Control = State->Fx.Control;
        ours.X87.Status = State->Fx.Status;
        ours.X87.Valid = State->Fx.Valid;
        ours.Eax = (uint)State->General[0];
        _machine.Cpu.Eflags = (uint)State->Flags;
        _machine.Memory.Write(Machine.DataBase, Memory);
    }

    private string? FindDifference(X87Form form, in NativeState before)
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        long theirVector = State->Signal == 0 ? -1 : (long)State->Vector;
        long ourVector = _machine.Exceptions.Count == 0 ? -1 : _machine.Exceptions[0].Vector;
        if (theirVector != ourVector)
        {
            return $"exception (-1 is none): {ourVector}, processor {theirVector}";
        }

        int ignored = IgnoredStatus(form, before.Fx.Status);
        if (((ours.X87.Status ^ State->Fx.Status) & ~ignored) != 0 || ours.X87.Valid != State->Fx.Valid)
        {
            return $"status and tags: {ours.X87.Status:x4} {ours.X87.Valid:x2}, "
                + $"processor {State->Fx.Status:x4} {State->Fx.Valid:x2}";
        }

        if (ours.X87.Control != State->Fx.Control)
        {
            return $"control: {ours.X87.Control:x4}, processor {State->Fx.Control:x4}";
        }

        for (int i = 0; i < 8; i++)
        {
            Float80 theirs = State->Fx.St(i);
            Float80 our = ours.X87.Registers[(State->Fx.Top + i) & 7];
            if (!our.Equals(theirs) && !(form.IsTranscendental && i < 2 && IsClose(form, before, our, theirs)))
            {
                return $"ST{i}: {our}, processor {theirs}";
            }
        }

        if (ours.Eax != (uint)State->General[0])
        {
            return $"EAX: {ours.Eax:x8}, processor {(uint)State->General[0]:x8}";
        }

        if (((_machine.Cpu.Eflags ^ State->Flags) & ArithmeticFlags) != 0)
        {
            return $"flags: {_machine.Cpu.Eflags:x}, processor {State->Flags:x}";
        }

        Span<byte> ourMemory = _machine.Memory.Span(Machine.DataBase, MemorySize);
        if (form.EnvironmentField != 0)
        {
            // Which instruction was the last, and where, they can't agree on.
            int start = FirstPointerField * form.EnvironmentField;
            Range pointers = start..(start + PointerFields * form.EnvironmentField);
            ourMemory[pointers].Clear();
            Memory[pointers].Clear();
        }

        return ourMemory.SequenceEqual(Memory)
            ? null
            : $"memory: {Convert.ToHexString(ourMemory)}, processor {Convert.ToHexString(Memory)}";
    }

    // The processor's approximations are off by an ulp or so; and for angles, by its short pi, by much more.
    private static bool IsClose(X87Form form, in NativeState before, Float80 ours, Float80 theirs)
    {
        const long farthest = 2;
        Float80 operand = before.Fx.St(0);
        if (form.IsAngular && operand.BiasedExponent >= Float80.Bias - 1)
        {
            return true;
        }

        if (form.Decoded.Mnemonic == Mnemonic.F2xm1 && operand.BiasedExponent >= Float80.Bias)
        {
            // Outside its range the manual leaves the result undefined.
            return true;
        }

        return ours.IsNegative == theirs.IsNegative && Int128.Abs(Order(ours) - Order(theirs)) <= farthest;
    }

    // Numbers by magnitude: neighbours are one apart, across powers of two as well.
    private static Int128 Order(Float80 value) =>
        ((Int128)Math.Max(value.BiasedExponent - 1, 0) << 63) + value.Significand;

    // Whether and how an approximation was rounded is the implementation's choice, down to calling it inexact.
    private int IgnoredStatus(X87Form form, ushort before)
    {
        const int errorSummaryAndBusy = 0x8080;
        const int inexact = (int)(FloatingPointExceptions.Precision | FloatingPointExceptions.Underflow);
        if (!form.IsTranscendental)
        {
            return 0;
        }

        bool mayMatter = ((State->Fx.Control | before) & (int)FloatingPointExceptions.Precision) == 0;
        return RoundedUp | inexact | (mayMatter ? errorSummaryAndBusy : 0);
    }

    private string Describe(X87Form form, string difference, NativeState before)
    {
        ref ProcessorState state = ref _machine.Cpu.State;
        NativeState ours = before;
        ours.Fx.Control = state.X87.Control;
        ours.Fx.Status = state.X87.Status;
        ours.Fx.Valid = state.X87.Valid;
        ours.General[0] = state.Eax;
        ours.Flags = _machine.Cpu.Eflags;
        for (int i = 0; i < 8; i++)
        {
            ours.Fx.St(i) = state.X87.Registers[(ours.Fx.Top + i) & 7];
        }

        _machine.Memory.Span(Machine.DataBase, MemorySize).CopyTo(new Span<byte>(ours.Scratch, MemorySize));
        return new StringBuilder($"{form}: {difference}")
            .Append("\n  before: ").Append(Describe(ref before))
            .Append("\n  ours: ").Append(Describe(ref ours))
            .Append("\n  processor: ").Append(Describe(ref *State))
            .ToString();
    }

    private static string Describe(ref NativeState state)
    {
        var text = new StringBuilder($"FCW {state.Fx.Control:x4} FSW {state.Fx.Status:x4} tags {state.Fx.Valid:x2} ");
        text.Append($"EAX {(uint)state.General[0]:x} flags {state.Flags:x}\n   ");
        for (int i = 0; i < 8; i++)
        {
            text.Append($" {(Float80)state.Fx.St(i)}");
        }

        fixed (byte* memory = state.Scratch)
        {
            return text.Append($"\n    memory {Convert.ToHexString(new ReadOnlySpan<byte>(memory, MemorySize))}").ToString();
        }
    }
}
