using Iced.Intel;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Translator;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>
/// A program of random instructions that go somewhere: jumps and calls lead to its own instructions, and most of what they touch
/// is memory. Some are translated, some are the interpreter's, and some write over the program.
/// </summary>
internal sealed class RandomProgram
{
    private const int Instructions = 80;

    private static readonly HashSet<Mnemonic> Untranslated =
    [
        Mnemonic.Daa, Mnemonic.Cmpsb, Mnemonic.Cmpsd, Mnemonic.Scasb, Mnemonic.Lodsw, Mnemonic.Aad, Mnemonic.Loop, Mnemonic.Jecxz,
        Mnemonic.Shld, Mnemonic.Rcl, Mnemonic.Rcr, Mnemonic.Enter, Mnemonic.Rcpps, Mnemonic.Cvtps2pi, Mnemonic.Fprem, Mnemonic.Fbld,
        Mnemonic.Fnstenv, Mnemonic.Fsin,
    ];

    private readonly Random _random;
    private readonly uint _start;

    /// <summary>How many quarters of it are floating point.</summary>
    private readonly int _floatingPoint;

    /// <summary>Makes a program for an address.</summary>
    public RandomProgram(Random random, uint start)
    {
        _random = random;
        _start = start;
        _floatingPoint = random.Next(4);
        var chosen = Enumerable.Range(0, Instructions).Select(_ => Next()).ToArray();
        var starts = new uint[Instructions];
        uint at = start;
        for (int i = 0; i < Instructions; i++)
        {
            starts[i] = at;
            at += (uint)chosen[i].Length;
        }

        Starts = starts;
        foreach ((byte[] bytes, int i) in chosen.Select((bytes, i) => (bytes, i)))
        {
            Direct(bytes, starts[i]);
        }

        Bytes = [.. chosen.SelectMany(bytes => bytes)];
    }

    /// <summary>The code.</summary>
    public byte[] Bytes { get; }

    /// <summary>Where its instructions begin.</summary>
    public IReadOnlyList<uint> Starts { get; }

    /// <summary>One of them.</summary>
    public uint AnyStart() => Starts[_random.Next(Starts.Count)];

    /// <summary>The program as text.</summary>
    public override string ToString()
    {
        var decoder = Decoder.Create(32, Bytes, _start);
        var formatter = new NasmFormatter();
        var text = new StringOutput();
        while (decoder.IP < _start + (uint)Bytes.Length)
        {
            Instruction instruction = decoder.Decode();
            text.Write($"{instruction.IP32:x8}  ", FormatterTextKind.Text);
            formatter.Format(instruction, text);
            text.Write("\n", FormatterTextKind.Text);
        }

        return text.ToString();
    }

    private byte[] Next()
    {
        if (_random.Next(24) == 0)
        {
            // mov byte [somewhere in the program], something
            byte[] store = [0xC6, 0x05, 0, 0, 0, 0, (byte)_random.Next(256)];
            BitConverter.TryWriteBytes(store.AsSpan(2), _start + (uint)_random.Next(Instructions * 4));
            return store;
        }

        if (_random.Next(5) == 0)
        {
            return _random.Next(6) switch
            {
                0 => [0xE8, 0, 0, 0, 0],
                1 => [0xE9, 0, 0, 0, 0],
                2 => [0xC3],
                _ => [0x0F, (byte)(0x80 + _random.Next(16)), 0, 0, 0, 0],
            };
        }

        if (_random.Next(12) == 0)
        {
            // rep movs or stos
            byte[] repeat = [0xF3, (byte)((_random.Next(2) == 0 ? 0xA4 : 0xAA) + _random.Next(2))];
            return [.. Preparation(EncodingSample.Decode(repeat, DecoderOptions.None)), .. repeat];
        }

        bool isFloatingPoint = _random.Next(4) < _floatingPoint;
        var bytes = new byte[15];
        while (true)
        {
            _random.NextBytes(bytes);
            if (isFloatingPoint)
            {
                Begin(bytes);
            }
            else
            {
                bytes[0] = _random.Next(9) switch
                {
                    0 or 1 or 2 => 0x0F,
                    3 => (byte)(0x64 + _random.Next(2)),
                    _ => bytes[0],
                };
            }

            var decoder = Decoder.Create(32, bytes);
            Instruction instruction = decoder.Decode();
            bool isWanted = isFloatingPoint ? IsFloatingPoint(instruction) : IsWanted(instruction);
            if (!instruction.IsInvalid && isWanted && IsNear(instruction))
            {
                return [.. Preparation(instruction), .. bytes.AsSpan(0, instruction.Length)];
            }
        }
    }

    /// <summary>Often, what sees to it that an instruction with a count, a bit number or a dividend has one of interest.</summary>
    private byte[] Preparation(in Instruction instruction)
    {
        TranslatedForm form = TranslatedForms.Of(instruction);
        if (_random.Next(4) == 0)
        {
            return [];
        }

        switch (form)
        {
            case TranslatedForm.Shift:
                // mov cl, count
                return [0xB1, (byte)_random.Next(36)];
            case TranslatedForm.BitTest when instruction.Op1Kind == OpKind.Register && instruction.MemoryBase.GetFullRegister32() != Full(instruction)
                && instruction.MemoryIndex.GetFullRegister32() != Full(instruction):
                // mov register, number
                byte[] move = [(byte)(0xB8 + (Full(instruction) - Register.EAX)), 0, 0, 0, 0];
                BitConverter.TryWriteBytes(move.AsSpan(1), _random.Next(-2000, 2000));
                return move;
            case TranslatedForm.Divide:
                // mov edx, a little; or cdq
                return _random.Next(2) == 0 ? [0xBA, (byte)_random.Next(4), 0, 0, 0] : [0x99];
            case TranslatedForm.Repeat:
                // mov ecx, count; and sometimes the source a little before or after the destination: lea esi, [edi + distance]
                byte[] count = [0xB9, (byte)_random.Next(80), (byte)(_random.Next(8) == 0 ? _random.Next(18) : 0), 0, 0];
                return _random.Next(2) == 0 ? count : [.. count, 0x8D, 0x77, (byte)_random.Next(-20, 20)];
            default:
                return [];
        }
    }

    private static Register Full(in Instruction instruction) => instruction.Op1Register.GetFullRegister32();

    private static bool IsWanted(in Instruction instruction)
    {
        TranslatedForm form = TranslatedForms.Of(instruction);
        return form is TranslatedForm.Jump or TranslatedForm.JumpIf or TranslatedForm.Call
            ? instruction.Length >= 5
            : form != TranslatedForm.None || Untranslated.Contains(instruction.Mnemonic);
    }

    /// <summary>Whether it is translated, or one of those around that the interpreter has to itself.</summary>
    private static bool IsFloatingPoint(in Instruction instruction) =>
        FloatingPointForms.Of(instruction) != TranslatedForm.None || Untranslated.Contains(instruction.Mnemonic);

    /// <summary>Whether its displacement, if it has one, leads anywhere near the data, as it does as a rule.</summary>
    private bool IsNear(in Instruction instruction) =>
        instruction.MemoryDisplSize != 4 || instruction.MemoryDisplacement32 + 0x1_0000 <= 0x3F_0000 || _random.Next(16) == 0;

    /// <summary>Has bytes begin as the instructions of the x87, SSE and MMX do.</summary>
    private void Begin(byte[] bytes)
    {
        if (_random.Next(3) == 0)
        {
            bytes[0] = (byte)(0xD8 + _random.Next(8));
            return;
        }

        int at = 0;
        if (_random.Next(3) != 0)
        {
            bytes[at++] = _random.Next(4) switch
            {
                0 or 1 => 0x66,
                2 => 0xF2,
                _ => 0xF3,
            };
        }

        bytes[at] = 0x0F;
    }

    /// <summary>Makes a jump or call with a distance of 32 bits lead to one of our instructions.</summary>
    private void Direct(byte[] bytes, uint address)
    {
        bool isNear = bytes[0] is 0xE8 or 0xE9 || (bytes[0] == 0x0F && bytes.Length == 6 && bytes[1] is >= 0x80 and <= 0x8F);
        if (isNear)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 4), AnyStart() - (address + (uint)bytes.Length));
        }
    }
}
