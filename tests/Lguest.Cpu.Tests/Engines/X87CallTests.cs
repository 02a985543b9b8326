using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.FloatingPoint;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>Transcendental functions: what translated code makes of ours is to the last bit what the interpreter does.</summary>
public sealed unsafe class X87CallTests
{
    private static readonly int Cases = TestSize.Choose(20_000, 1_000_000);

    [Theory]
    [InlineData("FSIN", 0xFE)]
    [InlineData("FCOS", 0xFF)]
    [InlineData("F2XM1", 0xF0)]
    [InlineData("FYL2X", 0xF1)]
    [InlineData("FYL2XP1", 0xF9)]
    [InlineData("FPATAN", 0xF3)]
    public void A_function_does_what_the_interpreter_does(string name, byte opcode)
    {
        const byte escape = 0xD9;
        TestEngine.SkipUnlessTranslating();
        using var interpreter = new Machine();
        using var translator = new Machine();
        translator.Cpu.TryTranslate(threshold: 0);
        uint address = interpreter.WriteAlone([escape, opcode]);
        translator.WriteAlone([escape, opcode]);
        ulong translated = translator.Cpu.TranslatedInstructions;
        for (int seed = 0; seed < Cases; seed++)
        {
            Prepare(interpreter, new Random(seed), address);
            Prepare(translator, new Random(seed), address);
            byte[] before = interpreter.Cpu.Save();
            interpreter.Cpu.Run(1);
            translator.Cpu.Run(1);
            byte[] expected = interpreter.Cpu.Save();
            byte[] actual = translator.Cpu.Save();
            int different = expected.AsSpan().CommonPrefixLength(actual);
            Assert.True(
                different == expected.Length,
                $"{name}, seed {seed}: the states differ at byte {different}: {Describe(interpreter)}, but {Describe(translator)}; "
                    + $"before, the state was {Convert.ToHexString(before)}");
        }

        // Some have exceptions that aren't masked, or operands that are special; and the interpreter's machine may be a translator, too.
        Assert.True(translator.Cpu.TranslatedInstructions - translated > (ulong)Cases / 3);
    }

    private static void Prepare(Machine machine, Random random, uint address)
    {
        const int controlMasks = 0x3F;
        ref ProcessorState state = ref machine.Cpu.State;
        int control = FloatSamples.NextControl(random);
        state.X87.Control = X87Control.Normalize((uint)(random.Next(16) == 0 ? control : control | controlMasks | (3 << 8)));
        state.X87.Status = (ushort)(random.Next(1 << 16) & (random.Next(4) == 0 ? -1 : ~(int)(X87Status.Sf | X87Status.C2)));
        X87Error.Summarize(machine.Cpu.StatePointer);
        state.X87.Valid = (byte)(random.Next(4) == 0 ? random.Next(256) : 255);
        for (int i = 0; i < 8; i++)
        {
            // Most are such as the functions are made for.
            state.X87.Registers[i] = random.Next(4) == 0
                ? FloatSamples.Next80(random)
                : FloatSamples.NextNumber(random, -30, 3, signed: random.Next(2) == 0);
        }

        state.Eip = address;
        machine.Exceptions.Clear();
    }

    private static string Describe(Machine machine)
    {
        X87State x87 = machine.Cpu.State.X87;
        return $"FSW {x87.Status:x4} tags {x87.Valid:x2} "
            + string.Join(' ', Enumerable.Range(0, 8).Select(i => x87.Registers[i].ToString()));
    }
}
