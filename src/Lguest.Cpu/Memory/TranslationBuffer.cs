using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>
/// One translation, the half that every access looks at. The tag is the page's linear address when an access may simply go to
/// <c>Addend + address</c>; any of its low bits set makes the one compare of the fast path fail.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TlbEntry
{
    /// <summary>A tag that no address has: there is no translation.</summary>
    public const ulong Invalid = ulong.MaxValue;

    /// <summary>In a tag for writing: code from this page is cached, so the store must be seen.</summary>
    public const uint CodePage = 0x001;

    /// <summary>In any tag: no memory stands behind this page, but a device or nothing.</summary>
    public const uint NoMemory = 0x002;

    /// <summary>In a tag for reading or writing: the machine's debugger watches bytes of this page.</summary>
    public const uint Watched = 0x004;

    /// <summary>The linear page and the slow bits. 64 bits wide, as an address of long mode would be.</summary>
    public ulong Tag;

    /// <summary>Host address of the page less its linear address.</summary>
    public byte* Addend;
}

/// <summary>The half of a translation that only slow paths look at.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TlbOrigin
{
    /// <summary>In <see cref="Kind"/>: a load of CR3 keeps the translation (CR4.PGE and the G bit).</summary>
    public const uint Global = 1;

    /// <summary>In <see cref="Kind"/>: it is one of a large page's, which INVLPG drops together (SDM 3A, 4.10.4.1).</summary>
    public const uint Large = 2;

    /// <summary>In <see cref="Kind"/>: the journal has the entry.</summary>
    public const uint Journaled = 4;

    /// <summary>Physical page number.</summary>
    public uint Page;

    /// <summary>Of what kind the page is.</summary>
    public uint Kind;
}

/// <summary>
/// The software TLBs, direct-mapped by linear page: for CPL 0 to 2 and for CPL 3 one for each kind of access (and a pair that
/// stays empty, see <see cref="ProcessorState.EmptyTlb"/>).
/// </summary>
/// <remarks>
/// They lie behind the state at a fixed distance. A journal names the entries that were filled since the last flush, so
/// that a flush costs what was used, and not the size of the tables.
/// </remarks>
internal sealed unsafe class TranslationBuffer : IDisposable
{
    /// <summary>Entries for each kind of access: a power of two.</summary>
    public const int Entries = 4096;

    /// <summary>Entries for each privilege: those for reading, for writing and for executing.</summary>
    public const int EntriesPerPrivilege = 3 * Entries;

    /// <summary>Distance of the first table, the supervisor's, from the state.</summary>
    public const int StateOffset = 4096;

    private const int PrivilegeTables = 2;
    private const int JournaledEntries = PrivilegeTables * EntriesPerPrivilege;

    /// <summary>Bytes behind <see cref="StateOffset"/>. What stays empty has no table for executing.</summary>
    public static readonly int Bytes = (JournaledEntries + (2 * Entries)) * sizeof(TlbEntry);

    /// <summary>Bytes behind <see cref="StateOffset"/> with the jump cache, which follows the tables.</summary>
    public static readonly int BytesWithJumpCache = Bytes + (JumpCacheEntry.Entries * sizeof(JumpCacheEntry));

    private readonly ProcessorState* _state;
    private readonly TlbEntry* _entries;
    private TlbOrigin* _origins;
    private ushort* _journal;
    private int _journalLength;
    private uint _userGeneration;
    private uint _supervisorGeneration;
    private uint _lowestSupervisorCode;

    /// <summary>Whether the jump cache has code for CPL 0 to 2 from a page that isn't global.</summary>
    private bool _hasLocalSupervisorCode;

    /// <summary>Whether a translation of a large page may be cached.</summary>
    private bool _hasLargePages;

    /// <summary>Makes the tables in the room behind the state.</summary>
    public TranslationBuffer(ProcessorState* state)
    {
        _state = state;
        _entries = (TlbEntry*)((byte*)state + StateOffset);
        Unsafe.InitBlock(_entries, byte.MaxValue, (uint)Bytes);
        _origins = (TlbOrigin*)NativeMemory.AllocZeroed(JournaledEntries, (nuint)sizeof(TlbOrigin));
        _journal = (ushort*)NativeMemory.Alloc(JournaledEntries, sizeof(ushort));
        state->SupervisorTlb = _entries;
        state->UserTlb = _entries + EntriesPerPrivilege;
        state->EmptyTlb = _entries + JournaledEntries;
        state->Tlb = _entries;
        state->JumpCache = (JumpCacheEntry*)((byte*)_entries + Bytes);
        NativeMemory.Clear(state->JumpCache, (nuint)(JumpCacheEntry.Entries * sizeof(JumpCacheEntry)));
        FlushAll();
    }

    /// <summary>The entry for reading at a linear address, in the tables of a privilege.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* ReadEntry(TlbEntry* tables, uint linear) =>
        tables + ((linear >> PhysicalMemory.PageShift) & (Entries - 1));

    /// <summary>The entry for writing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* WriteEntry(TlbEntry* tables, uint linear) => ReadEntry(tables, linear) + Entries;

    /// <summary>Host address to read bytes from that lie in one page of memory, or null where only the slow path knows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* FindRead(TlbEntry* tables, uint linear, uint length) => Find(ReadEntry(tables, linear), linear, length);

    /// <summary>The same for writing, where nobody has to hear of the store.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* FindWrite(TlbEntry* tables, uint linear, uint length) => Find(WriteEntry(tables, linear), linear, length);

    /// <summary>The entry for a kind of access.</summary>
    public static TlbEntry* EntryOf(TlbEntry* tables, uint linear, AccessKind kind) =>
        ReadEntry(tables, linear) + kind switch
        {
            AccessKind.Read => 0,
            AccessKind.Execute => 2 * Entries,
            _ => Entries,
        };

    /// <summary>Where an entry's translation comes from. Not for those that stay empty.</summary>
    public TlbOrigin* OriginOf(TlbEntry* entry) => _origins + (entry - _entries);

    /// <summary>Fills an entry.</summary>
    public void Fill(TlbEntry* entry, ulong tag, byte* addend, in PageWalk walk)
    {
        TlbOrigin* origin = OriginOf(entry);
        if ((origin->Kind & TlbOrigin.Journaled) == 0)
        {
            _journal[_journalLength++] = (ushort)(entry - _entries);
        }

        entry->Tag = tag;
        entry->Addend = addend;
        origin->Page = walk.Page;
        origin->Kind = TlbOrigin.Journaled | (walk.Global ? TlbOrigin.Global : 0) | (walk.Large ? TlbOrigin.Large : 0);
        _hasLargePages |= walk.Large;
    }

    /// <summary>Drops everything.</summary>
    public void FlushAll()
    {
        foreach (ushort number in Journal)
        {
            _entries[number].Tag = TlbEntry.Invalid;
            _origins[number].Kind = 0;
        }

        _journalLength = 0;
        _hasLargePages = false;
        NewGenerations();
    }

    /// <summary>Drops what isn't global.</summary>
    public void FlushNonGlobal()
    {
        int kept = 0;
        foreach (ushort number in Journal)
        {
            if ((_origins[number].Kind & TlbOrigin.Global) != 0)
            {
                _journal[kept++] = number;
            }
            else
            {
                _entries[number].Tag = TlbEntry.Invalid;
                _origins[number].Kind = 0;
            }
        }

        _journalLength = kept;

        // A kernel's code is global, as a rule: then the way it jumps needn't be learned again at each switch of spaces.
        NewGeneration(ref _userGeneration, ExecutionMode.User);
        if (_hasLocalSupervisorCode)
        {
            NewSupervisorGeneration();
        }
    }

    /// <summary>Drops the translations of linear addresses below a limit.</summary>
    public void FlushBelow(uint limit)
    {
        int kept = 0;
        foreach (ushort number in Journal)
        {
            if (_entries[number].Tag >= limit)
            {
                _journal[kept++] = number;
            }
            else
            {
                _entries[number].Tag = TlbEntry.Invalid;
                _origins[number].Kind = 0;
            }
        }

        _journalLength = kept;

        // The kernel's code lies above, as a rule.
        NewGeneration(ref _userGeneration, ExecutionMode.User);
        if (_lowestSupervisorCode < limit)
        {
            NewSupervisorGeneration();
        }
    }

    /// <summary>Drops the translation of one page, whatever its size.</summary>
    public void FlushPage(uint linear)
    {
        for (int table = 0; table < JournaledEntries; table += Entries)
        {
            TlbEntry* entry = ReadEntry(_entries + table, linear);
            if (((entry->Tag ^ linear) & ~(ulong)PhysicalMemory.PageOffsetMask) == 0)
            {
                entry->Tag = TlbEntry.Invalid;
            }
        }

        if (_hasLargePages)
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
    public void WatchCodePage(uint page)
    {
        foreach (ushort number in Journal)
        {
            if (_origins[number].Page == page && IsForWriting(number) && _entries[number].Tag != TlbEntry.Invalid)
            {
                _entries[number].Tag |= TlbEntry.CodePage;
            }
        }
    }

    /// <summary>Lets stores to a physical page be fast again.</summary>
    public void UnwatchCodePage(uint page)
    {
        foreach (ushort number in Journal)
        {
            if (_origins[number].Page == page && IsForWriting(number) && _entries[number].Tag != TlbEntry.Invalid)
            {
                _entries[number].Tag &= ~(ulong)TlbEntry.CodePage;
            }
        }
    }

    /// <summary>What entries of the jump cache have to be tagged with to be good now.</summary>
    public uint JumpKey(ExecutionMode mode) =>
        ((mode & ExecutionMode.User) != 0 ? _userGeneration : _supervisorGeneration) | (uint)mode;

    /// <summary>Takes note that the jump cache has an entry for CPL 0 to 2. The address has just been translated.</summary>
    public void NoteSupervisorCode(uint linear)
    {
        TlbEntry* entry = EntryOf(_state->SupervisorTlb, linear, AccessKind.Execute);
        _hasLocalSupervisorCode |= (OriginOf(entry)->Kind & TlbOrigin.Global) == 0;
        _lowestSupervisorCode = Math.Min(_lowestSupervisorCode, linear);
    }

    public void Dispose()
    {
        NativeMemory.Free(_origins);
        NativeMemory.Free(_journal);
        _origins = null;
        _journal = null;
        _journalLength = 0;
    }

    private Span<ushort> Journal => new(_journal, _journalLength);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Find(TlbEntry* entry, uint linear, uint length) =>
        entry->Tag == ((linear + length - 1) & ~PhysicalMemory.PageOffsetMask) ? entry->Addend + linear : null;

    private static bool IsForWriting(int number) => (number / Entries) % (EntriesPerPrivilege / Entries) == 1;

    /// <summary>Makes every entry of the jump cache stale at once.</summary>
    private void NewGenerations()
    {
        NewGeneration(ref _userGeneration, ExecutionMode.User);
        NewSupervisorGeneration();
    }

    private void NewSupervisorGeneration()
    {
        _lowestSupervisorCode = uint.MaxValue;
        _hasLocalSupervisorCode = false;
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
        foreach (ushort number in Journal)
        {
            if ((_origins[number].Kind & TlbOrigin.Large) != 0
                && ((_entries[number].Tag ^ linear) & PageEntry.LargeFrameMask) == 0)
            {
                _entries[number].Tag = TlbEntry.Invalid;
            }
        }
    }
}
