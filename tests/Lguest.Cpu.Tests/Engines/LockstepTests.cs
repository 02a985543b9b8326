using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.FloatingPoint;
using Lguest.Cpu.Tests.Integers;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>
/// The interpreter and the translator on the same random programs, slice by slice: after each the same count, the same
/// registers and flags, the same exceptions, the same memory.
/// </summary>
public sealed unsafe class LockstepTests
{
    private static readonly int Programs = TestSize.Choose(150, 20_000);
    private const int Slices = 60;
    private const uint Data = 0x10_0000;

    /// <summary>Above what MXCSR can be.</summary>
    private const int SseControlAndStatus = 1 << 16;

    [Theory]
    [InlineData(0, false, false)]
    [InlineData(0, false, true)]
    [InlineData(3, false, false)]
    [InlineData(0, true, false)]
    [InlineData(2, true, true)]
    public void Both_engines_do_the_same(int threshold, bool paged, bool isScrambled)
    {
        TestEngine.SkipUnlessTranslating();
        ulong translated = 0;
        int first = int.TryParse(Environment.GetEnvironmentVariable("LGUEST_FUZZ_SEED"), out int seed) ? seed : paged ? 1_000_000 : 0;
        for (int i = 0; i < Programs; i++)
        {
            translated += Compare(first + i, threshold, paged, isScrambled);
        }

        Assert.True(translated > (ulong)Programs * 1000, $"Only {translated} instructions were translated.");
    }

    private static ulong Compare(int seed, int threshold, bool paged, bool isScrambled)
    {
        using Side interpreter = Side.Make(paged);
        using Side translator = Side.Make(paged);
        translator.Cpu.ScramblesOpen = isScrambled;
        translator.Cpu.TryTranslate(threshold);
        var random = new Random(seed);
        uint start = random.Next(2) == 0 ? 0x3000u : 0x3000u - (uint)random.Next(300);
        var program = new RandomProgram(random, start);
        Prepare(interpreter, seed, program);
        Prepare(translator, seed, program);
        for (int slice = 0; slice < Slices; slice++)
        {
            ulong limit = random.Next(4) == 0 ? (ulong)random.Next(1, 8) : (ulong)random.Next(1, 400);
            byte[] before = interpreter.Cpu.Save();
            StopReason expected = interpreter.Cpu.Run(limit);
            StopReason actual = translator.Cpu.Run(limit);
            string where = $"seed {seed}, threshold {threshold}, paged {paged}, scrambled {isScrambled}, slice {slice} of {limit} from EIP {BitConverter.ToUInt32(before, 36):x}\n{program}";
            AssertSame(interpreter, translator, expected, actual, where);
            if (expected != StopReason.InstructionLimit)
            {
                uint eip = program.AnyStart();
                Restart(interpreter, new Random(seed + slice), eip, program);
                Restart(translator, new Random(seed + slice), eip, program);
            }
        }

        return translator.Cpu.TranslatedInstructions;
    }

    private static void AssertSame(Side interpreter, Side translator, StopReason expected, StopReason actual, string where)
    {
        if (expected != actual || interpreter.Cpu.Retired != translator.Cpu.Retired)
        {
            Assert.Fail($"{expected} after {interpreter.Cpu.Retired}, {actual} after {translator.Cpu.Retired}, {where}");
        }

        if (!interpreter.Machine.Exceptions.SequenceEqual(translator.Machine.Exceptions))
        {
            Assert.Fail(
                $"{string.Join(' ', interpreter.Machine.Exceptions)}, but {string.Join(' ', translator.Machine.Exceptions)}, {where}");
        }

        byte[] one = interpreter.Cpu.Save();
        byte[] other = translator.Cpu.Save();
        int different = one.AsSpan().CommonPrefixLength(other);
        if (different < one.Length)
        {
            Assert.Fail($"The states differ at byte {different}: {Describe(interpreter)}, but {Describe(translator)}, {expected} {string.Join(' ', interpreter.Machine.Exceptions)}, {where}");
        }

        int address = interpreter.Memory.CommonPrefixLength(translator.Memory);
        if (address < interpreter.Memory.Length)
        {
            Assert.Fail($"Memory differs at {address:x}, {where}");
        }
    }

    private static string Describe(Side side) => string.Join(
        ' ', Enumerable.Range(0, 8).Select(i => side.Cpu.State.GetGeneral(i).ToString("x", null)).Append($"eip {side.Cpu.State.Eip:x} flags {side.Cpu.State.Eflags:x} pending #DB {side.Cpu.State.PendingDebug:x}"));

    private static void Prepare(Side side, int seed, RandomProgram program)
    {
        var random = new Random(seed);
        var data = new byte[0x8000];
        random.NextBytes(data);
        for (int i = 0; i < data.Length; i += 2 * sizeof(ulong))
        {
            BitConverter.TryWriteBytes(data.AsSpan(i), FloatSamples.Next64(random));
        }

        side.Machine.Memory.Write(Data, data);
        side.Machine.Memory.Write(program.Starts[0], program.Bytes);

        // FS has a base, and is without a limit, with one, or can only be read; GS is as it was.
        SegmentRegister segment = side.Cpu.State.Fs with { Base = (uint)random.Next(0x3000) };
        switch (random.Next(4))
        {
            case 0:
                segment.Limit = Data + (uint)random.Next(0x8000);
                break;
            case 1:
                segment.Access &= ~SegmentAccess.WritableOrReadable;
                break;
            default:
                break;
        }

        side.Cpu.SetSegment(SegmentName.Fs, segment);
        Restart(side, random, program.Starts[0], program);
    }

    private static void Restart(Side side, Random random, uint eip, RandomProgram program)
    {
        side.Machine.Exceptions.Clear();
        for (int i = 0; i < 8; i++)
        {
            // Mostly addresses of data, some of the ends of pages, and some small or wild numbers.
            side.Cpu.State.SetGeneral(i, random.Next(8) switch
            {
                0 => (uint)random.Next(256),
                1 => (uint)random.NextInt64(1L << 32),
                2 => Data + ((uint)random.Next(1, 8) << 12) - (uint)random.Next(8),
                _ => Data + (uint)random.Next(0x7000),
            });
        }

        RestartFloatingPoint(side, random);

        // The stack is full of places to return to.
        uint top = Data + 0x4000;
        for (uint i = 0; i < 64; i++)
        {
            side.Machine.WriteUInt32(side.StackPage + (4 * i), program.Starts[random.Next(program.Starts.Count)]);
        }

        side.Cpu.State.Esp = top + ((uint)random.Next(32) * 4);
        side.Cpu.State.Eip = eip;
    }

    /// <summary>Numbers of all kinds in the registers; now and then exceptions aren't masked, or another task has the units.</summary>
    private static void RestartFloatingPoint(Side side, Random random)
    {
        ref ProcessorState state = ref side.Cpu.State;
        for (int i = 0; i < 8; i++)
        {
            state.Sse.Registers[i].Low = FloatSamples.Next64(random);
            state.Sse.Registers[i].High = FloatSamples.Next32(random) | ((ulong)FloatSamples.Next32(random) << 32);
            state.X87.Registers[i] = FloatSamples.Next80(random);
        }

        const uint masks = 0x1F80;
        const int controlMasks = 0x3F;
        uint mxcsr = (uint)random.Next(SseControlAndStatus);
        state.Mxcsr = random.Next(8) == 0 ? mxcsr : mxcsr | masks;
        int control = FloatSamples.NextControl(random);
        state.X87.Control = X87Control.Normalize((uint)(random.Next(8) == 0 ? control : control | controlMasks));
        state.X87.Status = (ushort)random.Next(1 << 16);
        X87Error.Summarize(side.Cpu.StatePointer);
        state.X87.Valid = (byte)random.Next(1 << 8);
        bool isTaken = random.Next(16) == 0;
        uint cr0 = side.Cpu.ReadControlRegister(0);
        side.Cpu.WriteControlRegister(0, isTaken ? cr0 | Cr0.Ts : cr0 & ~Cr0.Ts);
        uint cr4 = side.Cpu.ReadControlRegister(4);
        side.Cpu.WriteControlRegister(4, random.Next(16) == 0 ? cr4 & ~Cr4.Osfxsr : cr4 | Cr4.Osfxsr);
    }

    /// <summary>A machine, with paging or without.</summary>
    private sealed class Side : IDisposable
    {
        private PagedMachine? _paged;

        public required Machine Machine { get; init; }

        /// <summary>Physical address of the page that the stack begins in.</summary>
        public uint StackPage => _paged is null ? Data + 0x4000 : Data + 0x3000;

        public Processor Cpu => Machine.Cpu;

        public ReadOnlySpan<byte> Memory => Machine.Memory.Span(0, Machine.MemorySize);

        public static Side Make(bool paged)
        {
            if (!paged)
            {
                return new Side { Machine = new Machine() };
            }

            var machine = new PagedMachine();

            // Among the data: a page that is missing, and one that can only be read.
            machine.Unmap(Data + 0x2000);
            machine.MapReadOnly(Data + 0x5000);

            // The stack begins at the end of a page that isn't next to it in memory: what crosses the border must notice.
            machine.Map(Data + 0x3000, Data + 0x4000);
            machine.Map(Data + 0x4000, Data + 0x3000);
            machine.EnterUserMode();
            return new Side { Machine = machine.Machine, _paged = machine };
        }

        public void Dispose()
        {
            if (_paged is not null)
            {
                _paged.Dispose();
            }
            else
            {
                Machine.Dispose();
            }
        }
    }
}
