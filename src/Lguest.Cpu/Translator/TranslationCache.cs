using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <summary>
/// The second engine: translations of hot blocks, the way into them from the interpreter and back, and the links between them.
/// </summary>
/// <remarks>
/// A block counts how often it is entered, and is translated when it has been often enough. What translated code can't do leaves to
/// the interpreter, which goes on with that very operation of the same block: both keep the same countdown and the same state, so
/// that neither can tell where the other was. It comes back at the next block, or at an operation that has been made to lead back. Whoever leaves says where and why by a <see cref="TranslatedExit"/>.
/// </remarks>
internal sealed unsafe class TranslationCache : IDisposable
{
    private const int CodeBytes = 64 << 20;

    /// <summary>How often groups of accesses may be split before their block is translated without groups.</summary>
    private const int MostSplitGroups = 32;

    /// <summary>Emitted code that is much for guests that follow one another.</summary>
    private const int LargeBytes = 8 << 20;

    /// <summary>In the slot for a recipe's number: the flags are in the state, as the interpreter has them.</summary>
    private const uint FlagsInState = uint.MaxValue;

    /// <summary>The immediate of the operation before a block's first, once the block is to be translated without groups.</summary>
    private const uint Ungrouped = 1;

    private readonly Processor _processor;
    private readonly ProcessorState* _state;
    private readonly ExecutableMemory _memory;
    private readonly HostEmitter _emitter;
    private readonly BlockTranslator _translator;
    private readonly List<Translation?> _translations = [null];
    private readonly List<TranslatedExit> _exits = [];
    private readonly GrowingArray<FlagRecipe> _recipes = new();
    private readonly delegate* unmanaged<ProcessorState*, byte*, int> _enter;
    private readonly byte* _start;

    private TranslationCache(Processor processor, ExecutableMemory memory, int threshold)
    {
        _processor = processor;
        _state = processor.StatePointer;
        _memory = memory;
        Threshold = threshold;
        _emitter = new HostEmitter(memory) { ScramblesOpen = processor.ScramblesOpen };
        byte* entry = _emitter.Position;
        _emitter.Entry();
        _emitter.Align();
        byte* wayOut = _emitter.Position;
        _emitter.Exit();
        _emitter.Align();
        byte* unitLoader = _emitter.Position;
        _emitter.UnitLoader();
        _emitter.Align();
        byte* functionCaller = _emitter.Position;
        _emitter.FunctionCaller();
        _state->MissingUnits = HostUnits.All;
        ForgetRecipes();
        _start = _emitter.Position;
        _enter = (delegate* unmanaged<ProcessorState*, byte*, int>)_emitter.ExecutableAddress(entry);
        _translator = new BlockTranslator(_emitter, wayOut, unitLoader, functionCaller, _exits) { MarksExecuted = processor.MarksTranslated };
    }

    /// <summary>Whether it is so much that another guest had better begin anew: code that is dropped is never freed alone.</summary>
    public bool IsLarge => EmittedForGuests.Length > LargeBytes;

    /// <summary>How often a block is entered before it is translated.</summary>
    public int Threshold { get; }

    /// <summary>Blocks translated.</summary>
    public ulong Translated { get; private set; }

    /// <summary>Instructions that translated code has executed.</summary>
    public ulong Executed { get; private set; }

    /// <summary>Makes the engine, or answers null where the host doesn't execute what we write.</summary>
    public static TranslationCache? TryCreate(Processor processor, int threshold) =>
        ExecutableMemory.TryCreate(CodeBytes) is { } memory ? new TranslationCache(processor, memory, threshold) : null;

    private static bool IsEligible(CodeBlock* block) =>
        (block->Mode & (ExecutionMode.Code32 | ExecutionMode.Flat | ExecutionMode.Single)) == (ExecutionMode.Code32 | ExecutionMode.Flat)
        && block->SecondPage == CodeBlock.NoPage;

    /// <summary>The handler before a block's first operation, until the block is hot.</summary>
    public static Operation* Count(ProcessorState* s, Operation* op)
    {
        if (op->Displacement != 0)
        {
            op->Displacement--;
            Operation* first = CodeBlock.Operations(s->Block);
            return first->Handler(s, first);
        }

        return Processor.From(s).Translations!.TranslateAndEnter(op);
    }

    /// <summary>The handler before a translated block's first operation.</summary>
    public static Operation* Enter(ProcessorState* s, Operation* op) => Processor.From(s).Translations!.Enter(s->Block);

    /// <summary>The handler of an operation at which the interpreter comes back to translated code.</summary>
    public static Operation* Return(ProcessorState* s, Operation* op) => Processor.From(s).Translations!.ReturnTo(s->Block, op);

    /// <summary>Has a new block count how often it is entered.</summary>
    public void Watch(CodeBlock* block)
    {
        if (IsEligible(block))
        {
            Operation* head = CodeBlock.Operations(block) + block->InstructionCount + CodeBlock.ExtraOperations - 1;
            *head = default;
            head->Handler = &Count;
            head->Displacement = (uint)Threshold;
            block->Entry = head;
        }
    }

    /// <summary>Forgets a block whose code has changed: nobody jumps into its translation any more.</summary>
    public void Drop(CodeBlock* block)
    {
        Translation translation = _translations[block->Translation]!;
        _translations[block->Translation] = null;
        block->Translation = 0;
        foreach (TranslatedReturn place in translation.Returns)
        {
            CodeBlock.Operations(block)[place.Index].Handler = place.Handler;
        }

        foreach (TranslatedExit link in translation.Incoming)
        {
            HostEmitter.SetDistance(link.Distance, link.Unlinked);
        }

        JumpCacheEntry* entry = JumpCacheEntry.Of(_state, translation.Eip);
        if (entry->Block == block)
        {
            entry->Host = null;
        }
    }

    /// <summary>What the interpreter does for an operation of a block that is translated, if it doesn't lead back to translated code.</summary>
    public OperationHandler HandlerOf(CodeBlock* block, int index)
    {
        return _translations[block->Translation]!.FindReturn(index) is { } place
            ? place.Handler
            : CodeBlock.Operations(block)[index].Handler;
    }

    /// <summary>Forgets everything. The blocks are gone, and what the jump cache has is stale.</summary>
    public void Clear()
    {
        _emitter.Rewind(_start);
        _translations.RemoveRange(1, _translations.Count - 1);
        ForgetRecipes();
        _exits.Clear();
    }

    /// <summary>Counts from 0 again.</summary>
    public void ForgetCounts()
    {
        Translated = 0;
        Executed = 0;
        foreach (TranslatedExit exit in _exits)
        {
            exit.Count = 0;
        }
    }

    /// <summary>The instructions for whose sake translated code was left, and how often, the most frequent first.</summary>
    public IEnumerable<KeyValuePair<string, ulong>> Reasons => _exits
        .Where(exit => exit.Reason != Mnemonic.INVALID && exit.Count != 0)
        .GroupBy(exit => exit.Reason)
        .Select(group => KeyValuePair.Create(
            group.Key.ToString().ToUpperInvariant(), group.Aggregate(0ul, (sum, exit) => sum + exit.Count)))
        .OrderByDescending(reason => reason.Value);

    /// <summary>All that was emitted for blocks and links.</summary>
    internal ReadOnlySpan<byte> EmittedForGuests => new(_start, (int)(_emitter.Position - _start));

    public void Dispose() => _memory.Dispose();

    /// <summary>The first number means that there is none.</summary>
    private void ForgetRecipes()
    {
        _recipes.Clear();
        _recipes.Add(default);
    }

    private Operation* TranslateAndEnter(Operation* head)
    {
        ProcessorState* s = _state;
        CodeBlock* block = s->Block;
        if (_emitter.Free < BlockTranslator.MostBytes)
        {
            // All the room is used: everything goes, this block too, and begins anew.
            s->Eip = s->BlockEip;
            s->Countdown += block->EntryCost;
            _processor.Blocks.Clear();
            return null;
        }

        byte* code = _processor.Memory.HostPage(block->Page) + block->Offset;
        if (_translator.Translate(block, s->BlockEip, code, isGrouped: head->Immediate != Ungrouped) is not { } translation)
        {
            Operation* first = CodeBlock.Operations(block);
            block->Entry = first;
            return first->Handler(s, first);
        }

        Translated++;
        block->Translation = _translations.Count;
        _translations.Add(translation);
        head->Handler = &Enter;
        return Enter(block);
    }

    private Operation* Enter(CodeBlock* block)
    {
        ProcessorState* s = _state;
        Translation translation = _translations[block->Translation]!;
        if (!CanEnter(translation))
        {
            Operation* first = CodeBlock.Operations(block);
            return first->Handler(s, first);
        }

        s->Countdown += block->EntryCost;
        ShowTarget(translation);
        SetFlags(translation.NeedsFlags);
        return Execute(translation.Entry, s->Countdown);
    }

    private Operation* ReturnTo(CodeBlock* block, Operation* op)
    {
        ProcessorState* s = _state;
        Translation translation = _translations[block->Translation]!;
        int index = (int)(op - CodeBlock.Operations(block));
        TranslatedReturn place = translation.FindReturn(index)!;
        if (!CanEnter(translation))
        {
            return place.Handler(s, op);
        }

        SetFlags(place.NeedsFlags);
        return Execute(place.Entry, s->Countdown + block->InstructionCount - index);
    }

    private bool CanEnter(Translation translation) =>
        translation.Eip == _state->BlockEip && _state->Tlb != _state->EmptyTlb;

    /// <summary>Executes translated code until the interpreter has to go on.</summary>
    /// <param name="entry">Where it begins, as it is written.</param>
    /// <param name="before">The countdown, and the instructions of the block that were taken from it and haven't been executed.</param>
    private Operation* Execute(byte* entry, long before)
    {
        ProcessorState* s = _state;
        while (true)
        {
            int number = _enter(s, _emitter.ExecutableAddress(entry));
            TranslatedExit exit = _exits[number];
            exit.Count++;
            Translation from = exit.From;
            s->Block = from.Block;
            s->BlockEip = from.Eip;
            GetFlags(exit);
            if (exit.Index == TranslatedExit.Head)
            {
                Executed += (ulong)(before - s->Countdown);
                s->Eip = from.Eip;
                return null;
            }

            Executed += (ulong)(before - s->Countdown - (from.Block->InstructionCount - exit.Index));
            if (exit.Group is { } group && IsSplit(group) && ++from.SplitGroups == MostSplitGroups
                && _translations[from.Block->Translation] == from)
            {
                Ungroup(from.Block);
            }

            Operation* next = CodeBlock.Operations(from.Block) + exit.Index;
            if (exit.Distance == null || LinkedTarget(next, exit) is not { } target)
            {
                return from.FindReturn(exit.Index) is { } place ? place.Handler(s, next) : next;
            }

            Link(exit, target);
            s->Countdown += exit.Skipped;
            ShowTarget(target);
            SetFlags(target.NeedsFlags);
            entry = target.Entry;
            before = s->Countdown;
        }
    }

    /// <summary>Whether a group of accesses will be missed again even when all of it is in the TLB.</summary>
    private bool IsSplit(GroupAddress group)
    {
        ProcessorState* s = _state;
        uint first = *(uint*)((byte*)s + group.Register) + (uint)group.Offset;
        uint page = first & ~PhysicalMemory.PageOffsetMask;
        return ((first + (uint)group.Length - 1) & ~PhysicalMemory.PageOffsetMask) != page
            || (group.Writes && TranslationBuffer.ReadEntry(s->Tlb, first)->Tag == page);
    }

    /// <summary>Has a block be translated anew, without groups.</summary>
    private void Ungroup(CodeBlock* block)
    {
        Drop(block);
        Operation* head = block->Entry;
        head->Handler = &Count;
        head->Displacement = 0;
        head->Immediate = Ungrouped;
    }

    /// <summary>The translation that a jump within its page leads to, if the interpreter knows its block and it is translated.</summary>
    private Translation? LinkedTarget(Operation* jump, TranslatedExit exit)
    {
        CodeBlock* block = jump->Link;
        return block != null && block->IsAlive && block->Translation != 0
            && _translations[block->Translation] is { } target && target.Eip == exit.Target
            ? target
            : null;
    }

    /// <summary>Makes a jump lead to its target's translation, with what has to be done on the way.</summary>
    private void Link(TranslatedExit exit, Translation target)
    {
        const int MostBytes = 64;
        if (_emitter.Free < MostBytes)
        {
            return;
        }

        byte* start = _emitter.Position;
        if (exit.Skipped != 0)
        {
            _emitter.GiveBack(exit.Skipped);
        }

        if (exit.FlagsInHost)
        {
            if (target.NeedsFlags || exit.Recipe.Kind == FlagRecipeKind.None)
            {
                _emitter.SaveFlags(exit.Correction);
            }
            else
            {
                _recipes.Add(exit.Recipe);
                _emitter.NameRecipe(_recipes.Count - 1);
            }
        }

        target.Incoming.Add(exit);
        if (_emitter.Position == start)
        {
            HostEmitter.SetDistance(exit.Distance, target.Entry);
            return;
        }

        _emitter.Jump(target.Entry);
        HostEmitter.SetDistance(exit.Distance, start);
    }

    /// <summary>Has the jump cache know the translation, for jumps and returns that look for it there.</summary>
    private void ShowTarget(Translation translation)
    {
        JumpCacheEntry* entry = JumpCacheEntry.Of(_state, translation.Eip);
        if (entry->Eip == translation.Eip && entry->Key == _state->JumpKey && entry->Block == translation.Block)
        {
            entry->Host = _emitter.ExecutableAddress(translation.Entry);
        }
    }

    private void SetFlags(bool areNeeded)
    {
        ProcessorState* s = _state;
        if (!areNeeded)
        {
            s->HostFlags = (ulong)FlagsInState << 32;
            return;
        }

        // The low byte of EFLAGS is what LAHF makes of it.
        uint flags = s->ArithmeticFlags;
        s->HostFlags = ((flags & byte.MaxValue) << 8) | ((flags & Eflags.Of) != 0 ? 1u : 0);
    }

    private void GetFlags(TranslatedExit exit)
    {
        ProcessorState* s = _state;
        uint recipe = (uint)(s->HostFlags >> 32);
        if (exit.Source == FlagSource.Recipe)
        {
            exit.Recipe.Apply(s);
        }
        else if (exit.Source == FlagSource.Slot || recipe == 0)
        {
            uint saved = (uint)s->HostFlags;
            s->ArithmeticFlags = ((saved >> 8) & byte.MaxValue) | ((saved & 1) != 0 ? Eflags.Of : 0);
        }
        else if (recipe != FlagsInState)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(recipe, (uint)_recipes.Count);
            _recipes[(int)recipe].Apply(s);
        }
    }
}
