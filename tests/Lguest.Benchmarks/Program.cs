using System.Globalization;
using Iced.Intel;
using Lguest.Benchmarks;
using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

// Each loop runs in several rounds; the median is printed, with either engine, in million guest instructions a second, or in
// nanoseconds for each time around a loop about one slow instruction. It is processor time, which knows nothing of what else the machine
// does; still compare rows of one run only: machines differ, and are noisy.
const int Rounds = 7;
const ulong Instructions = 60_000_000;
const ulong SlowRepetitions = 1_000_000;

string filter = args.Length > 0 ? args[0] : "";
using Stream output = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(1, ownsHandle: false), FileAccess.Write);
using var report = new StreamWriter(output) { AutoFlush = true };
foreach ((string name, Action<Assembler> program) in GuestLoops.All)
{
    if (name.Contains(filter, StringComparison.Ordinal))
    {
        double[] interpreted = Rates(name, program, translate: false);
        double[] translated = Rates(name, program, translate: true);
        double ratio = translated[Rounds / 2] / interpreted[Rounds / 2];
        Report($"{name,-28} interpreted {interpreted[Rounds / 2],7:F0}  translated {translated[Rounds / 2],7:F0}  ratio {ratio,5:F1}");
    }
}

foreach (Transcendental one in Transcendentals.All)
{
    if (one.Name.Contains(filter, StringComparison.Ordinal))
    {
        double interpreted = Time(one, translate: false);
        double translated = Time(one, translate: true);
        Report($"{one.Name,-28} interpreted {interpreted,7:F0}  translated {translated,7:F0}  ns");
    }
}

void Report(FormattableString line) => report.WriteLine(line.ToString(CultureInfo.InvariantCulture));

static double[] Rates(string name, Action<Assembler> program, bool translate) =>
    [.. Measure(name, program, [], Instructions, translate).Select(seconds => Instructions / seconds / 1e6).Order()];

static double Time(Transcendental one, bool translate)
{
    ulong instructions = SlowRepetitions * (ulong)Transcendentals.CountInstructions(one);
    List<double> times = Measure(
        one.Name, a => Transcendentals.Assemble(a, one), Transcendentals.MakeOperands(one), instructions, translate);
    return times.Order().ElementAt(Rounds / 2) / SlowRepetitions * 1e9;
}

static List<double> Measure(string name, Action<Assembler> program, byte[] data, ulong instructions, bool translate)
{
    using var memory = new PhysicalMemory();
    memory.AddRam(0, 1 << 22);
    using var processor = new Processor(memory);
    if (translate && !processor.TryTranslate(threshold: 256))
    {
        throw new InvalidOperationException("This host doesn't let us execute what we write.");
    }

    processor.WriteControlRegister(4, Cr4.Osfxsr);
    var assembler = new Assembler(32);
    program(assembler);
    using var code = new MemoryStream();
    assembler.Assemble(new StreamCodeWriter(code), GuestLoops.CodeBase);
    memory.Write(GuestLoops.CodeBase, code.ToArray());
    memory.Write(GuestLoops.DataBase, data);
    processor.State.Eip = GuestLoops.CodeBase;
    processor.State.Esp = GuestLoops.StackTop;
    var times = new List<double>();
    for (int round = 0; round < Rounds; round++)
    {
        TimeSpan start = Environment.CpuUsage.TotalTime;
        StopReason reason = processor.Run(instructions);
        times.Add((Environment.CpuUsage.TotalTime - start).TotalSeconds);
        if (reason != StopReason.InstructionLimit)
        {
            throw new InvalidOperationException($"{name} stopped: {reason}, {processor.LastException}");
        }
    }

    return times;
}
