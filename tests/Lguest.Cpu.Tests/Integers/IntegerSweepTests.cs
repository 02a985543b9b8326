using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Every integer instruction that 64-bit mode has too, in all its forms, against the host's processor.</summary>
public sealed unsafe class IntegerSweepTests : IDisposable
{
    private const int Esi = 6;
    private const int Edi = 7;
    private const int Middle = IntegerComparison.MemorySize / 2;

    private static readonly HashSet<Mnemonic> Delicate =
    [
        Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr,
        Mnemonic.Shld, Mnemonic.Shrd, Mnemonic.Mul, Mnemonic.Imul, Mnemonic.Div, Mnemonic.Idiv,
    ];

    // Registers, displacements and immediates are the encoding's: many of them, and few rounds for each.
    private static readonly int Encodings = TestSize.Choose(ordinary: 48, @long: 480);

    private readonly IntegerComparison _comparison = new();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_does_what_the_real_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        Random random = TestSize.SeededRandom(code.ToString());
        bool isDelicate = Delicate.Contains(code.Mnemonic());
        int rounds = isDelicate ? TestSize.Choose(25, 100) : TestSize.Choose(15, 20);
        var counts = new Dictionary<string, int>();
        for (int encoding = 0; encoding < Encodings; encoding++)
        {
            bool memory = encoding % 2 == 1;
            IntegerForm? form = TryMake(code, memory, random) ?? TryMake(code, !memory, random);
            if (form is not null && (NativeProcessor.CatchesFaults || !MayFault(code)))
            {
                Sweep(form, rounds, random);
                string name = $"{code}{(form.MemoryOperand >= 0 ? ", memory" : "")}";
                counts[name] = counts.GetValueOrDefault(name) + rounds;
            }
        }

        foreach ((string name, int count) in counts)
        {
            ComparisonCounts.Note(name, count, isDelicate ? ComparisonCounts.DelicateMinimum : ComparisonCounts.Minimum);
        }
    }

    [Theory]
    [MemberData(nameof(StringInstructions))]
    public void A_repeated_string_instruction_does_what_the_real_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        Random random = TestSize.SeededRandom(code.ToString());
        IntegerForm once = IntegerForm.TryMake(code, memory: true, random)!;
        foreach (IntegerForm form in (IntegerForm[])[once, once.WithPrefix(0xF2), once.WithPrefix(0xF3)])
        {
            _comparison.Load(form);
            int rounds = TestSize.Choose(1500, 20_000);
            for (int round = 0; round < rounds; round++)
            {
                FillForStrings(random);
                _comparison.Compare();
            }

            ComparisonCounts.Note(form.Decoded.ToString(), rounds, ComparisonCounts.Minimum);
        }
    }

    public static TheoryData<Code> Instructions() => [.. IntegerForm.NativeCodes.Where(code => !IsString(code))];

    public static TheoryData<Code> StringInstructions() => [.. IntegerForm.NativeCodes.Where(IsString)];

    public void Dispose() => _comparison.Dispose();

    private static bool IsString(Code code) => IntegerForm.TryMake(code, memory: true, new Random(1)) is { IsString: true };

    private static bool MayFault(Code code) => code.Mnemonic() is Mnemonic.Div or Mnemonic.Idiv;

    // Of a reserved NOP, half of the encodings chosen are prefetches.
    private static IntegerForm? TryMake(Code code, bool memory, Random random)
    {
        const int patience = 16;
        IntegerForm? form = null;
        for (int attempt = 0; attempt < patience && form is null; attempt++)
        {
            form = IntegerForm.TryMake(code, memory, random);
        }

        return form;
    }

    private void Sweep(IntegerForm form, int rounds, Random random)
    {
        _comparison.Load(form);
        for (int round = 0; round < rounds; round++)
        {
            _comparison.Fill(random);
            if (form.MemoryOperand >= 0)
            {
                _comparison.Pointers[form.Pointer] = form.Code == Code.Xlat_m8 ? random.Next(256) : Middle + random.Next(16);
                ChooseValues(form, random);
            }
            else
            {
                ChooseValues(form, random);
            }

            _comparison.Compare();
        }
    }

    /// <summary>Makes sure that the interesting outcomes of some instructions are met often enough.</summary>
    private void ChooseValues(IntegerForm form, Random random)
    {
        switch (form.Decoded.Mnemonic)
        {
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc
                when form.MemoryOperand == 0 && form.Decoded.Op1Kind == OpKind.Register:
                // Bits as far as the memory goes.
                int register = form.Decoded.Op1Register.GetFullRegister32() - Register.EAX;
                _comparison.State->General[register] = (uint)random.Next(-8 * (Middle - 64), 8 * (Middle - 64));
                break;
            case Mnemonic.Div or Mnemonic.Idiv when random.Next(4) != 0:
                // A small high half, or one that is the low half's sign, so that the quotient often fits.
                uint low = (uint)_comparison.State->General[0];
                uint high = (uint)random.Next(-2, 3) * (uint)random.Next(200);
                _comparison.State->General[2] = random.Next(2) == 0 ? (uint)((int)low >> 31) : high;
                if (random.Next(2) == 0)
                {
                    _comparison.State->General[0] = (low & 0xFFFF_00FF) | ((high & 0xFF) << 8);
                }

                break;
            case Mnemonic.Cmpxchg or Mnemonic.Cmpxchg8b when random.Next(2) == 0:
                MakeEqual(form);
                break;
        }
    }

    private void MakeEqual(IntegerForm form)
    {
        if (form.MemoryOperand >= 0)
        {
            int displacement = (int)form.Decoded.MemoryDisplacement32;
            int at = _comparison.Pointers[Esi] + displacement;
            _comparison.State->General[0] = BitConverter.ToUInt32(_comparison.Memory[at..]);
            _comparison.State->General[2] = BitConverter.ToUInt32(_comparison.Memory[(at + 4)..]);
        }
        else
        {
            int register = form.Decoded.Op0Register.GetFullRegister32() - Register.EAX;
            _comparison.State->General[0] = _comparison.State->General[register];
        }
    }

    /// <summary>Source and destination near each other, often overlapping, often equal in part.</summary>
    private void FillForStrings(Random random)
    {
        const int Most = 20;
        const int Room = 4 * Most;
        _comparison.Fill(random);
        int source = random.Next(Room, IntegerComparison.MemorySize - Room);
        int destination = random.Next(3) == 0
            ? random.Next(Room, IntegerComparison.MemorySize - Room)
            : Math.Clamp(source + random.Next(-9, 10), Room, IntegerComparison.MemorySize - Room);
        _comparison.Pointers[Esi] = source;
        _comparison.Pointers[Edi] = destination;
        _comparison.State->General[1] = (uint)random.Next(Most);
        if (random.Next(2) == 0)
        {
            _comparison.State->Flags |= Eflags.Df;
        }

        // Runs of the same value, and one element that isn't.
        if (random.Next(2) == 0)
        {
            _comparison.Memory.Fill((byte)_comparison.State->General[0]);
            _comparison.Memory[random.Next(source - Room, source + Room)] ^= 1;
            _comparison.State->General[0] = 0x0101_0101 * (uint)(byte)_comparison.State->General[0];
        }
    }
}
