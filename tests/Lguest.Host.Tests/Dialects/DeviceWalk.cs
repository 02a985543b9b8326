using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a kernel from 2.6.24 on does with a disk, a network card, a source of random bytes and a console, over the bus of its dialect.</summary>
public sealed class DeviceWalk(DialectKernel kernel, WalkDevices devices) : IDeviceWalk
{
    private const uint Sectors = WalkDevices.Sectors;
    private const int SectorBytes = WalkDevices.SectorBytes;
    private const uint FlushFeature = 1 << 9;

    private const uint ReadRequest = 0;
    private const uint WriteRequest = 1;
    private const uint FlushRequest = 4;
    private const uint NoRequest = 99;

    private const uint Written = Buffers + 0x1000;
    private const uint ReadBack = Buffers + 0x2000;
    private const uint Status = Buffers + 0x3000;
    private const uint Output = Buffers + 0x4000;
    private const uint Input = Buffers + 0x5000;
    private const uint Random = Buffers + 0x6000;
    private const uint SentFrame = Buffers + 0x7000;
    private const uint FirstFrame = Buffers + 0x8000;
    private const uint SecondFrame = Buffers + 0x9000;
    private const int SentBytes = 100;
    private const int TurnsOfRing = 600;
    private const uint MacFeature = 1 << 5;

    // Of the longest header, which says of how many buffers a frame is made.
    private const uint NumberOfBuffers = 10;
    private const uint LongestHeader = 12;

    private readonly GuestCode _code = kernel.Code;
    private readonly Assembler _a = kernel.Code.A;
    private readonly DeviceDriver _driver = DeviceDriver.Of(kernel);

    private readonly byte[][] _frames = [MakeFrame(60, 3), MakeFrame(1514, 7)];

    private uint HeaderBytes => (uint)kernel.Dialect.BlockHeader;

    private uint NetworkHeaderBytes => (uint)kernel.Dialect.NetworkHeader;

    public void Walk()
    {
        devices.FillBuffers(kernel.Guest, Written, Output);
        kernel.Guest.WriteText(Output + 0x100, "x");
        _code.Block(0);
        _code.SetInterrupts(true);
        _code.Step("the early console");
        _driver.PrintEarly("early ");
        _code.Step("the bus");
        _driver.Scan();
        UseDisk();
        UseEntropy();
        UseNetwork();
        UseConsole();
        TakeTwoInterrupts();
        UseDiskAgain();
    }

    public void Verify()
    {
        devices.Verify(kernel.Guest, Written, "early hello, world" + new string('x', TurnsOfRing));
        devices.VerifyFlush();
        devices.VerifyFrame(MakeFrame(SentBytes, 1));
        Assert.Equal(_frames[0], kernel.Guest.Bytes(FirstFrame + NetworkHeaderBytes, _frames[0].Length));
        Assert.Equal(_frames[1], kernel.Guest.Bytes(SecondFrame + NetworkHeaderBytes, _frames[1].Length));
    }

    /// <summary>Configuration, requests cut in every way, errors, and a driver that wants no interrupts.</summary>
    private void UseDisk()
    {
        _code.Step("the disk");
        RingDriver ring = _driver.Ring(0);
        _driver.Find(DeviceDriver.Block);
        _driver.SetUp(FlushFeature, ring);
        _driver.ReadConfiguration(0);
        _code.Note("capacity", eax, Sectors);
        _driver.ReadConfiguration(4);
        _code.Note("capacity, high", eax, 0);
        ClearInterrupts();

        _code.Step("a write in two pieces");
        WriteHeader(Buffers, WriteRequest, 4);
        ring.DescribeChain(0, (Buffers, HeaderBytes, false), (Written, 300, false), (Written + 300, 212, false), (Status, 1, true));
        ring.Do(0);
        NoteRequest(ring, 0, 1, 0);
        NoteInterrupts(ring, 1);
        _driver.NoteInterruptCause("the interrupt", 1);

        _code.Step("a read in three pieces, with a header in two");
        WriteHeader(Buffers, ReadRequest, 4);
        ring.DescribeChain(
            3, (Buffers, 5, false), (Buffers + 5, HeaderBytes - 5, false), (ReadBack, 1, true), (ReadBack + 1, 500, true), (ReadBack + 501, 11, true), (Status, 1, true));
        ring.Do(3);
        NoteRequest(ring, 3, SectorBytes + 1, 0);
        _code.NoteSame(Written, ReadBack, SectorBytes);

        _code.Step("a read beyond the end");
        WriteHeader(Buffers, ReadRequest, Sectors);
        ring.DescribeChain(9, (Buffers, HeaderBytes, false), (ReadBack, SectorBytes, true), (Status, 1, true));
        ring.Do(9);
        NoteStatus(1);

        _code.Step("a write beyond the end");
        WriteHeader(Buffers, WriteRequest, Sectors - 1);
        ring.DescribeChain(9, (Buffers, HeaderBytes, false), (Written, 2 * SectorBytes, false), (Status, 1, true));
        ring.Do(9);
        NoteStatus(1);

        _code.Step("an unknown request");
        WriteHeader(Buffers, NoRequest, 0);
        ring.DescribeChain(9, (Buffers, HeaderBytes, false), (Status, 1, true));
        ring.Do(9);
        NoteRequest(ring, 9, 1, 2);

        _code.Step("a flush");
        WriteHeader(Buffers, FlushRequest, 0);
        ring.Do(9);
        NoteRequest(ring, 9, 1, 0);

        _code.Step("two requests with one notice");
        WriteHeader(Buffers, ReadRequest, 4);
        ring.DescribeChain(9, (Buffers, HeaderBytes, false), (ReadBack, SectorBytes, true), (Status, 1, true));
        ring.DescribeChain(12, (Buffers, HeaderBytes, false), (ReadBack, SectorBytes, true), (Status + 1, 1, true));
        ring.Offer(9);
        ring.Offer(12);
        ring.Notify();
        ring.Sleep();
        ring.NoteUsedIndex("both", 8);

        _code.Step("no interrupts");
        _code.Spin();
        ClearInterrupts();
        ring.SetInterrupts(false);
        ring.Offer(9);
        ring.Notify();
        ring.Poll();
        _code.Spin();
        NoteInterrupts(ring, 0);
        ring.SetInterrupts(true);
    }

    private void UseEntropy()
    {
        _code.Step("random bytes");
        RingDriver ring = _driver.Ring(1);
        _driver.Find(DeviceDriver.Entropy);
        _driver.SetUp(0, ring);
        ring.DescribeChain(0, (Random, 40, true), (Random + 40, 24, true));
        ring.Do(0);
        ring.NoteUsed("what is given", 0, 1, 64);
        _a.mov(eax, _code.Dword(Random));
        _code.NoteRange("the first of them", eax, 1, uint.MaxValue);
    }

    /// <summary>A frame that goes and two that come, each behind the header of the era.</summary>
    private void UseNetwork()
    {
        kernel.Guest.Write(SentFrame + NetworkHeaderBytes, MakeFrame(SentBytes, 1));
        devices.Answer(_frames);
        _code.Step("the network card");
        RingDriver receive = _driver.Ring(4);
        RingDriver send = _driver.Ring(5);
        _driver.Find(DeviceDriver.Network);
        _driver.SetUp(MacFeature, receive, send);
        _driver.ReadConfiguration(0);
        _a.and(eax, 3);
        _code.Note("the address is one of nobody else's", eax, 2);

        _code.Step("a frame that goes, and is answered");
        receive.DescribeChain(0, (FirstFrame, NetworkHeaderBytes, true), (FirstFrame + NetworkHeaderBytes, 1514, true));
        receive.Offer(0);
        receive.Notify();
        send.DescribeChain(0, (SentFrame, NetworkHeaderBytes, false), (SentFrame + NetworkHeaderBytes, SentBytes, false));
        send.Do(0);
        send.NoteUsed("the frame", 0, 0);
        receive.Sleep();
        receive.NoteUsed("the answer", 0, NetworkHeaderBytes + 60);
        NoteNetworkHeader(FirstFrame);

        _code.Step("a second answer, which waited for room");
        receive.DescribeChain(2, (SecondFrame, NetworkHeaderBytes, true), (SecondFrame + NetworkHeaderBytes, 1514, true));
        receive.Do(2);
        receive.NoteUsed("the answer", 2, NetworkHeaderBytes + 1514);
        NoteNetworkHeader(SecondFrame);
    }

    private void NoteNetworkHeader(uint header)
    {
        _code.Note("flags, and how it is to be cut", _code.Dword(header), 0);
        _code.Note("sums", _code.Dword(header + 4), 0);
        if (NetworkHeaderBytes == LongestHeader)
        {
            _code.NoteBits("num_buffers", _code.Dword(header + NumberOfBuffers), 0xffff, 1);
        }
    }

    private static byte[] MakeFrame(int bytes, int step) => [.. Enumerable.Range(0, bytes).Select(i => (byte)(i * step))];

    private void UseConsole()
    {
        _code.Step("the console");
        RingDriver input = _driver.Ring(2);
        RingDriver output = _driver.Ring(3);
        _driver.Find(DeviceDriver.Console);
        _driver.SetUp(0, input, output);

        // The driver spins until its text is used, with interrupts off.
        _code.Step("output");
        output.DescribeChain(0, (Output, 5, false), (Output + 5, 7, false));
        output.Offer(0);
        _code.SetInterrupts(false);
        output.Notify();
        output.Poll();
        output.NoteUsed("the text", 0, 0);
        _code.SetInterrupts(true);

        _code.Step("input");
        input.DescribeChain(0, (Input, 4096, true));
        input.Do(0);
        input.NoteUsed("what was typed", 0, 5);
        _code.Note("its beginning", _code.Dword(Input), 0x6570_7974);

        // More text than the ring has room for, one by one.
        _code.Step("a ring that wraps");
        Label again = _a.CreateLabel();
        output.DescribeChain(1, (Output + 0x100, 1, false));
        _a.mov(_code.Dword(Buffers), TurnsOfRing);
        _a.Label(ref again);
        output.Offer(1);
        output.Notify();
        output.Poll();
        _a.dec(_code.Dword(Buffers));
        _a.jne(again);
        output.NoteUsedIndex("all", TurnsOfRing + 1);
        output.NoteUsed("the last", 1, 0);
    }

    /// <summary>The timer's interrupt comes before a device's, in whatever order they were raised.</summary>
    private void TakeTwoInterrupts()
    {
        _code.Step("two interrupts at once");
        RingDriver ring = _driver.Ring(1);
        _driver.Find(DeviceDriver.Entropy);
        _code.Spin();
        _code.SetInterrupts(false);
        ClearInterrupts();
        ring.Offer(0);
        ring.Notify();
        ring.Poll();
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        _code.SetInterrupts(true);
        _code.Spin();
        NoteInterrupts(ring, 1);
        _a.mov(eax, _code.Dword(TrapHandlers.Order));
        _a.sub(eax, _code.Dword(ring.Irq));
        _a.and(eax, 0xffff);

        // The last byte is the last vector.
        _code.Note("timer, device", eax, (32 << 8) | 32);
        _driver.NoteInterruptCause("the device's", 1);

        _code.Step("a blocked line does not wake");
        _code.SetInterrupts(false);
        ClearInterrupts();
        _a.mov(ecx, _code.Dword(ring.Irq));
        _a.mov(eax, 1);
        _a.shl(eax, cl);
        _a.mov(_code.Field(kernel.Dialect.Structure.BlockedInterrupts), eax);
        ring.Offer(0);
        ring.Notify();
        ring.Poll();
        _code.Call(HypercallNumber.SetClockEvent, 1_000_000);
        _code.Call(HypercallNumber.Halt);
        NoteInterrupts(ring, 0);
        _code.Note("timer interrupts", _code.Dword(TrapHandlers.Counts + (32 * 4)), 1);
        _code.Block(0);
        _code.Spin();
        NoteInterrupts(ring, 1);
    }

    /// <summary>A driver that is unloaded resets its device; the next one finds it as new. 2.6.24 has no reset.</summary>
    private void UseDiskAgain()
    {
        if (kernel.Dialect.Devices == DeviceKind.TypedFields)
        {
            return;
        }

        _code.Step("the disk after a reset");
        RingDriver ring = _driver.Ring(0);
        _driver.Find(DeviceDriver.Block);
        _driver.Reset(ring);
        _driver.SetUp(FlushFeature, ring);
        WriteHeader(Buffers, ReadRequest, 4);
        _a.mov(_code.Dword(ReadBack), 0);
        ring.DescribeChain(2, (Buffers, HeaderBytes, false), (ReadBack, SectorBytes, true), (Status, 1, true));
        ring.Do(2);
        ring.NoteUsedIndex("the first request", 1);
        NoteRequest(ring, 2, SectorBytes + 1, 0);
        _code.NoteSame(Written, ReadBack, SectorBytes);
    }

    private void WriteHeader(uint address, uint type, uint sector)
    {
        _a.mov(_code.Dword(address), type);
        _a.mov(_code.Dword(address + 4), 0);
        _a.mov(_code.Dword(address + 8), sector);
        _a.mov(_code.Dword(address + 12), 0);
        _a.mov(_code.Dword(Status), 0xee);
    }

    private void NoteRequest(RingDriver ring, uint head, uint length, uint status)
    {
        ring.NoteUsed("the request", head, length);
        NoteStatus(status);
    }

    private void NoteStatus(uint expected) => _code.NoteBits("its status", _code.Dword(Status), 0xff, expected);

    private void ClearInterrupts()
    {
        _a.mov(edi, _code.At(TrapHandlers.Counts));
        _a.mov(ecx, 256);
        _a.xor(eax, eax);
        _a.rep.stosd();
    }

    private void NoteInterrupts(RingDriver ring, uint expected)
    {
        _a.mov(ecx, _code.Dword(ring.Irq));
        _code.Note("interrupts", __dword_ptr[(ecx * 4) + _code.At(TrapHandlers.Counts + (32 * 4))], expected);
    }
}
