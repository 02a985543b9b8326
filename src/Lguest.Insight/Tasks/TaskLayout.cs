using System.Buffers.Binary;
using System.Numerics;
using Lguest.Insight.Memory;
using Lguest.Insight.Stacks;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Tasks;

/// <summary>
/// Where in a kernel's <c>struct task_struct</c> is what. No two configurations have the same, and nothing in a kernel says it;
/// but of the idle task, which has a symbol, and of those on its list so much is known that each field is found by that.
/// </summary>
/// <param name="Name">Of <c>comm</c>.</param>
/// <param name="Id">Of <c>pid</c>.</param>
/// <param name="Stack">Of the pointer to the stack.</param>
/// <param name="StackPointer">Of <c>thread.sp</c>.</param>
/// <param name="State">Of the state; null if it wasn't found.</param>
internal sealed record TaskLayout(int Name, int Id, int Stack, int StackPointer, int? State)
{
    /// <summary>Bytes of a name.</summary>
    public const int NameSize = 16;

    // As much of a task as is looked at.
    private const int MostBytes = 8192;
    private const int WordSize = sizeof(uint);

    // As many as a guest may have us keep, at 8 KiB each.
    private const int MostTasks = 4096;
    private const int LastStateOffset = 32;
    private const uint HighestId = 1 << 22;

    // Where schedule() goes on after a switch is on top of a stack, behind the registers that the switch saved.
    private const int SavedWords = 8;

    private static readonly string[] StackSymbols = ["init_stack", "init_thread_union"];

    /// <summary>Finds the fields.</summary>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="symbols">The kernel's.</param>
    /// <param name="idle">The idle task's address.</param>
    /// <param name="tasks">All tasks, the idle one first, with what is looked at of each.</param>
    /// <returns>Null where they can't be told, as in a kernel that has no other task yet.</returns>
    public static TaskLayout? Find(IGuestMemoryReader memory, SymbolTable symbols, uint idle, out IReadOnlyList<(uint Address, byte[] Bytes)> tasks)
    {
        tasks = [];
        byte[] first = new byte[MostBytes];
        if (!memory.TryReadVirtual(idle, first))
        {
            return null;
        }

        int name = FindName(first);
        int stack = FindStack(first, symbols);
        if (name < 0 || stack < 0)
        {
            return null;
        }

        // The list of all tasks is the longest that there is.
        List<uint> all = [];
        for (int offset = 0; offset < name; offset += WordSize)
        {
            if (Follow(memory, idle, offset, name, stack) is { } found && found.Count > Math.Max(all.Count, 1))
            {
                all = found;
            }
        }

        if (all.Count == 0)
        {
            return null;
        }

        byte[][] contents = [.. all.Select(task => ReadTask(memory, task))];
        int id = FindId(contents);
        int pointer = FindStackPointer(memory, symbols, contents, stack);
        if (id < 0 || pointer < 0)
        {
            return null;
        }

        tasks = [.. all.Zip(contents)];
        return new TaskLayout(name, id, stack, pointer, FindState(contents));
    }

    /// <summary>A dword of a task.</summary>
    public static uint Word(ReadOnlySpan<byte> task, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(task[offset..]);

    /// <summary>Reads what there is of a task: the last ones of a page have less behind them.</summary>
    private static byte[] ReadTask(IGuestMemoryReader memory, uint task)
    {
        byte[] bytes = new byte[MostBytes];
        if (!memory.TryReadVirtual(task, bytes))
        {
            for (int i = 0; i < MostBytes; i += WordSize)
            {
                if (!memory.TryReadVirtual(task + (uint)i, bytes.AsSpan(i, WordSize)))
                {
                    break;
                }
            }
        }

        return bytes;
    }

    /// <summary>The idle task is called "swapper", or "swapper/0".</summary>
    private static int FindName(ReadOnlySpan<byte> task)
    {
        // All of a name is to be in what is read of a task.
        ReadOnlySpan<byte> names = task[..^NameSize];
        int plain = names.IndexOf("swapper\0"u8);
        return plain >= 0 ? plain : names.IndexOf("swapper/0\0"u8);
    }

    private static int FindStack(ReadOnlySpan<byte> task, SymbolTable symbols)
    {
        foreach (string name in StackSymbols)
        {
            if (symbols.TryFind(name, out Symbol stack))
            {
                for (int offset = 0; offset < task.Length; offset += WordSize)
                {
                    if (Word(task, offset) == stack.Address)
                    {
                        return offset;
                    }
                }
            }
        }

        return -1;
    }

    /// <summary>The tasks on a list, if the fields there are one: it leads through tasks alone, there and back, to its beginning.</summary>
    private static List<uint>? Follow(IGuestMemoryReader memory, uint idle, int offset, int name, int stack)
    {
        var tasks = new List<uint> { idle };
        uint head = idle + (uint)offset;
        uint previous = head;
        if (!memory.TryReadUInt32(head, out uint next))
        {
            return null;
        }

        while (next != head)
        {
            uint task = next - (uint)offset;
            if (tasks.Count >= MostTasks
                || !memory.TryReadUInt32(next + WordSize, out uint back) || back != previous
                || !LooksLikeTask(memory, task, name, stack)
                || !memory.TryReadUInt32(next, out uint following))
            {
                return null;
            }

            tasks.Add(task);
            previous = next;
            next = following;
        }

        return memory.TryReadUInt32(head + WordSize, out uint last) && last == previous ? tasks : null;
    }

    private static bool LooksLikeTask(IGuestMemoryReader memory, uint task, int name, int stack)
    {
        const uint SmallestStack = 4096;
        Span<byte> text = stackalloc byte[NameSize];
        return memory.TryReadVirtual(task + (uint)name, text) && text.Contains((byte)0)
            && memory.TryReadUInt32(task + (uint)stack, out uint bottom) && bottom != 0 && bottom % SmallestStack == 0;
    }

    /// <summary>The idle task has 0, the first one 1, and no two have the same.</summary>
    private static int FindId(byte[][] tasks)
    {
        for (int offset = 0; offset < MostBytes; offset += WordSize)
        {
            if (Word(tasks[0], offset) == 0 && Word(tasks[1], offset) == 1
                && tasks.Skip(1).All(task => Word(task, offset) is > 0 and <= HighestId)
                && tasks.Select(task => Word(task, offset)).Distinct().Count() == tasks.Length)
            {
                return offset;
            }
        }

        return -1;
    }

    /// <summary>It leads into the task's stack, and there is where it goes on. Of the current task it is an old one.</summary>
    private static int FindStackPointer(IGuestMemoryReader memory, SymbolTable symbols, byte[][] tasks, int stack)
    {
        for (int offset = 0; offset < MostBytes; offset += WordSize)
        {
            if (tasks.All(task => Word(task, offset) - Word(task, stack) is > 0 and < StackWalker.StackSize && Word(task, offset) % WordSize == 0)
                && tasks.Count(task => HasCode(memory, symbols, Word(task, offset))) >= tasks.Length - 1)
            {
                return offset;
            }
        }

        return -1;
    }

    private static bool HasCode(IGuestMemoryReader memory, SymbolTable symbols, uint address)
    {
        for (uint i = 0; i < SavedWords; i++)
        {
            if (memory.TryReadUInt32(address + (i * WordSize), out uint word) && symbols.TryFindFunction(word, out _, out _))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Among the first words: the idle task has 0, all others have a single bit of the low ones or those of an idle thread, and few have none.</summary>
    private static int? FindState(byte[][] tasks)
    {
        const uint Bits = 0x7fff;
        const int MostBits = 3;
        for (int offset = 0; offset <= LastStateOffset; offset += WordSize)
        {
            uint[] values = [.. tasks.Select(task => Word(task, offset))];
            bool canBe = values[0] == 0 && values.All(value => (value & ~Bits) == 0 && BitOperations.PopCount(value) <= MostBits);
            int sleeping = values.Count(value => TaskList.StateOf(value) is TaskState.Sleeping or TaskState.DiskSleep or TaskState.Idle);
            if (canBe && sleeping * 2 > tasks.Length)
            {
                return offset;
            }
        }

        return null;
    }
}
