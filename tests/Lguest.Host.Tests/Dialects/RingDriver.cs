using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>
/// The driver's end of one virtqueue, in assembly: a split ring, the same over each bus. Where its parts are, the driver of the bus has written into
/// variables.
/// </summary>
/// <param name="code">The kernel's main program.</param>
/// <param name="number">Which of the kernel's virtqueues it is, for its variables and its memory.</param>
/// <param name="notify">Tells the device of it.</param>
public sealed class RingDriver(GuestCode code, int number, Action<RingDriver> notify)
{
    public const int Next = 1;
    public const int DeviceWrites = 2;
    public const int Indirect = 4;

    private const uint BytesOfVariables = 32;

    private readonly Assembler _a = code.A;

    public int Number => number;

    // Linear addresses of its parts, and what else is known of it.
    public uint Descriptors => Variable(0);

    public uint Available => Variable(1);

    public uint Used => Variable(2);

    /// <summary>One less than its size, which is a power of two.</summary>
    public uint Mask => Variable(3);

    public uint Irq => Variable(4);

    /// <summary>What the notice says.</summary>
    public uint NoticeOf => Variable(5);

    /// <summary>Writes a descriptor.</summary>
    public void Describe(int index, uint address, uint length, int flags = 0, int next = 0)
    {
        _a.mov(edi, code.Dword(Descriptors));
        _a.mov(__dword_ptr[edi + (index * 16)], address);
        _a.mov(__dword_ptr[edi + (index * 16) + 4], 0);
        _a.mov(__dword_ptr[edi + (index * 16) + 8], length);
        _a.mov(__dword_ptr[edi + (index * 16) + 12], flags | (next << 16));
    }

    /// <summary>Writes a chain of descriptors, the first of which is its head.</summary>
    public void DescribeChain(int head, params (uint Address, uint Length, bool IsWritable)[] pieces)
    {
        for (int i = 0; i < pieces.Length; i++)
        {
            int flags = (pieces[i].IsWritable ? DeviceWrites : 0) | (i + 1 < pieces.Length ? Next : 0);
            Describe(head + i, pieces[i].Address, pieces[i].Length, flags, head + i + 1);
        }
    }

    /// <summary>Makes a chain available.</summary>
    public void Offer(int head, int forward = 1)
    {
        _a.mov(edi, code.Dword(Available));
        _a.movzx(eax, __word_ptr[edi + 2]);
        _a.mov(ecx, eax);
        _a.and(ecx, code.Dword(Mask));
        _a.mov(__word_ptr[edi + (ecx * 2) + 4], (short)head);
        _a.add(eax, forward);
        _a.mov(__word_ptr[edi + 2], ax);
    }

    public void Notify() => notify(this);

    /// <summary>Offers a chain and sleeps until the device has used all.</summary>
    public void Do(int head)
    {
        Offer(head);
        Notify();
        Sleep();
    }

    /// <summary>Whether the device interrupts.</summary>
    public void SetInterrupts(bool isEnabled)
    {
        _a.mov(edi, code.Dword(Available));
        _a.mov(__word_ptr[edi], (short)(isEnabled ? 0 : 1));
    }

    /// <summary>
    /// Sleeps until the device has used everything. Interrupts are off from the look at the ring to the sleep, or the one that matters could come
    /// between them. A device that forgets the kernel doesn't have it sleep for ever: there is a timer too, and an end to its patience.
    /// </summary>
    public void Sleep()
    {
        const uint Second = 1_000_000_000;
        const uint Patience = Variables + 0x90 + 0x40;
        const int Seconds = 10;
        _a.mov(code.Dword(Patience), Seconds);
        Label again = _a.CreateLabel();
        Label done = _a.CreateLabel();
        _a.Label(ref again);
        code.SetInterrupts(false);
        CompareUsedWithAvailable();
        _a.je(done);
        code.Call(HypercallNumber.SetClockEvent, Second);
        code.Call(HypercallNumber.Halt);
        _a.dec(code.Dword(Patience));
        _a.jne(again);
        _a.Label(ref done);
        code.SetInterrupts(true);
        _a.nop();
    }

    /// <summary>Looks until the device has used everything.</summary>
    public void Poll()
    {
        Label again = _a.CreateLabel();
        _a.Label(ref again);
        code.Call(HypercallNumber.FlushAsync);
        CompareUsedWithAvailable();
        _a.jne(again);
    }

    public void NoteUsedIndex(string what, uint expected)
    {
        _a.mov(edi, code.Dword(Used));
        _a.movzx(eax, __word_ptr[edi + 2]);
        code.Note(what + ": used.idx", eax, expected);
    }

    /// <summary>Notes what the device said of the last chain that it used.</summary>
    public void NoteUsed(string what, uint head, uint least, uint most)
    {
        _a.mov(edi, code.Dword(Used));
        _a.movzx(ecx, __word_ptr[edi + 2]);
        _a.dec(ecx);
        _a.and(ecx, code.Dword(Mask));
        _a.mov(ebx, __dword_ptr[edi + (ecx * 8) + 4]);
        code.Note(what + ": the head", ebx, head);
        _a.mov(ebx, __dword_ptr[edi + (ecx * 8) + 8]);
        code.NoteRange(what + ": the length", ebx, least, most);
    }

    public void NoteUsed(string what, uint head, uint length) => NoteUsed(what, head, length, length);

    private void CompareUsedWithAvailable()
    {
        _a.mov(edi, code.Dword(Used));
        _a.mov(ax, __word_ptr[edi + 2]);
        _a.mov(edi, code.Dword(Available));
        _a.cmp(ax, __word_ptr[edi + 2]);
    }

    private uint Variable(uint index) => Variables + 0x100 + ((uint)number * BytesOfVariables) + (index * 4);
}
