using System.Runtime.CompilerServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>Ways from one block to the next, and out of a block before its end.</summary>
/// <remarks>
/// A block takes the cost of all its instructions when it is entered. Whoever leaves early gives back what wasn't
/// executed, so that the count of retired instructions is exact wherever anyone can see it.
/// </remarks>
internal static unsafe class BlockExit
{
    /// <summary>Enters a block whose first instruction is at <paramref name="eip"/>, if the countdown allows it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Operation* Enter(ProcessorState* s, CodeBlock* block, uint eip)
    {
        long countdown = s->Countdown - block->EntryCost;
        if (countdown < 0)
        {
            s->Eip = eip;
            return null;
        }

        s->Countdown = countdown;
        s->Block = block;
        s->BlockEip = eip;
        return block->Entry;
    }

    /// <summary>Goes on at an address that only this execution knows: an indirect jump, a return.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Operation* ToAddress(ProcessorState* s, uint eip)
    {
        JumpCacheEntry* entry = JumpCacheEntry.Of(s, eip);
        if (entry->Eip == eip && entry->Key == s->JumpKey)
        {
            return Enter(s, entry->Block, eip);
        }

        s->Eip = eip;
        return null;
    }

    /// <summary>Goes on at a fixed distance from the block's start, through the operation's link.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Operation* ToLink(ProcessorState* s, Operation* op, uint eip) =>
        op->Link != null ? Enter(s, op->Link, eip) : Unlinked(s, op, s->BlockEip + op->EipOffset, eip);

    /// <summary>Takes what a jump skips in its own block out of the count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GiveBackRest(ProcessorState* s, Operation* op) =>
        s->Countdown += s->Block->InstructionCount - IndexOf(s, op) - 1;

    /// <summary>Sets EIP to the instruction itself and takes it and all after it out of the count.</summary>
    public static void BeforeInstruction(ProcessorState* s, Operation* op)
    {
        s->Eip = s->BlockEip + op->EipOffset;
        s->Countdown += s->Block->InstructionCount - IndexOf(s, op);
    }

    /// <summary>Sets EIP to the next instruction and takes all from there on out of the count.</summary>
    public static void AfterInstruction(ProcessorState* s, Operation* op)
    {
        s->Eip = Operation.NextEip(s, op);
        GiveBackRest(s, op);
    }

    /// <summary>Returns to the engine after an instruction that may have changed what blocks depend on.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operation* Leave(ProcessorState* s, Operation* op)
    {
        AfterInstruction(s, op);
        return null;
    }

    /// <summary>
    /// Returns to the engine after one step of a REP instruction that has more to do: the step has
    /// retired, and the instruction comes next again.
    /// </summary>
    public static Operation* Again(ProcessorState* s, Operation* op)
    {
        AfterInstruction(s, op);
        s->Eip = s->BlockEip + op->EipOffset;
        s->RepetitionGoesOnAt = s->RetiredLimit - (ulong)s->Countdown;
        return null;
    }

    /// <summary>Instructions retired before the one that is executing.</summary>
    public static ulong RetiredBefore(ProcessorState* s, Operation* op) =>
        s->RetiredLimit - (ulong)(s->Countdown + s->Block->InstructionCount - IndexOf(s, op));

    /// <summary>The handler after a block's last instruction: on to what follows.</summary>
    public static Operation* FallThrough(ProcessorState* s, Operation* op)
    {
        uint eip = s->BlockEip + op->EipOffset;
        return op->Link != null ? Enter(s, op->Link, eip) : Unlinked(s, op, eip - 1, eip);
    }

    /// <summary>The handler of every operation of a dropped block: its bytes have changed.</summary>
    public static Operation* Dropped(ProcessorState* s, Operation* op)
    {
        BeforeInstruction(s, op);
        return null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int IndexOf(ProcessorState* s, Operation* op) => (int)(op - CodeBlock.Operations(s->Block));

    /// <summary>
    /// A jump within its page is linked by the engine, for whatever linear address the page has. One to another
    /// page is looked up each time: what is there may change.
    /// </summary>
    private static Operation* Unlinked(ProcessorState* s, Operation* op, uint from, uint eip)
    {
        if ((from ^ eip) > PhysicalMemory.PageOffsetMask)
        {
            return ToAddress(s, eip);
        }

        s->LinkFrom = op;
        s->Eip = eip;
        return null;
    }
}
