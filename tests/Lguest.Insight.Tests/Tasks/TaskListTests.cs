using Lguest.Insight.Symbols;
using Lguest.Insight.Tasks;
using Lguest.Insight.Tests.Memory;

namespace Lguest.Insight.Tests.Tasks;

public sealed class TaskListTests
{
    private const uint Tasks = 0xc300_0000;
    private const uint TaskSize = 0x4000;
    private const uint Stacks = 0xc400_0000;
    private const uint StackSize = 0x2000;
    private const uint Code = 0xc010_0000;
    private const uint ListOffset = 0x100;
    private const uint IdOffset = 0x200;
    private const uint StackOffset = 0x10;
    private const uint PointerOffset = 0x300;

    private static readonly SymbolTable Symbols = new(
    [
        new Symbol("schedule", Code, 0x100, true), new Symbol("init_task", Tasks, TaskSize, false), new Symbol("init_stack", Stacks, StackSize, false),
    ]);

    private readonly FakeMemory _memory = new();

    [Fact]
    public void Each_field_is_found_by_what_is_known_of_the_tasks()
    {
        Write(0x400, "swapper\0", "init\0", "sleep\0");

        IReadOnlyList<KernelTask> tasks = TaskList.Read(_memory, Symbols, Stacks + StackSize + 0x100);

        Assert.Equal([(0u, "swapper", false), (1u, "init", true), (2u, "sleep", false)], tasks.Select(task => (task.Id, task.Name, task.IsCurrent)));
        Assert.Equal(Stacks + (2 * StackSize) + 0x1f00, tasks[2].StackPointer);
    }

    [Theory]
    [InlineData("swapper\0")]
    [InlineData("swapper/0\0")]
    public void A_name_that_ends_beyond_what_is_read_of_a_task_is_none(string idle)
    {
        // A task's first 8192 bytes are read, and a name has 16.
        Write(8192 - (uint)idle.Length, idle, "init\0", "sleep\0");

        Assert.Empty(TaskList.Read(_memory, Symbols, 0));
    }

    private void Write(uint nameOffset, params string[] names)
    {
        for (uint i = 0; i < names.Length; i++)
        {
            uint task = Task(i);
            _memory.Write(task, new byte[TaskSize]);
            _memory.Write(task + nameOffset, System.Text.Encoding.ASCII.GetBytes(names[i]));
            _memory.Write(task + ListOffset, Task((i + 1) % (uint)names.Length) + ListOffset);
            _memory.Write(task + ListOffset + 4, Task((i + (uint)names.Length - 1) % (uint)names.Length) + ListOffset);
            _memory.Write(task + IdOffset, i);
            uint stack = Stacks + (i * StackSize);
            _memory.Write(task + StackOffset, stack);
            _memory.Write(task + PointerOffset, stack + 0x1f00);
            _memory.Write(stack + 0x1f00, Code + 0x10);
        }
    }

    private static uint Task(uint index) => Tasks + (index * TaskSize);
}
