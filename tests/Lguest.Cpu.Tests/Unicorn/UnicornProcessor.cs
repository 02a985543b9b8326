using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.Unicorn;

/// <summary>
/// A second emulator, Unicorn (which is QEMU's processor in a library), for what 64-bit mode doesn't have. It shows
/// exceptions rather than delivering them. It has mistakes of its own, so it is a second opinion and no more.
/// </summary>
internal sealed unsafe partial class UnicornProcessor : IDisposable
{
    /// <summary>Bytes of memory, from address 0.</summary>
    public const int MemorySize = 0x2_0000;

    private const string Library = "libunicorn.so.2";
    private const int ArchitectureX86 = 4;
    private const int Mode32 = 4;
    private const int HookInterrupt = 1;
    private const uint ProtectAll = 7;
    private const int RemoveCache = 0x4800_0009;
    private const int Eip = 26;
    private const int Eflags = 25;
    private const int Gdtr = 243;

    // Where Unicorn has the registers that Intel numbers from 0.
    private static readonly int[] General = [19, 22, 24, 21, 30, 20, 29, 23];
    private static readonly int[] Segments = [28, 11, 49, 17, 32, 33];

    private readonly byte* _memory;
    private readonly GCHandle _self;
    private readonly nint _engine;
    private readonly nint _fresh;

    /// <summary>Makes one; see <see cref="SkipUnlessInstalled"/>.</summary>
    public UnicornProcessor()
    {
        _self = GCHandle.Alloc(this);
        _memory = (byte*)NativeMemory.AlignedAlloc(MemorySize, 4096);
        Check(Open(ArchitectureX86, Mode32, out _engine));
        Check(MapMemory(_engine, 0, MemorySize, ProtectAll, _memory));
        Check(AddHook(
            _engine, out _, HookInterrupt, &OnInterrupt, GCHandle.ToIntPtr(_self), begin: 1, end: 0));
        Check(AllocateContext(_engine, out _fresh));
        Check(SaveContext(_engine, _fresh));
    }

    /// <summary>The exception or INT of the last instruction, or -1.</summary>
    public int Vector { get; private set; }

    /// <summary>All memory. Code has to be written by <see cref="WriteCode"/>.</summary>
    public Span<byte> Memory => new(_memory, MemorySize);

    /// <summary>Skips the test that calls this where the library isn't installed.</summary>
    public static void SkipUnlessInstalled()
    {
        bool isThere = NativeLibrary.TryLoad(Library, out nint handle);
        Assert.SkipUnless(isThere, $"There is no {Library} here (Debian's package libunicorn2): nothing to compare with.");
        NativeLibrary.Free(handle);
    }

    public uint ReadGeneral(int number) => Read(General[number]);

    public void WriteGeneral(int number, uint value) => Write(General[number], value);

    public uint ReadEip() => Read(Eip);

    public uint ReadEflags() => Read(Eflags);

    public void WriteEflags(uint value) => Write(Eflags, value);

    public ushort ReadSelector(SegmentName name) => (ushort)Read(Segments[(int)name]);

    /// <summary>Loads a segment register from the table in memory; the selector has to be a good one.</summary>
    public void WriteSelector(SegmentName name, ushort selector) => Write(Segments[(int)name], selector);

    /// <summary>
    /// Starts over, with GDTR at a test machine's table. Without it, an exception would be one too many after the last.
    /// </summary>
    public void Reset()
    {
        Check(RestoreContext(_engine, _fresh));
        var table = new TableRegister { Base = ProtectedMachine.Gdt, Limit = (ProtectedMachine.GdtEntries * 8) - 1 };
        Check(WriteRegister(_engine, Gdtr, &table));
    }

    /// <summary>Replaces code, and whatever was made of it.</summary>
    public void WriteCode(uint address, ReadOnlySpan<byte> code)
    {
        fixed (byte* bytes = code)
        {
            Check(WriteMemory(_engine, address, bytes, (nuint)code.Length));
            Check(Control(_engine, RemoveCache, address, address + (ulong)code.Length));
        }
    }

    /// <summary>Executes one instruction.</summary>
    /// <returns>False when Unicorn gave up without naming an exception.</returns>
    public bool Step(uint address)
    {
        const int invalidInstruction = 10;
        Vector = -1;
        int error = Start(_engine, address, until: uint.MaxValue, timeout: 0, count: 1);
        if (error == invalidInstruction)
        {
            Vector = ExceptionVector.InvalidOpcode;
        }

        return error == 0 || Vector >= 0;
    }

    public void Dispose()
    {
        _ = FreeContext(_fresh);
        _ = Close(_engine);
        NativeMemory.AlignedFree(_memory);
        _self.Free();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnInterrupt(nint engine, uint vector, nint self)
    {
        var processor = (UnicornProcessor)GCHandle.FromIntPtr(self).Target!;
        processor.Vector = (int)vector;
        _ = Stop(engine);
    }

    private static void Check(int error)
    {
        if (error != 0)
        {
            throw new InvalidOperationException($"Unicorn's error {error}.");
        }
    }

    private uint Read(int register)
    {
        ulong value = 0;
        Check(ReadRegister(_engine, register, &value));
        return (uint)value;
    }

    private void Write(int register, uint value)
    {
        ulong wide = value;
        Check(WriteRegister(_engine, register, &wide));
    }

    [LibraryImport(Library, EntryPoint = "uc_open")]
    private static partial int Open(int architecture, int mode, out nint engine);

    [LibraryImport(Library, EntryPoint = "uc_close")]
    private static partial int Close(nint engine);

    [LibraryImport(Library, EntryPoint = "uc_mem_map_ptr")]
    private static partial int MapMemory(nint engine, ulong address, nuint size, uint protection, void* memory);

    [LibraryImport(Library, EntryPoint = "uc_mem_write")]
    private static partial int WriteMemory(nint engine, ulong address, void* bytes, nuint size);

    [LibraryImport(Library, EntryPoint = "uc_reg_read")]
    private static partial int ReadRegister(nint engine, int register, void* value);

    [LibraryImport(Library, EntryPoint = "uc_reg_write")]
    private static partial int WriteRegister(nint engine, int register, void* value);

    [LibraryImport(Library, EntryPoint = "uc_context_alloc")]
    private static partial int AllocateContext(nint engine, out nint context);

    [LibraryImport(Library, EntryPoint = "uc_context_save")]
    private static partial int SaveContext(nint engine, nint context);

    [LibraryImport(Library, EntryPoint = "uc_context_restore")]
    private static partial int RestoreContext(nint engine, nint context);

    [LibraryImport(Library, EntryPoint = "uc_context_free")]
    private static partial int FreeContext(nint context);

    // The parameters of these two end in "...".
    [LibraryImport(Library, EntryPoint = "uc_ctl")]
    private static partial int Control(nint engine, int control, ulong begin, ulong end);

    [LibraryImport(Library, EntryPoint = "uc_hook_add")]
    private static partial int AddHook(
        nint engine,
        out nuint hook,
        int type,
        delegate* unmanaged[Cdecl]<nint, uint, nint, void> callback,
        nint data,
        ulong begin,
        ulong end);

    [LibraryImport(Library, EntryPoint = "uc_emu_start")]
    private static partial int Start(nint engine, ulong begin, ulong until, ulong timeout, nuint count);

    [LibraryImport(Library, EntryPoint = "uc_emu_stop")]
    private static partial int Stop(nint engine);

    /// <summary>uc_x86_mmr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct TableRegister
    {
        public ushort Selector;
        public ulong Base;
        public uint Limit;
        public uint Flags;
    }
}
