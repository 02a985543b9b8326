using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Translator;

namespace Lguest.Cpu.Tests;

/// <summary>The ways in which the machines of the tests can execute.</summary>
internal enum Engine
{
    /// <summary>The interpreter, block by block.</summary>
    Interpreter,

    /// <summary>
    /// The interpreter, one instruction at a time, as it goes with a tracer. What it executed is written to the file that
    /// LGUEST_TEST_RECORD names: see <see cref="ExecutionRecord"/>.
    /// </summary>
    Traced,

    /// <summary>
    /// The translator, from each block's first execution on. The encodings that translated code executed are written to the file
    /// that LGUEST_TEST_RECORD names.
    /// </summary>
    Translator,

    /// <summary>
    /// The same, and whatever the manual leaves open after an instruction is another value than the host's. What passes here depends
    /// on no host.
    /// </summary>
    Scrambled,
}

/// <summary>The one place where the tests get their processors: all of them have to pass with each engine.</summary>
internal static class TestEngine
{
    private const string Variable = "LGUEST_TEST_ENGINE";

    /// <summary>What LGUEST_TEST_ENGINE says; the interpreter if it says nothing.</summary>
    public static Engine Current { get; } = Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" or "interpreter" => Engine.Interpreter,
        "traced" => Engine.Traced,
        "translator" => Engine.Translator,
        "scrambled" => Engine.Scrambled,
        var other => throw new InvalidOperationException($"{Variable} is '{other}': give interpreter, traced, translator or scrambled."),
    };

    /// <summary>Skips a test of the translator where there is none.</summary>
    public static void SkipUnlessTranslating()
    {
        Assert.SkipWhen(Current == Engine.Traced, "A tracer has everything interpreted.");
        using var memory = new PhysicalMemory();
        memory.AddRam(0, PhysicalMemory.PageSize);
        using var processor = new Processor(memory);
        Assert.SkipUnless(processor.TryTranslate(threshold: 0), "This host doesn't let us execute what we write.");
    }

    /// <summary>Makes a processor that executes with the current engine.</summary>
    public static Processor Create(PhysicalMemory memory)
    {
        var processor = new Processor(memory)
        {
            Tracer = Current == Engine.Traced ? new ExecutionRecorder() : null,
            MarksTranslated = Current >= Engine.Translator,
            ScramblesOpen = Current == Engine.Scrambled,
        };
        if (Current >= Engine.Translator && !processor.TryTranslate(threshold: 0))
        {
            throw new InvalidOperationException("This host doesn't let us execute what we write.");
        }

        return processor;
    }

    /// <summary>Adds what a processor has executed to the record (<see cref="ExecutionRecord"/>), at its end.</summary>
    public static void Finish(Processor processor)
    {
        (processor.Tracer as ExecutionRecorder)?.Finish(processor);
        if (processor.MarksTranslated)
        {
            foreach (Code code in ExecutionMarks.Read(processor))
            {
                ExecutionRecord.Add(new ExecutionRecord.Key(code, nameof(Engine.Translator), Retired: true), 1);
            }
        }
    }
}
