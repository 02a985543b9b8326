using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>Descriptors that the guest hands over, and when they begin to count.</summary>
public sealed class SegmentTests : IDisposable
{
    private const uint Table = DmaArea;
    private const uint First = 0x2_0000;
    private const uint Second = 0x2_1000;
    private const ushort TlsSelector = (7 << 3) | 3;

    private readonly RingOneGuest _guest = new();

    public SegmentTests()
    {
        _guest.Write(First, 1);
        _guest.Write(Second, 2);
    }

    public void Dispose() => _guest.Dispose();

    [Fact]
    public void Thread_local_descriptors_count_when_a_segment_is_loaded_again()
    {
        WriteFlat(Table + 8, Linear(First));
        WriteFlat(Table + 32, Linear(Second));
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.LoadTls, Table);
            a.mov(eax, (uint)TlsSelector);
            a.mov(gs, eax);
            a.mov(esi, __dword_ptr.gs[0]);
            a.Note(esi, 0);
            a.Hypercall(KernelAssembly.LoadTls, Table + 24);
            a.mov(esi, __dword_ptr.gs[0]);
            a.Note(esi, 1);
            a.mov(eax, (uint)TlsSelector);
            a.mov(gs, eax);
            a.mov(esi, __dword_ptr.gs[0]);
            a.Note(esi, 2);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        uint[] seen = [_guest.Read(Scratch), _guest.Read(Scratch + 4), _guest.Read(Scratch + 8)];
        Assert.Equal([1u, 1, 2], seen);
    }

    [Fact]
    public void The_gdt_is_copied_when_the_guest_says_so_and_not_later()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(13, handler);
            a.Hypercall(KernelAssembly.LoadGdt, Gdt, 32);
            a.mov(__dword_ptr[Linear(Gdt) + (15 * 8) + 4], 0);
            a.mov(eax, (uint)UserDataSelector);
            a.mov(es, eax);
            a.mov(eax, es);
            a.Note(eax, 1);
            a.Hypercall(KernelAssembly.LoadGdt, Gdt, 32);
            a.mov(eax, (uint)UserDataSelector);
            a.mov(es, eax);
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(UserDataSelector, _guest.Read(Scratch + 4));
        Assert.Equal(15u * 8, _guest.Read(_guest.Read(Scratch) - PageOffset));
    }

    [Fact]
    public void A_shorter_gdt_leaves_the_entries_beyond_it()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.LoadGdt, Gdt, 14);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        IReadOnlyList<ulong> segments = _guest.Guest.State.Segments;
        Assert.Equal(0x00cf_b300_0000_fffful, segments[13]);
        Assert.Equal(0ul, segments[14]);
    }

    [Fact]
    public void Task_switched_is_set_and_cleared()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.TaskSwitched, 5);
            a.smsw(eax);
            a.Note(eax, 0);
            a.Hypercall(KernelAssembly.TaskSwitched, 0);
            a.smsw(eax);
            a.Note(eax, 1);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0x8005_003bu, _guest.Read(Scratch));
        Assert.Equal(0x8005_0033u, _guest.Read(Scratch + 4));
    }

    private void WriteFlat(uint address, uint start)
    {
        ulong descriptor = 0x00cf_f200_0000_fffful
            | ((ulong)(start & 0xff_ffff) << 16) | ((ulong)(start >> 24) << 56);
        _guest.Write(address, (uint)descriptor);
        _guest.Write(address + 4, (uint)(descriptor >> 32));
    }
}
