using Lguest.Insight.Memory;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Stacks;

/// <summary>A function on a stack.</summary>
/// <param name="Address">Where it goes on: the instruction after a call, or the one at which the processor is.</param>
/// <param name="IsCertain">Whether the chain of frame pointers leads there. If not, the address just lies on the stack.</param>
public readonly record struct StackEntry(uint Address, bool IsCertain);

/// <summary>
/// Walks a kernel's stack from outside, by frame pointers where they make sense, and else by what on the stack is an address
/// after a call.
/// </summary>
/// <param name="memory">The guest's memory.</param>
/// <param name="symbols">The kernel's symbols.</param>
public sealed class StackWalker(IGuestMemoryReader memory, SymbolTable symbols)
{
    /// <summary>Bytes of a kernel stack (THREAD_SIZE). It begins at a multiple of that.</summary>
    internal const uint StackSize = 8192;

    private const int MostEntries = 64;
    private const uint WordSize = sizeof(uint);
    private const uint LargestFrame = 8192;

    /// <summary>The functions on a stack, innermost first.</summary>
    /// <param name="eip">The processor's.</param>
    /// <param name="esp">The processor's.</param>
    /// <param name="ebp">The processor's.</param>
    public IReadOnlyList<StackEntry> Walk(uint eip, uint esp, uint ebp)
    {
        var entries = new List<StackEntry> { new(eip, true) };
        uint position = esp;
        uint frame = ebp;

        // A function that was just entered, or an address that is none, has no frame yet: who called it is on top.
        bool hasFrame = symbols.TryFindFunction(eip, out _, out uint offset) && offset > 0;
        if (!hasFrame && memory.TryReadUInt32(esp, out uint caller) && IsCode(caller) && IsAfterCall(caller))
        {
            entries.Add(new StackEntry(caller, true));
            position += WordSize;
        }

        bool isChain = FollowChain(entries, ref position, ref frame);
        if (!isChain)
        {
            Scan(entries, position);
        }

        return entries;
    }

    /// <summary>The functions on the stack of a task that isn't the current one, innermost first.</summary>
    /// <param name="esp">Where it was when it was switched away from.</param>
    public IReadOnlyList<StackEntry> WalkSwitched(uint esp)
    {
        // On top is what the switch saved, EBP last, and then where it goes on.
        const uint MostSaved = 8;
        uint ebp = 0;
        for (uint i = 0; i < MostSaved && memory.TryReadUInt32(esp, out uint word); i++)
        {
            esp += WordSize;
            if (IsCode(word) && (IsAfterCall(word) || symbols.TryFindFunction(word, out _, out uint offset) && offset == 0))
            {
                return Walk(word, esp, ebp);
            }

            ebp = word;
        }

        return [];
    }

    /// <summary>The functions on a stack, a line each, as the kernel writes them.</summary>
    public IEnumerable<string> Describe(IEnumerable<StackEntry> entries) =>
        entries.Select(entry => $"{(entry.IsCertain ? string.Empty : "? ")}{symbols.Describe(entry.Address)}");

    /// <returns>Whether the chain has come to an end that is one: a frame pointer of 0, or outside of the kernel.</returns>
    private bool FollowChain(List<StackEntry> entries, ref uint position, ref uint frame)
    {
        while (entries.Count < MostEntries)
        {
            bool leadsOn = frame >= position && frame - position < LargestFrame && frame % WordSize == 0;
            if (!leadsOn || !memory.TryReadUInt32(frame, out uint next) || !memory.TryReadUInt32(frame + WordSize, out uint address))
            {
                return entries.Count > 1 && frame == 0;
            }

            if (!IsCode(address))
            {
                return entries.Count > 1;
            }

            entries.Add(new StackEntry(address, true));
            position = frame + (2 * WordSize);
            frame = next;
        }

        return true;
    }

    private void Scan(List<StackEntry> entries, uint position)
    {
        uint end = (position | (StackSize - 1)) + 1;
        for (position &= ~(WordSize - 1); position != end && entries.Count < MostEntries; position += WordSize)
        {
            if (!memory.TryReadUInt32(position, out uint word))
            {
                return;
            }

            if (IsCode(word) && IsAfterCall(word))
            {
                entries.Add(new StackEntry(word, false));
            }
        }
    }

    private bool IsCode(uint address) => symbols.TryFindFunction(address - 1, out _, out _);

    /// <summary>Whether a call may have led past here: CALL rel32, or an indirect CALL of two to seven bytes.</summary>
    private bool IsAfterCall(uint address)
    {
        const int Longest = 7;
        Span<byte> before = stackalloc byte[Longest];
        if (!memory.TryReadVirtual(address - Longest, before))
        {
            return false;
        }

        if (before[Longest - 5] == 0xe8)
        {
            return true;
        }

        for (int length = 2; length <= Longest; length++)
        {
            if (before[Longest - length] == 0xff && (before[Longest - length + 1] & 0x38) == 0x10)
            {
                return true;
            }
        }

        return false;
    }
}
