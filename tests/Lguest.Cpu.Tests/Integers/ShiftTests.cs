using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// Shifts and rotates against the plainest model there is: a shift by n is n shifts by one. That settles all
/// flags, the undefined ones too.
/// </summary>
public sealed class ShiftTests : IDisposable
{
    private const int Counts = 40;

    private readonly Machine _machine = new();

    [Theory]
    [InlineData(Mnemonic.Shl, 4)]
    [InlineData(Mnemonic.Sal, 6)]
    [InlineData(Mnemonic.Shr, 5)]
    [InlineData(Mnemonic.Sar, 7)]
    [InlineData(Mnemonic.Rol, 0)]
    [InlineData(Mnemonic.Ror, 1)]
    [InlineData(Mnemonic.Rcl, 2)]
    [InlineData(Mnemonic.Rcr, 3)]
    public void A_shift_by_n_is_n_shifts_by_one(Mnemonic mnemonic, int group)
    {
        Random random = TestSize.SeededRandom(mnemonic.ToString());
        byte modRm = (byte)(0xC3 | (group << 3));
        foreach ((int bits, byte[] code) in ((int, byte[])[])
            [(8, [0xD2, modRm]), (16, [0x66, 0xD3, modRm]), (32, [0xD3, modRm])])
        {
            _machine.Memory.Write(Machine.CodeBase, code);
            int values = bits == 8 ? 256 : TestSize.Choose(200, 5000);
            for (int i = 0; i < values * Counts; i++)
            {
                uint value = bits == 8 ? (uint)(i / Counts) : IntegerValues.Next(random);
                uint upper = bits == 32 ? 0 : (uint)random.Next() << bits;
                var expected = new ShiftModel(value, bits, (uint)random.Next() & Eflags.Arithmetic);
                Load(upper | expected.Value, (uint)(i % Counts), expected.Flags);
                expected.Shift(mnemonic, i % Counts);
                _machine.Cpu.Run(1);
                AssertIs(upper | expected.Value, expected.Flags, $"{mnemonic} {bits} {value:X} by {i % Counts}");
            }
        }
    }

    [Theory]
    [InlineData(Mnemonic.Shld, 0xA5)]
    [InlineData(Mnemonic.Shrd, 0xAD)]
    public void A_double_shift_by_n_is_n_double_shifts_by_one(Mnemonic mnemonic, byte opcode)
    {
        Random random = TestSize.SeededRandom(mnemonic.ToString());
        foreach ((int bits, byte[] code) in ((int, byte[])[])
            [(16, [0x66, 0x0F, opcode, 0xD3]), (32, [0x0F, opcode, 0xD3])])
        {
            _machine.Memory.Write(Machine.CodeBase, code);
            for (int i = 0; i < TestSize.Choose(300, 5000) * Counts; i++)
            {
                uint value = IntegerValues.Next(random);
                uint filler = IntegerValues.Next(random);
                uint upper = bits == 32 ? 0 : (uint)random.Next() << bits;
                var expected = new ShiftModel(value, bits, (uint)random.Next() & Eflags.Arithmetic);
                Load(upper | expected.Value, (uint)(i % Counts), expected.Flags);
                _machine.Cpu.State.Edx = filler;
                expected.DoubleShift(mnemonic, filler, i % Counts);
                _machine.Cpu.Run(1);
                AssertIs(
                    upper | expected.Value, expected.Flags, $"{mnemonic} {bits} {value:X}, {filler:X} by {i % Counts}");
            }
        }
    }

    public void Dispose() => _machine.Dispose();

    private void Load(uint ebx, uint ecx, uint flags)
    {
        ref ProcessorState state = ref _machine.Cpu.State;
        state.Eip = Machine.CodeBase;
        state.Ebx = ebx;
        state.Ecx = ecx;
        _machine.Cpu.Eflags = flags;
    }

    private void AssertIs(uint ebx, uint flags, string what)
    {
        uint actual = _machine.Cpu.Eflags & Eflags.Arithmetic;
        if (_machine.Cpu.State.Ebx != ebx || actual != flags)
        {
            Assert.Fail($"{what}: {_machine.Cpu.State.Ebx:X8} flags {actual:X3}, expected {ebx:X8} flags {flags:X3}");
        }
    }

    /// <summary>An operand that can be shifted one bit at a time.</summary>
    private struct ShiftModel(uint value, int bits, uint flags)
    {
        private const int CountMask = 31;

        public uint Value { get; private set; } = bits == 32 ? value : value & ((1u << bits) - 1);

        public uint Flags { get; private set; } = flags;

        private readonly bool Carry => (Flags & Eflags.Cf) != 0;

        private readonly bool Top => (Value >> (bits - 1)) != 0;

        public void Shift(Mnemonic mnemonic, int count)
        {
            count &= CountMask;
            if (mnemonic is Mnemonic.Rcl or Mnemonic.Rcr)
            {
                // As far as CF and OF go, a whole round is none.
                count %= bits + 1;
            }

            for (int i = 0; i < count; i++)
            {
                bool low = (Value & 1) != 0;
                switch (mnemonic)
                {
                    case Mnemonic.Rol: Left(Top, Top); break;
                    case Mnemonic.Ror: Right(low, low); break;
                    case Mnemonic.Rcl: Left(Carry, Top); break;
                    case Mnemonic.Rcr: Right(Carry, low); break;
                    case Mnemonic.Shr: Right(false, low); break;
                    case Mnemonic.Sar: Right(Top, low); break;
                    default: Left(false, Top); break;
                }
            }

            if (count != 0 && mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar)
            {
                SetResultFlags(count);
            }
        }

        public void DoubleShift(Mnemonic mnemonic, uint filler, int count)
        {
            count &= CountMask;
            uint original = Value;
            for (int i = 0; i < count; i++)
            {
                uint source = i < bits ? filler : original;
                int bit = i % bits;
                if (mnemonic == Mnemonic.Shld)
                {
                    Left(((source >> (bits - 1 - bit)) & 1) != 0, Top);
                }
                else
                {
                    Right(((source >> bit) & 1) != 0, (Value & 1) != 0);
                }
            }

            SetResultFlags(count);
        }

        private void Left(bool incoming, bool carry) => Set((Value << 1) | (incoming ? 1u : 0), carry);

        private void Right(bool incoming, bool carry) => Set((Value >> 1) | (incoming ? 1u << (bits - 1) : 0), carry);

        private void Set(uint value, bool carry)
        {
            bool before = Top;
            Value = bits == 32 ? value : value & ((1u << bits) - 1);
            Flags = (Flags & ~(uint)(Eflags.Cf | Eflags.Of)) | (carry ? Eflags.Cf : 0u) | (Top != before ? Eflags.Of : 0u);
        }

        private void SetResultFlags(int count)
        {
            if (count != 0)
            {
                Flags = (Flags & (Eflags.Cf | Eflags.Of)) | FlagModel.OfResult(Value, bits);
            }
        }
    }
}
