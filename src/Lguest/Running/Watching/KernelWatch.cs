using Lguest.Host;
using Lguest.Host.Observation;
using Lguest.Insight.Health;
using Lguest.Insight.Log;
using Lguest.Insight.Memory;
using Lguest.Insight.Stacks;
using Lguest.Insight.Symbols;
using Lguest.Insight.Tasks;
using Lguest.Results.Reports;

namespace Lguest.Running.Watching;

/// <summary>
/// Follows the log of a guest's kernel in its memory: for complaints, for test output, and for a file. No console is
/// needed for it, and the guest doesn't notice.
/// </summary>
/// <param name="symbols">The kernel's.</param>
/// <param name="pageOffset">Where the kernel maps physical address 0, if it doesn't say so itself.</param>
/// <param name="file">Where the log goes; or null.</param>
/// <param name="tests">Hears what the kernel says of tests.</param>
internal sealed class KernelWatch(KernelSymbols symbols, uint pageOffset, KernelLogFile? file, TestOutput tests) : IGuestObserver
{
    private const int KeptRecords = 60;

    // To print a record takes thousands of instructions, so this is a small part of any log.
    private const ulong InstructionsBetweenLooks = 100_000;

    // Who has said something and sleeps is heard all the same, though the end may come as SIGKILL.
    private const ulong NanosecondsBetweenLooks = 1_000_000_000;

    private readonly List<KernelRecord> _new = [];
    private readonly Queue<KernelRecord> _last = new();
    private readonly Dictionary<Complaint, string> _running = [];
    private HealthMonitor? _health;
    private Complaint? _taint;
    private IKernelLog? _log;
    private DirectMapReader? _memory;
    private ulong _lost;

    /// <summary>Raised when there is something new in the log.</summary>
    public event Action? Logged;

    /// <summary>What the kernel complained of; with what its taint says besides, once the run is over.</summary>
    public IReadOnlyList<Complaint> Complaints => [.. _health?.Complaints ?? [], .. _taint is null ? [] : (Complaint[])[_taint]];

    /// <summary>Whether there is a log that can be read.</summary>
    public bool HasLog => _log is not null;

    /// <summary>The test that ran at the end; null if none is known to have.</summary>
    public string? LastTest { get; private set; }

    /// <summary>The last records.</summary>
    public IReadOnlyCollection<KernelRecord> LastRecords => _last;

    /// <summary>The test that ran when the kernel complained; null if none is known to have.</summary>
    public string? RunningTest(Complaint complaint) => _running.GetValueOrDefault(complaint);

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        // Before its first hypercall a guest has had no time to say anything, and its structures may not be there yet.
        if (guest.IsInitialised)
        {
            Read(guest, isEnd: false);
        }

        return new NextLook { Instructions = InstructionsBetweenLooks, Age = guest.Age + NanosecondsBetweenLooks };
    }

    /// <summary>Reads what is left, after the run.</summary>
    public void Finish(Guest guest)
    {
        Read(guest, isEnd: true);
        _health?.Finish();
        if (TryReadTaint(guest, out uint mask))
        {
            _taint = TaintCheck.Unexplained(mask, Complaints);
        }

        LastTest = tests.Running(HasLog);
    }

    /// <summary>Where the processor is and how it came there; nothing without symbols.</summary>
    public IReadOnlyList<string> Stack(Guest guest)
    {
        if (symbols.Table is not { } table)
        {
            return [];
        }

        var walker = new StackWalker(Memory(guest), table);
        ref Cpu.State.ProcessorState state = ref guest.Processor.State;
        return [.. walker.Describe(walker.Walk(state.Eip, state.Esp, state.Ebp))];
    }

    /// <summary>All tasks, and how each came where it is; nothing without symbols.</summary>
    public IReadOnlyList<TaskReport> Tasks(Guest guest)
    {
        if (symbols.Table is not { } table)
        {
            return [];
        }

        DirectMapReader memory = Memory(guest);
        var walker = new StackWalker(memory, table);
        return
        [
            .. TaskList.Read(memory, table, guest.Processor.State.Esp).Select(task => new TaskReport(
                task.Id,
                task.Name,
                Word(task.State),
                task.IsCurrent,
                task.IsCurrent ? Stack(guest) : [.. walker.Describe(walker.WalkSwitched(task.StackPointer))])),
        ];
    }

    private static string? Word(TaskState? state) => state switch
    {
        null => null,
        TaskState.DiskSleep => "disk sleep",
        { } known => known.ToString().ToLowerInvariant(),
    };

    private void Read(Guest guest, bool isEnd)
    {
        if (_log is null)
        {
            _log = FindLog(guest);
            _health = new HealthMonitor(() => symbols.Table);
            _health.Complained += complaint => _running[complaint] = tests.Running(hasLog: true);
        }

        if (_log is null)
        {
            return;
        }

        _new.Clear();
        _log.Read(Memory(guest), _new, isEnd);
        if (_new.Count > 0)
        {
            Logged?.Invoke();
            Take(_log.Lost - _lost);
            _lost = _log.Lost;
        }
    }

    /// <summary>A kernel that has said where its log is needs no symbols for it, and they take a while to read. If what it said is of no use, they may be.</summary>
    private IKernelLog? FindLog(Guest guest) =>
        (guest.Kernel is { } kernel ? DescribedLog.Of(kernel) : null) ?? (symbols.Table is { } table ? KernelLogs.Find(table) : null);

    private bool TryReadTaint(Guest guest, out uint mask)
    {
        mask = 0;
        if (guest.Kernel is { } kernel)
        {
            return Memory(guest).TryReadUInt32(kernel.TaintedMask + kernel.PageOffset, out mask);
        }

        return _log is not null && symbols.Table is { } table
            && (table.TryFind("tainted_mask", out Symbol symbol) || table.TryFind("tainted", out symbol))
            && Memory(guest).TryReadUInt32(symbol.Address, out mask);
    }

    private void Take(ulong lost)
    {
        file?.Append(_new, lost);
        if (lost > 0)
        {
            _health?.AddGap();
        }

        foreach (KernelRecord record in _new)
        {
            _health?.Add(record);
            ReadTests(record);

            _last.Enqueue(record);
            if (_last.Count > KeptRecords)
            {
                _last.Dequeue();
            }
        }
    }

    /// <summary>Whatever a program puts into the log is no word of the kernel's tests.</summary>
    private void ReadTests(KernelRecord record)
    {
        if (record.IsOfKernel)
        {
            foreach (string line in record.Text.Split('\n'))
            {
                tests.ReadKernel(line);
            }
        }
    }

    private DirectMapReader Memory(Guest guest) =>
        _memory ??= new DirectMapReader(new ProcessorMemoryReader(guest.Processor, guest.PhysicalMemory), guest.Kernel?.PageOffset ?? pageOffset);
}
