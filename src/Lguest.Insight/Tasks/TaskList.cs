using System.Text;
using Lguest.Insight.Memory;
using Lguest.Insight.Stacks;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Tasks;

/// <summary>The tasks of a kernel, read from outside.</summary>
public static class TaskList
{
    private const string IdleTask = "init_task";

    // Of a kernel without SMP, whose variables of a processor are variables like others.
    private static readonly string[] CurrentSymbols = ["current_task", "pcpu_hot", "per_cpu__current_task"];

    /// <summary>Reads them.</summary>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="symbols">The kernel's symbols.</param>
    /// <param name="stackPointer">The processor's ESP, by which the current task is known where nothing else says it.</param>
    /// <returns>The idle task first, then as the kernel has them; nothing where they can't be told. Threads of a process are not on its list.</returns>
    public static IReadOnlyList<KernelTask> Read(IGuestMemoryReader memory, SymbolTable symbols, uint stackPointer)
    {
        if (!symbols.TryFind(IdleTask, out Symbol idle)
            || TaskLayout.Find(memory, symbols, idle.Address, out IReadOnlyList<(uint Address, byte[] Bytes)> tasks) is not { } layout)
        {
            return [];
        }

        uint? current = CurrentTask(memory, symbols, tasks);
        return [.. tasks.Select(task => Describe(layout, task.Address, task.Bytes, current, stackPointer))];
    }

    /// <summary>What the bits of a task's state say; null for none that is known.</summary>
    internal static TaskState? StateOf(uint bits)
    {
        const uint Interruptible = 1;
        const uint Uninterruptible = 2;
        const uint Stopped = 4;
        const uint Traced = 8;
        const uint Dead = 0x80;
        const uint NoLoad = 0x400;
        return bits switch
        {
            0 => TaskState.Running,
            _ when (bits & (Uninterruptible | NoLoad)) == (Uninterruptible | NoLoad) => TaskState.Idle,
            _ when (bits & Interruptible) != 0 => TaskState.Sleeping,
            _ when (bits & Uninterruptible) != 0 => TaskState.DiskSleep,
            _ when (bits & (Stopped | Traced)) != 0 => TaskState.Stopped,
            _ when (bits & Dead) != 0 => TaskState.Dead,
            _ => null,
        };
    }

    private static uint? CurrentTask(IGuestMemoryReader memory, SymbolTable symbols, IReadOnlyList<(uint Address, byte[] Bytes)> tasks)
    {
        foreach (string name in CurrentSymbols)
        {
            if (symbols.TryFind(name, out Symbol symbol) && memory.TryReadUInt32(symbol.Address, out uint current) && tasks.Any(task => task.Address == current))
            {
                return current;
            }
        }

        return null;
    }

    private static KernelTask Describe(TaskLayout layout, uint address, byte[] task, uint? current, uint stackPointer)
    {
        uint stack = TaskLayout.Word(task, layout.Stack);
        ReadOnlySpan<byte> name = task.AsSpan(layout.Name, TaskLayout.NameSize);
        int end = name.IndexOf((byte)0);
        return new KernelTask(
            TaskLayout.Word(task, layout.Id),
            Encoding.UTF8.GetString(end < 0 ? name : name[..end]),
            layout.State is { } state ? StateOf(TaskLayout.Word(task, state)) : null,
            current is { } running ? address == running : stackPointer - stack < StackWalker.StackSize,
            TaskLayout.Word(task, layout.StackPointer));
    }
}
