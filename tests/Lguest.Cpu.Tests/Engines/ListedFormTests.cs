using Iced.Intel;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.FloatingPoint;
using Lguest.Cpu.Tests.Integers;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>Each form on the translator's list, alone in its block, on both engines from the same random states.</summary>
public sealed unsafe class ListedFormTests
{
    private const int States = 12;
    private const uint End = Machine.CodeBase + PhysicalMemory.PageSize;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Both_engines_do_the_same(bool isScrambled)
    {
        TestEngine.SkipUnlessTranslating();
        using var interpreter = new Side(translate: false, scramble: false);
        using var translator = new Side(translate: true, isScrambled);
        Random random = TestSize.SeededRandom(nameof(ListedFormTests));
        foreach (EncodingSample sample in TranslatedEncodings.All.SelectMany(EncodingSample.Of))
        {
            uint address = End - (uint)sample.Bytes.Length;
            interpreter.Memory.Write(address, sample.Bytes);
            translator.Memory.Write(address, sample.Bytes);
            for (int i = 0; i < States; i++)
            {
                // The first time the TLB misses, which is the interpreter's business.
                int seed = random.Next();
                foreach (Side side in (Side[])[interpreter, translator])
                {
                    side.Execute(new Random(seed), address);
                    side.Execute(new Random(seed), address);
                }

                AssertSame(interpreter, translator, sample);
            }
        }

        // What has been executed translated counts for TranslatorTests.
        TestEngine.Finish(translator.Cpu);
    }

    private static void AssertSame(Side interpreter, Side translator, EncodingSample sample)
    {
        string differs = interpreter.Exception != translator.Exception ? $"{interpreter.Exception} and {translator.Exception}"
            : interpreter.Cpu.Retired != translator.Cpu.Retired ? "the count of instructions"
            : !interpreter.Cpu.Save().AsSpan().SequenceEqual(translator.Cpu.Save()) ? "the state"
            : !interpreter.Ram.SequenceEqual(translator.Ram) ? "memory"
            : "";
        Assert.True(differs.Length == 0, $"{sample}: {differs}");
    }

    /// <summary>A processor with a little memory.</summary>
    private sealed class Side : IExceptionHook, IDisposable
    {
        private const uint Size = 0x8000;
        private const int GeneralRegisters = 8;

        public Side(bool translate, bool scramble)
        {
            Memory.AddRam(0, Size);
            Cpu = new Processor(Memory) { MarksTranslated = translate, ScramblesOpen = scramble, ExceptionHook = this };
            if (translate)
            {
                Assert.True(Cpu.TryTranslate(threshold: 0));
            }

            Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        }

        public PhysicalMemory Memory { get; } = new();

        public Processor Cpu { get; }

        public ExceptionInfo? Exception { get; private set; }

        public ReadOnlySpan<byte> Ram => Memory.Span(Machine.DataBase, Size - Machine.DataBase);

        /// <summary>Executes one instruction, from a random state with numbers of all kinds, and memory behind the registers that point.</summary>
        public void Execute(Random random, uint address)
        {
            Exception = null;
            var data = new byte[Size - Machine.DataBase];
            random.NextBytes(data);
            for (int i = 0; i < data.Length; i += 2 * sizeof(ulong))
            {
                BitConverter.TryWriteBytes(data.AsSpan(i), FloatSamples.Next64(random));
            }

            Memory.Write(Machine.DataBase, data);
            ref ProcessorState state = ref Cpu.State;
            for (int i = 0; i < GeneralRegisters; i++)
            {
                state.SetGeneral(i, IntegerValues.Next(random));
            }

            // 16-byte operands are aligned, or some of them never execute.
            state.Esi = NextAddress(random);
            state.Edi = NextAddress(random);
            state.Ebx = NextAddress(random);
            state.Ebp = NextAddress(random);
            state.Esp = NextAddress(random);
            state.Ecx = random.Next(2) == 0 ? (uint)random.Next(64) : state.Ecx;
            Cpu.Eflags = Eflags.Fixed | (uint)random.Next() & Eflags.Arithmetic | (random.Next(4) == 0 ? Eflags.Df : 0)
                | (random.Next(2) == 0 ? Eflags.If : 0);
            Cpu.InterruptLine = random.Next(4) == 0;
            for (int i = 0; i < GeneralRegisters; i++)
            {
                state.Sse.Registers[i].Low = FloatSamples.Next64(random);
                state.Sse.Registers[i].High = FloatSamples.Next32(random) | ((ulong)FloatSamples.Next32(random) << 32);
                state.X87.Registers[i] = FloatSamples.Next80(random);
            }

            const uint masks = 0x1F80;
            const int controlMasks = 0x3F;
            state.Mxcsr = masks | (uint)random.Next(4) << 13;
            state.X87.Control = X87Control.Normalize((uint)(FloatSamples.NextControl(random) | controlMasks));
            state.X87.Status = (ushort)random.Next(1 << 16);
            X87Error.Summarize(Cpu.StatePointer);
            state.X87.Valid = (byte)random.Next(1 << 8);
            state.Eip = address;
            Cpu.Run(1);
        }

        public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
        {
            Exception = exception;
            return ExceptionDisposition.Stop;
        }

        public void Dispose()
        {
            Cpu.Dispose();
            Memory.Dispose();
        }

        private static uint NextAddress(Random random) => Machine.DataBase + 0x1000 + ((uint)random.Next(0x200) * 16);
    }
}
