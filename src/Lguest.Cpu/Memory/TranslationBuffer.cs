using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>
/// One translation. A tag is the page's linear address when an access of its kind may simply go to
/// <c>Addend + address</c>; any of its low bits set makes the one compare of the fast path fail.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TlbEntry
{
    /// <summary>In a tag: there is no translation for this kind of access.</summary>
    public const uint Invalid = 0x800;

    /// <summary>In a write tag: code from this page is cached, so the store must be seen.</summary>
    public const uint CodePage = 0x001;

    /// <summary>In any tag: no memory stands behind this page.</summary>
    public const uint NoMemory = 0x002;

    public uint ReadTag;
    public uint WriteTag;
    public uint ExecuteTag;

    /// <summary>In <see cref="Kind"/>: a load of CR3 keeps the translation (CR4.PGE and the G bit).</summary>
    public const uint Global = 1;

    /// <summary>In <see cref="Kind"/>: it is one of a 4 MiB page's, which INVLPG drops together (SDM 3A, 4.10.4.1).</summary>
    public const uint Large = 2;

    /// <summary>Of what kind the page is.</summary>
    public uint Kind;

    /// <summary>Host address of the page less its linear address.</summary>
    public byte* Addend;

    /// <summary>Physical address of the page.</summary>
    public uint Physical;
}

/// <summary>
/// The software TLBs, direct-mapped by linear page: one for CPL 0 to 2, one for CPL 3 (and one that
/// stays empty, see <see cref="ProcessorState.EmptyTlb"/>).
/// </summary>
internal sealed unsafe class TranslationBuffer : IDisposable
{
    /// <summary>Entries in each of the two.</summary>
    public const int Entries = 512;

    private readonly ProcessorState* _state;
    private TlbEntry* _entries;
    private uint _userGeneration;
    private uint _supervisorGeneration;
    private uint _lowestSupervisorCode;

    /// <summary>Whether a translation of a 4 MiB page may be cached.</summary>
    public bool HasLargePages { get; set; }

    public TranslationBuffer(ProcessorState* state)
    {
        _state = state;
        _entries = (TlbEntry*)NativeMemory.AlignedAlloc((nuint)(3 * Entries * sizeof(TlbEntry)), 64);
        state->SupervisorTlb = _entries;
        state->UserTlb = _entries + Entries;
        state->EmptyTlb = _entries + (2 * Entries);
        state->Tlb = _entries;
        state->JumpCache = (JumpCacheEntry*)NativeMemory.AllocZeroed(
            JumpCacheEntry.Entries, (nuint)sizeof(JumpCacheEntry));
        FlushAll();
    }

    /// <summary>The entry for a linear address in one of the two tables.</summary>
    public static TlbEntry* EntryOf(TlbEntry* table, uint linear) =>
        table + ((linear >> PhysicalMemory.PageShift) & (Entries - 1));

    /// <summary>Drops everything.</summary>
    public void FlushAll()
    {
        Unsafe.InitBlock(_entries, byte.MaxValue, (uint)(3 * Entries * sizeof(TlbEntry)));
        HasLargePages = false;
        NewGenerations();
    }

    /// <summary>Drops what isn't global.</summary>
    public void FlushNonGlobal()
    {
        for (TlbEntry* entry = _entries; entry < _entries + (2 * Entries); entry++)
        {
            if ((entry->Kind & TlbEntry.Global) == 0)
            {
                Drop(entry);
            }
        }

        NewGenerations();
    }

    /// <summary>Drops the translations of linear addresses below a limit.</summary>
    public void FlushBelow(uint limit)
    {
        for (TlbEntry* entry = _entries; entry < _entries + (2 * Entries); entry++)
        {
            if (entry->ReadTag < limit)
            {
                Drop(entry);
            }
        }

        // A kernel's code lies above, as a rule: then the way it jumps needn't be learned again at each switch of spaces.
        NewGeneration(ref _userGeneration, ExecutionMode.User);
        if (_lowestSupervisorCode < limit)
        {
            NewSupervisorGeneration();
        }
    }

    /// <summary>Drops the translation of one page, whatever its size.</summary>
    public void FlushPage(uint linear)
    {
        uint page = linear & ~PhysicalMemory.PageOffsetMask;
        DropIfPage(EntryOf(_state->SupervisorTlb, linear), page);
        DropIfPage(EntryOf(_state->UserTlb, linear), page);
        if (HasLargePages)
        {
            FlushLargePage(linear);
            NewGenerations();
        }
        else
        {
            NativeMemory.Clear(
                JumpCacheEntry.PageOf(_state, linear), (nuint)(JumpCacheEntry.EntriesPerPage * sizeof(JumpCacheEntry)));
        }
    }

    /// <summary>Makes stores to a physical page visible: code from it is about to be cached.</summary>
    public void WatchCodePage(uint physicalPage)
    {
        for (TlbEntry* entry = _entries; entry < _entries + (2 * Entries); entry++)
        {
            if (entry->Physical == physicalPage && (entry->WriteTag & TlbEntry.Invalid) == 0)
            {
                entry->WriteTag |= TlbEntry.CodePage;
            }
        }
    }

    /// <summary>Lets stores to a physical page be fast again.</summary>
    public void UnwatchCodePage(uint physicalPage)
    {
        for (TlbEntry* entry = _entries; entry < _entries + (2 * Entries); entry++)
        {
            if (entry->Physical == physicalPage && (entry->WriteTag & TlbEntry.Invalid) == 0)
            {
                entry->WriteTag &= ~TlbEntry.CodePage;
            }
        }
    }

    /// <summary>What entries of the jump cache have to be tagged with to be good now.</summary>
    public uint JumpKey(ExecutionMode mode) =>
        ((mode & ExecutionMode.User) != 0 ? _userGeneration : _supervisorGeneration) | (uint)mode;

    /// <summary>Takes note that the jump cache has an entry for CPL 0 to 2.</summary>
    public void NoteSupervisorCode(uint linear) => _lowestSupervisorCode = Math.Min(_lowestSupervisorCode, linear);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_entries);
        NativeMemory.Free(_state->JumpCache);
        _entries = null;
    }

    private static void Drop(TlbEntry* entry)
    {
        entry->ReadTag = uint.MaxValue;
        entry->WriteTag = uint.MaxValue;
        entry->ExecuteTag = uint.MaxValue;
    }

    private static void DropIfPage(TlbEntry* entry, uint page)
    {
        if ((entry->ReadTag & ~PhysicalMemory.PageOffsetMask) == page)
        {
            Drop(entry);
        }
    }

    /// <summary>Makes every entry of the jump cache stale at once.</summary>
    private void NewGenerations()
    {
        NewGeneration(ref _userGeneration, ExecutionMode.User);
        NewSupervisorGeneration();
    }

    private void NewSupervisorGeneration()
    {
        _lowestSupervisorCode = uint.MaxValue;
        NewGeneration(ref _supervisorGeneration, ExecutionMode.None);
    }

    private void NewGeneration(ref uint generation, ExecutionMode user)
    {
        generation += JumpCacheEntry.GenerationStep;
        if (generation < JumpCacheEntry.GenerationStep)
        {
            NativeMemory.Clear(_state->JumpCache, (nuint)(JumpCacheEntry.Entries * sizeof(JumpCacheEntry)));
            generation += JumpCacheEntry.GenerationStep;
        }

        if ((_state->Mode & ExecutionMode.User) == user)
        {
            _state->JumpKey = JumpKey(_state->Mode);
        }
    }

    private void FlushLargePage(uint linear)
    {
        for (TlbEntry* entry = _entries; entry < _entries + (2 * Entries); entry++)
        {
            if ((entry->Kind & TlbEntry.Large) != 0 && ((entry->ReadTag ^ linear) & PageEntry.LargeFrameMask) == 0)
            {
                Drop(entry);
            }
        }
    }
}
