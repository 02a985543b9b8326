using System.Runtime.InteropServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// Decoded blocks by physical address. A block whose bytes are overwritten dies: its operations lead back to the engine,
/// so that whoever still points at it, or is inside it, notices at the next instruction. Its room is taken back when
/// the whole cache is dropped.
/// </summary>
internal sealed unsafe class BlockCache : ICodeCache, IDisposable
{
    private const int BucketCount = 1 << 15;
    private const int ChunkSize = 1 << 20;
    private const int MaxChunks = 48;

    private readonly Processor _processor;
    private readonly ProcessorState* _state;
    private readonly BlockBuilder _builder = new();
    private readonly nint[] _chunks = new nint[MaxChunks];
    private readonly CodeBlock** _buckets;
    private readonly CodeBlock* _partial;
    private CodePage?[] _pages = [];
    private int _chunk = -1;
    private byte* _free;
    private byte* _end;

    public BlockCache(Processor processor, ProcessorState* state)
    {
        _processor = processor;
        _state = state;
        _buckets = (CodeBlock**)NativeMemory.AllocZeroed(BucketCount, (nuint)sizeof(CodeBlock*));
        _partial = (CodeBlock*)NativeMemory.AlignedAlloc((nuint)BlockBuilder.MaxBytes, 64);
        NativeMemory.Clear(_partial, (nuint)BlockBuilder.MaxBytes);
    }

    /// <summary>Whether whoever comes to an offset of a page comes through the engine, which looks for a breakpoint there.</summary>
    public bool EndsBefore(uint offset) => _builder.EndsBefore is { } ends && ends[offset];

    /// <summary>Has blocks end before an offset in any page. Those that were built before don't: the cache is to be cleared.</summary>
    /// <returns>False when they do already.</returns>
    public bool EndBefore(uint offset)
    {
        bool[] ends = _builder.EndsBefore ??= new bool[PhysicalMemory.PageSize];
        bool isNew = !ends[offset];
        ends[offset] = true;
        return isNew;
    }

    /// <summary>Forgets where blocks have to end, and those that did.</summary>
    public void EndAnywhere()
    {
        if (_builder.EndsBefore is not null)
        {
            _builder.EndsBefore = null;
            Clear();
        }
    }

    /// <summary>The block for code at a physical address, decoded if need be.</summary>
    /// <param name="page">Physical page of the first byte.</param>
    /// <param name="offset">Its offset in that page.</param>
    /// <param name="host">Its host address.</param>
    /// <param name="mode">What the block may rely on.</param>
    /// <param name="second">Host address of the next linear page, or null; asked for only when an instruction reaches it.</param>
    public CodeBlock* GetOrBuild(uint page, uint offset, byte* host, ExecutionMode mode, ref SecondPageSource second)
    {
        CodeBlock** bucket = Bucket(page, offset, mode);
        for (CodeBlock* block = *bucket; block != null; block = block->NextInBucket)
        {
            if (block->Page == page && block->Offset == offset && block->Mode == mode
                && (block->SecondPage == CodeBlock.NoPage || (second.TryGet(out _, out uint next) && next == block->SecondPage)))
            {
                return block;
            }
        }

        if (second.HasFaulted)
        {
            return null;
        }

        if (_end - _free < BlockBuilder.MaxBytes && !AddChunk())
        {
            Clear();
            bucket = Bucket(page, offset, mode);
        }

        var built = (CodeBlock*)_free;
        if (!_builder.Build(built, page, offset, host, mode, ref second))
        {
            return null;
        }

        _processor.Statistics.BlocksDecoded++;
        if (!EndsBefore(offset))
        {
            _processor.Translations?.Watch(built);
        }

        _free += sizeof(CodeBlock) + ((built->InstructionCount + CodeBlock.ExtraOperations) * sizeof(Operation));
        _free = (byte*)(((nuint)_free + 63) & ~(nuint)63);
        built->NextInBucket = *bucket;
        *bucket = built;
        CodePage first = Page(page);
        built->NextInPage = first.Blocks;
        first.Blocks = built;
        _processor.Memory.Code.Note(page, LinesOf(built, page));

        // Neither NoPage nor a page beyond all memory can be written.
        if (built->SecondPage < _processor.Memory.Top >> PhysicalMemory.PageShift)
        {
            CodePage tail = Page(built->SecondPage);
            built->NextInSecondPage = tail.Tails;
            tail.Tails = built;
            _processor.Memory.Code.Note(built->SecondPage, LinesOf(built, built->SecondPage));
        }

        return built;
    }

    /// <summary>A copy of a block's first instructions, good until the next call.</summary>
    public CodeBlock* Partial(CodeBlock* block, int instructions)
    {
        *_partial = *block;
        _partial->InstructionCount = instructions;
        _partial->EntryCost = instructions;
        _partial->Translation = 0;
        Operation* from = CodeBlock.Operations(block);
        Operation* to = CodeBlock.Operations(_partial);
        _partial->Entry = to;
        for (int i = 0; i < instructions; i++)
        {
            to[i] = from[i];
            if (block->Translation != 0)
            {
                to[i].Handler = _processor.Translations!.HandlerOf(block, i);
            }
        }

        to[instructions] = default;
        to[instructions].Handler = &BlockExit.FallThrough;
        to[instructions].EipOffset = from[instructions].EipOffset;
        return _partial;
    }

    /// <summary>Whether a jump in <paramref name="block"/> may be linked at all.</summary>
    public bool IsPartial(CodeBlock* block) => block == _partial;

    /// <inheritdoc />
    public ulong OnCodeWritten(uint page, uint offset, uint length)
    {
        if (Overlaps(_partial, page, offset, length))
        {
            Kill(_partial);
        }

        if (page >= _pages.Length || _pages[page] is not { } code)
        {
            return 0;
        }

        ulong lines = 0;
        CodeBlock* blocks = null;
        for (CodeBlock* block = code.Blocks, next; block != null; block = next)
        {
            next = block->NextInPage;
            if (Survives(block, page, offset, length))
            {
                block->NextInPage = blocks;
                blocks = block;
                lines |= LinesOf(block, page);
            }
        }

        CodeBlock* tails = null;
        for (CodeBlock* block = code.Tails, next; block != null; block = next)
        {
            next = block->NextInSecondPage;
            if (Survives(block, page, offset, length))
            {
                block->NextInSecondPage = tails;
                tails = block;
                lines |= LinesOf(block, page);
            }
        }

        code.Blocks = blocks;
        code.Tails = tails;
        if (lines == 0)
        {
            _pages[page] = null;
        }

        return lines;
    }

    /// <summary>Drops every block.</summary>
    public void Clear()
    {
        _processor.Memory.Code.Clear();
        Array.Clear(_pages);
        NativeMemory.Clear(_buckets, (nuint)(BucketCount * sizeof(CodeBlock*)));
        _chunk = -1;
        _free = null;
        _end = null;
        AddChunk();
        _state->LinkFrom = null;
        _state->Block = _partial;
        _processor.Translations?.Clear();
        _processor.Translation.FlushAll();
    }

    public void Dispose()
    {
        foreach (nint chunk in _chunks)
        {
            NativeMemory.AlignedFree((void*)chunk);
        }

        NativeMemory.Free(_buckets);
        NativeMemory.AlignedFree(_partial);
    }

    private static bool Overlaps(CodeBlock* block, uint page, uint offset, uint length) =>
        (block->Page == page && Intersects(block->Offset, block->LengthInPage, offset, length))
        || (block->SecondPage == page && Intersects(0, block->Length - block->LengthInPage, offset, length));

    private static bool Intersects(uint a, uint aLength, uint b, uint bLength) => a < b + bLength && b < a + aLength;

    private static void Kill(CodeBlock* block)
    {
        block->EntryCost = CodeBlock.Dead;
        Operation* operations = CodeBlock.Operations(block);
        for (int i = 0; i <= block->InstructionCount; i++)
        {
            operations[i].Handler = &BlockExit.Dropped;
            operations[i].Link = null;
        }
    }

    private static ulong LinesOf(CodeBlock* block, uint page)
    {
        ulong lines = block->Page == page ? CodePages.Lines(block->Offset, block->LengthInPage) : 0;
        return block->SecondPage == page ? lines | CodePages.Lines(0, block->Length - block->LengthInPage) : lines;
    }

    private bool Survives(CodeBlock* block, uint page, uint offset, uint length)
    {
        if (!block->IsAlive)
        {
            return false;
        }

        if (!Overlaps(block, page, offset, length))
        {
            return true;
        }

        CodeBlock** link = Bucket(block->Page, block->Offset, block->Mode);
        while (*link != block)
        {
            link = &(*link)->NextInBucket;
        }

        *link = block->NextInBucket;
        if (block->Translation != 0)
        {
            _processor.Translations!.Drop(block);
        }

        Kill(block);
        _processor.Statistics.BlocksInvalidated++;
        return false;
    }

    private CodeBlock** Bucket(uint page, uint offset, ExecutionMode mode)
    {
        uint hash = ((((page << PhysicalMemory.PageShift) | offset) * 0x9e3779b1u) >> 8) + (uint)mode;
        return _buckets + (hash & (BucketCount - 1));
    }

    private CodePage Page(uint number)
    {
        if (number >= _pages.Length)
        {
            Array.Resize(ref _pages, (int)(_processor.Memory.Top >> PhysicalMemory.PageShift));
        }

        if (_pages[number] is not { } page)
        {
            page = new CodePage();
            _pages[number] = page;
        }

        return page;
    }

    /// <summary>Makes room for at least one block; false when the cache has all the memory it may have.</summary>
    private bool AddChunk()
    {
        if (_chunk + 1 == MaxChunks)
        {
            return false;
        }

        _chunk++;
        if (_chunks[_chunk] == 0)
        {
            _chunks[_chunk] = (nint)NativeMemory.AlignedAlloc(ChunkSize, 64);
        }

        _free = (byte*)_chunks[_chunk];
        _end = _free + ChunkSize;
        return true;
    }

    /// <summary>The blocks with code on one physical page.</summary>
    private sealed class CodePage
    {
        /// <summary>Blocks that start here.</summary>
        public CodeBlock* Blocks;

        /// <summary>Blocks that start on another page and end here.</summary>
        public CodeBlock* Tails;
    }
}
