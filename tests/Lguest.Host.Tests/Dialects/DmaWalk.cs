using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a kernel of 2.6.23 does with a disk and a console: descriptors of 12 bytes, BIND_DMA and SEND_DMA.</summary>
public sealed class DmaWalk(DialectKernel kernel, WalkDevices devices) : IDeviceWalk
{
    private const uint ConsoleType = 1;
    private const uint BlockType = 3;
    private const int DescriptorBytes = 12;
    private const int StatusOffset = 4;
    private const int PageOffset = 8;
    private const uint DescriptorPage = 16;
    private const uint DescriptorsAt = Window + (DescriptorPage << 12);
    private const uint BlockPage = 20;
    private const uint BlockAt = Window + (BlockPage << 12);
    private const uint ConsoleKey = 0;

    // The disk's page.
    private const uint RequestType = 0;
    private const uint RequestSector = 4;
    private const uint RequestBytes = 8;
    private const uint RequestResult = 12;
    private const uint NumberOfSectors = 16;
    private const uint Read = 0;
    private const uint Write = 1;
    private const uint Done = 1;
    private const uint Failed = 2;

    private const uint Key = Variables + 0x80;
    private const uint Irq = Variables + 0x84;
    private const uint Written = Buffers + 0x1000;
    private const uint ReadBack = Buffers + 0x2000;
    private const uint Output = Buffers + 0x4000;
    private const uint Input = Buffers + 0x5000;

    // Structures of 100 bytes.
    private const uint Sent = Buffers;
    private const uint Reply = Buffers + 0x100;
    private const uint Nothing = Buffers + 0x200;
    private const uint Typed = Buffers + 0x300;
    private const uint LengthsOffset = 68;

    private readonly GuestCode _code = kernel.Code;
    private readonly Assembler _a = kernel.Code.A;

    public void Walk()
    {
        devices.FillBuffers(kernel.Guest, Written, Output);
        _code.Block(0);
        _code.SetInterrupts(true);

        _code.Step("the early console");
        List(Sent, (Output, 5), (Output + 5, 7));
        _code.Call(HypercallNumber.SendDma, ConsoleKey, Sent);
        _code.Note("the length that was taken", _code.Dword(Sent), 12);

        _code.Step("SEND_DMA to nobody");
        List(Sent, (Output, 5));
        _code.Call(HypercallNumber.SendDma, 0x4440, Sent);
        _code.Note("the length that was taken", _code.Dword(Sent), 0);

        _code.Step("the bus");
        _a.mov(eax, MemoryBytes | PresentWritable);
        _a.mov(_code.Dword(kernel.Guest.EntryOf(WindowTable, DescriptorPage)), eax);
        UseDisk();
        UseConsole();
        RefuseBindings();
    }

    public void Verify() => devices.Verify(kernel.Guest, Written, "hello, world");

    private void UseDisk()
    {
        _code.Step("the disk");
        Find(BlockType);
        _a.mov(eax, __dword_ptr[esi + PageOffset]);
        _a.shl(eax, 12);
        _a.mov(_code.Dword(Key), eax);
        _a.or(eax, (int)PresentWritable);
        _a.mov(_code.Dword(kernel.Guest.EntryOf(WindowTable, BlockPage)), eax);
        _code.Note("num_sectors", __dword_ptr[BlockAt + NumberOfSectors], WalkDevices.Sectors);
        Bind(Reply);
        _code.Note("what BIND_DMA returns", eax, 1);

        _code.Step("a write in two pieces");
        List(Reply, (ReadBack, 300), (ReadBack + 300, 212));
        List(Sent, (Written, 300), (Written + 300, 212));
        Request(Write, 4, Sent);
        _code.Note("the result", __dword_ptr[BlockAt + RequestResult], Done);

        _code.Step("a read in two pieces");
        List(Reply, (ReadBack, 300), (ReadBack + 300, 212));
        List(Nothing);
        Request(Read, 4, Nothing);
        _code.Note("the result", __dword_ptr[BlockAt + RequestResult], Done);
        _code.Note("the length", _code.Dword(Reply), WalkDevices.SectorBytes);
        _code.NoteSame(Written, ReadBack, WalkDevices.SectorBytes);

        _code.Step("a read beyond the end");
        List(Reply, (ReadBack, 512));
        Request(Read, WalkDevices.Sectors, Nothing);
        _code.Note("the result", __dword_ptr[BlockAt + RequestResult], Failed);
        _code.Step("the disk is let go");
        Unbind();
        _code.Note("what BIND_DMA returns", eax, 1);
        Unbind();
        _code.Note("what BIND_DMA returns the second time", eax, 0);
    }

    private void UseConsole()
    {
        _code.Step("input");
        Find(ConsoleType);
        _code.NoteBits("num_pages", __dword_ptr[esi + 4], 0xffff_0000, 0);
        List(Typed, (Input, 256));
        _a.mov(_code.Dword(Key), ConsoleKey);
        Bind(Typed);
        _code.Note("what BIND_DMA returns", eax, 1);
        SleepUntil(() => _a.cmp(_code.Dword(Typed), 0));
        _code.Note("the length", _code.Dword(Typed), 5);
        _code.Note("its beginning", _code.Dword(Input), 0x6570_7974);
    }

    /// <summary>An irq that there isn't, and more bindings than there may be.</summary>
    private void RefuseBindings()
    {
        const uint MostBindings = 32;
        _code.Step("bindings");
        _code.Call(HypercallNumber.BindDma, 0x4000, Reply, (1 << 8) | 32);
        _code.Note("of an irq that there isn't", eax, 0);

        // The console has one.
        for (uint i = 1; i <= MostBindings; i++)
        {
            _code.Call(HypercallNumber.BindDma, 0x4000 + (i * 4), Reply, (1 << 8) | 3);
            _code.Note($"number {i + 1}", eax, i < MostBindings ? 1u : 0);
        }
    }

    /// <summary>ESI: the device's descriptor. Its irq is one more than its number.</summary>
    private void Find(uint type)
    {
        Label again = _a.CreateLabel();
        Label found = _a.CreateLabel();
        _a.mov(esi, DescriptorsAt);
        _a.mov(ecx, 1);
        _a.Label(ref again);
        _a.cmp(__word_ptr[esi], (short)type);
        _a.je(found);
        _a.add(esi, DescriptorBytes);
        _a.inc(ecx);
        _a.jmp(again);
        _a.Label(ref found);
        _a.mov(_code.Dword(Irq), ecx);
        _a.mov(__word_ptr[esi + StatusOffset], 7);
    }

    /// <summary>Writes a list of pieces.</summary>
    private void List(uint where, params (uint Address, ushort Length)[] pieces)
    {
        _a.mov(_code.Dword(where), 0);
        for (uint i = 0; i < pieces.Length; i++)
        {
            _a.mov(_code.Dword(where + 4 + (i * 4)), pieces[i].Address);
            _a.mov(_code.Word(where + LengthsOffset + (i * 2)), pieces[i].Length);
        }

        _a.mov(_code.Word(where + LengthsOffset + ((uint)pieces.Length * 2)), 0);
    }

    /// <summary>Binds one list to the key, with the device's irq.</summary>
    private void Bind(uint list)
    {
        _a.mov(ecx, _code.Dword(Irq));
        _a.or(ecx, 1 << 8);
        CallWithKey(list);
    }

    private void Unbind()
    {
        _a.xor(ecx, ecx);
        CallWithKey(Reply);
    }

    private void CallWithKey(uint list)
    {
        _a.mov(eax, HypercallNumber.BindDma);
        _a.mov(edx, _code.Dword(Key));
        _a.mov(ebx, list);
        _a.@int(GuestCode.HypercallVector);
    }

    private void Request(uint type, uint sector, uint list)
    {
        _a.mov(__dword_ptr[BlockAt + RequestType], type);
        _a.mov(__dword_ptr[BlockAt + RequestSector], sector);
        _a.mov(__dword_ptr[BlockAt + RequestBytes], WalkDevices.SectorBytes);
        _a.mov(__dword_ptr[BlockAt + RequestResult], 0);
        _a.mov(eax, HypercallNumber.SendDma);
        _a.mov(edx, _code.Dword(Key));
        _a.mov(ebx, list);
        _a.@int(GuestCode.HypercallVector);
        SleepUntil(() => _a.cmp(__dword_ptr[BlockAt + RequestResult], 0));
    }

    private void SleepUntil(Action isNotZero)
    {
        Label again = _a.CreateLabel();
        Label done = _a.CreateLabel();
        _a.Label(ref again);
        _code.SetInterrupts(false);
        isNotZero();
        _a.jne(done);
        _code.Call(HypercallNumber.Halt);
        _a.jmp(again);
        _a.Label(ref done);
        _code.SetInterrupts(true);
    }
}
