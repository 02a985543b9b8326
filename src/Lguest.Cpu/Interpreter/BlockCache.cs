using System.Runtime.InteropServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// Decoded blocks by physical address. A block whose bytes are overwritten dies: its operations lead back to the engine,
/// so that whoever still points at it, or is inside it, notices at the next instruction. Its room is taken back when
/// the whole cache is dropped.
/// </summary>
internal sealed unsafe class BlockCache : IWriteObserver, IDisposable
{
    private const int BucketCount = 1 << 15;
    private const int ChunkSize = 1 << 20;
    private const int MaxChunks = 48;
    private const int LineShift = 6;

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

    /// <summary>The block for code at a physical address, decoded if need be.</summary>
    /// <param name="physical">Physical address of the first byte.</param>
    /// <param name="host">Host address of the same.</param>
    /// <param name="mode">What the block may rely on.</param>
    /// <param name="second">Host address of the next linear page, or null; asked for only when an instruction reaches it.</param>
    public CodeBlock* GetOrBuild(uint physical, byte* host, ExecutionMode mode, ref SecondPageSource second)
    {
        CodeBlock** bucket = Bucket(physical, mode);
        for (CodeBlock* block = *bucket; block != null; block = block->NextInBucket)
        {
            if (block->Physical == physical && block->Mode == mode
                && (block->SecondPage == CodeBlock.NoPage || (second.TryGet(out _, out uint page) && page == block->SecondPage)))
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
            bucket = Bucket(physical, mode);
        }

        var built = (CodeBlock*)_free;
        if (!_builder.Build(built, physical, host, mode, ref second))
        {
            return null;
        }

        _processor.Statistics.BlocksDecoded++;
        _free += sizeof(CodeBlock) + ((built->InstructionCount + 1) * sizeof(Operation));
        _free = (byte*)(((nuint)_free + 63) & ~(nuint)63);
        built->NextInBucket = *bucket;
        *bucket = built;
        CodePage first = Page(physical >> PhysicalMemory.PageShift);
        built->NextInPage = first.Blocks;
        first.Blocks = built;
        first.Lines |= LinesOf(built, physical >> PhysicalMemory.PageShift);

        // Neither NoPage nor a page beyond all memory can be written.
        if (built->SecondPage < _processor.Memory.Top >> PhysicalMemory.PageShift)
        {
            CodePage next = Page(built->SecondPage);
            built->NextInSecondPage = next.Tails;
            next.Tails = built;
            next.Lines |= LinesOf(built, built->SecondPage);
        }

        return built;
    }

    /// <summary>A copy of a block's first instructions, good until the next call.</summary>
    public CodeBlock* Partial(CodeBlock* block, int instructions)
    {
        *_partial = *block;
        _partial->InstructionCount = instructions;
        _partial->EntryCost = instructions;
        Operation* from = CodeBlock.Operations(block);
        Operation* to = CodeBlock.Operations(_partial);
        for (int i = 0; i < instructions; i++)
        {
            to[i] = from[i];
        }

        to[instructions] = default;
        to[instructions].Handler = &BlockExit.FallThrough;
        to[instructions].EipOffset = from[instructions].EipOffset;
        return _partial;
    }

    /// <summary>Whether a jump in <paramref name="block"/> may be linked at all.</summary>
    public bool IsPartial(CodeBlock* block) => block == _partial;

    /// <inheritdoc />
    public void OnCodeWritten(uint physical, uint length)
    {
        uint number = physical >> PhysicalMemory.PageShift;
        CodePage page = _pages[number]!;
        if ((page.Lines & LineMask(physical, length)) == 0)
        {
            return;
        }

        if (Overlaps(_partial, physical, length))
        {
            Kill(_partial);
        }

        ulong lines = 0;
        CodeBlock* blocks = null;
        for (CodeBlock* block = page.Blocks, next; block != null; block = next)
        {
            next = block->NextInPage;
            if (Survives(block, physical, length))
            {
                block->NextInPage = blocks;
                blocks = block;
                lines |= LinesOf(block, number);
            }
        }

        CodeBlock* tails = null;
        for (CodeBlock* block = page.Tails, next; block != null; block = next)
        {
            next = block->NextInSecondPage;
            if (Survives(block, physical, length))
            {
                block->NextInSecondPage = tails;
                tails = block;
                lines |= LinesOf(block, number);
            }
        }

        page.Blocks = blocks;
        page.Tails = tails;
        page.Lines = lines;
        if (lines == 0)
        {
            _pages[number] = null;
            _processor.Memory.CodePageFlags[number] = 0;
            _processor.Translation.UnwatchCodePage(number << PhysicalMemory.PageShift);
        }
    }

    /// <summary>Drops every block.</summary>
    public void Clear()
    {
        for (int number = 0; number < _pages.Length; number++)
        {
            if (_pages[number] is not null)
            {
                _processor.Memory.CodePageFlags[number] = 0;
            }
        }

        Array.Clear(_pages);
        NativeMemory.Clear(_buckets, (nuint)(BucketCount * sizeof(CodeBlock*)));
        _chunk = -1;
        _free = null;
        _end = null;
        AddChunk();
        _state->LinkFrom = null;
        _state->Block = _partial;
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

    private static bool Overlaps(CodeBlock* block, uint physical, uint length)
    {
        uint inFirst = block->SecondPage == CodeBlock.NoPage
            ? block->Length
            : PhysicalMemory.PageSize - (block->Physical & PhysicalMemory.PageOffsetMask);
        return Intersects(block->Physical, inFirst, physical, length)
            || (block->SecondPage != CodeBlock.NoPage
                && Intersects(block->SecondPage << PhysicalMemory.PageShift, block->Length - inFirst, physical, length));
    }

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

    /// <summary>The 64-byte lines that some bytes of one page lie in, a bit each.</summary>
    private static ulong LineMask(uint physical, uint length)
    {
        int first = (int)(physical & PhysicalMemory.PageOffsetMask) >> LineShift;
        int last = (int)((physical + length - 1) & PhysicalMemory.PageOffsetMask) >> LineShift;
        return (ulong.MaxValue >> (63 - last)) & (ulong.MaxValue << first);
    }

    private static ulong LinesOf(CodeBlock* block, uint page)
    {
        if (block->SecondPage == CodeBlock.NoPage)
        {
            return LineMask(block->Physical, block->Length);
        }

        uint inFirst = PhysicalMemory.PageSize - (block->Physical & PhysicalMemory.PageOffsetMask);
        ulong lines = 0;
        if (page == block->Physical >> PhysicalMemory.PageShift)
        {
            lines |= LineMask(block->Physical, inFirst);
        }

        if (page == block->SecondPage)
        {
            lines |= LineMask(0, block->Length - inFirst);
        }

        return lines;
    }

    private bool Survives(CodeBlock* block, uint physical, uint length)
    {
        if (!block->IsAlive)
        {
            return false;
        }

        if (!Overlaps(block, physical, length))
        {
            return true;
        }

        CodeBlock** link = Bucket(block->Physical, block->Mode);
        while (*link != block)
        {
            link = &(*link)->NextInBucket;
        }

        *link = block->NextInBucket;
        Kill(block);
        _processor.Statistics.BlocksInvalidated++;
        return false;
    }

    private CodeBlock** Bucket(uint physical, ExecutionMode mode)
    {
        uint hash = ((physical * 0x9e3779b1u) >> 8) + (uint)mode;
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
            _processor.Memory.CodePageFlags[number] = 1;
            _processor.Translation.WatchCodePage(number << PhysicalMemory.PageShift);
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

        /// <summary>The 64-byte lines with code in them.</summary>
        public ulong Lines;
    }
}
