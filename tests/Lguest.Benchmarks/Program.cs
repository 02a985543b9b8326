using System.Diagnostics;
using System.Globalization;
using Iced.Intel;
using Lguest.Benchmarks;
using Lguest.Cpu;
using Lguest.Cpu.Memory;

// Each loop runs in several rounds; the best and the median are printed, in million guest instructions
// a second. Compare rows of one run only: machines differ, and are noisy.
const int Rounds = 7;
const ulong Instructions = 60_000_000;

string filter = args.Length > 0 ? args[0] : "";
using Stream output = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(1, ownsHandle: false), FileAccess.Write);
using var report = new StreamWriter(output) { AutoFlush = true };
foreach ((string name, Action<Assembler> program) in GuestLoops.All)
{
    if (!name.Contains(filter, StringComparison.Ordinal))
    {
        continue;
    }

    using var memory = new PhysicalMemory();
    memory.AddRam(0, 1 << 22);
    using var processor = new Processor(memory);
    processor.WriteControlRegister(4, Cr4.Osfxsr);
    var assembler = new Assembler(32);
    program(assembler);
    using var code = new MemoryStream();
    assembler.Assemble(new StreamCodeWriter(code), GuestLoops.CodeBase);
    memory.Write(GuestLoops.CodeBase, code.ToArray());
    processor.State.Eip = GuestLoops.CodeBase;
    processor.State.Esp = GuestLoops.StackTop;
    var rates = new List<double>();
    for (int round = 0; round < Rounds; round++)
    {
        long start = Stopwatch.GetTimestamp();
        StopReason reason = processor.Run(Instructions);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        if (reason != StopReason.InstructionLimit)
        {
            throw new InvalidOperationException($"{name} stopped: {reason}, {processor.LastException}");
        }

        rates.Add(Instructions / seconds / 1e6);
    }

    rates.Sort();
    report.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-28} median {rates[Rounds / 2],7:F0}  best {rates[^1],7:F0}"));
}
