using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>What the host forgets, and when: a stale translation is the guest reading the wrong page.</summary>
public sealed class PageTableTests : IDisposable
{
    private const uint First = 0x2_0000;
    private const uint Second = 0x2_1000;
    private const uint UserPage = UserCodeLinear + 0x5000;
    private const uint UserEntry = UserTable + 20;
    private const uint KernelPage = PageOffset + 0x30_0000;
    private const uint KernelEntry = KernelTable + (0x300 * 4);
    private const uint OtherDirectory = 0x2_2000;
    private const uint Flags = 7;

    private readonly RingOneGuest _guest = new();

    public PageTableTests()
    {
        _guest.Write(First, 1);
        _guest.Write(Second, 2);
        _guest.Write(UserEntry, First | Flags);
        _guest.Write(KernelEntry, First | Flags);
    }

    public void Dispose() => _guest.Dispose();

    /// <summary>Reads a page, changes its entry to another one, makes a hypercall, and reads again.</summary>
    private uint ReadAfter(uint page, uint entry, uint number, uint first = 0, uint second = 0, uint third = 0)
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(eax, __dword_ptr[page]);
            a.mov(__dword_ptr[Linear(entry)], Second | Flags);
            a.Hypercall(number, first, second, third);
            a.mov(eax, __dword_ptr[page]);
            a.Note(eax);
            a.PowerOff();
        });
        _guest.RunUntilPowerOff();
        return _guest.Read(Scratch);
    }

    /// <summary>Makes a second directory, and has the accessed bits of both be what the walks of the kernel will make them.</summary>
    private void CopyDirectory()
    {
        const uint accessed = 0x20;
        const uint entries = 1024;
        for (uint i = 0; i < entries; i++)
        {
            uint entry = _guest.Read(PageDirectory + (i * 4));
            entry |= entry != 0 ? accessed : 0;
            _guest.Write(PageDirectory + (i * 4), entry);
            _guest.Write(OtherDirectory + (i * 4), entry);
        }
    }

    [Fact]
    public void A_new_page_table_forgets_user_pages_even_when_it_is_the_same() =>
        Assert.Equal(2u, ReadAfter(UserPage, UserEntry, KernelAssembly.NewPageTable, PageDirectory));

    [Theory]
    [InlineData(PageDirectory)]
    [InlineData(OtherDirectory)]
    public void A_page_table_with_the_same_kernel_keeps_kernel_pages(uint directory)
    {
        CopyDirectory();
        Assert.Equal(1u, ReadAfter(KernelPage, KernelEntry, KernelAssembly.NewPageTable, directory));
    }

    [Theory]
    [InlineData(768u)]
    [InlineData(1023u)]
    public void A_page_table_with_another_kernel_forgets_kernel_pages(uint index)
    {
        CopyDirectory();
        const uint accessed = 0x20;
        uint entry = OtherDirectory + (index * 4);
        _guest.Write(entry, _guest.Read(entry) ^ accessed);
        Assert.Equal(2u, ReadAfter(KernelPage, KernelEntry, KernelAssembly.NewPageTable, OtherDirectory));
    }

    [Fact]
    public void Flushing_the_users_part_forgets_user_pages() =>
        Assert.Equal(2u, ReadAfter(UserPage, UserEntry, KernelAssembly.FlushTlb, 0));

    [Fact]
    public void Flushing_everything_forgets_user_pages() =>
        Assert.Equal(2u, ReadAfter(UserPage, UserEntry, KernelAssembly.FlushTlb, 1));

    [Fact]
    public void Flushing_everything_forgets_kernel_pages() =>
        Assert.Equal(2u, ReadAfter(KernelPage, KernelEntry, KernelAssembly.FlushTlb, 1));

    [Fact]
    public void A_changed_user_page_of_this_space_is_forgotten() =>
        Assert.Equal(2u, ReadAfter(UserPage, UserEntry, KernelAssembly.SetPte, PageDirectory, UserPage, 0));

    [Fact]
    public void A_changed_kernel_page_is_forgotten_whatever_the_space() =>
        Assert.Equal(2u, ReadAfter(KernelPage, KernelEntry, KernelAssembly.SetPte, 0x7000, KernelPage, 0xffff_ffff));

    [Fact]
    public void A_changed_directory_entry_of_this_space_is_forgotten() =>
        Assert.Equal(2u, ReadAfter(UserPage, UserEntry, KernelAssembly.SetPmd, PageDirectory, UserPage >> 22));

    [Fact]
    public void A_changed_kernel_directory_entry_is_forgotten_whatever_the_space() =>
        Assert.Equal(2u, ReadAfter(KernelPage, KernelEntry, KernelAssembly.SetPmd, 0x7000, KernelPage >> 22));

    [Theory]
    [InlineData(1023u)]
    [InlineData(1024u)]
    [InlineData(uint.MaxValue)]
    public void The_hosts_directory_entry_is_no_business_of_the_guest(uint index)
    {
        ReadAfter(UserPage, UserEntry, KernelAssembly.SetPmd, PageDirectory, index);

        Assert.Equal(0u, _guest.Read(PageDirectory + (1023 * 4)));
    }

    [Fact]
    public void Set_pte_never_writes_a_table()
    {
        ReadAfter(UserPage, UserEntry, KernelAssembly.SetPte, PageDirectory, UserPage, 0);

        Assert.Equal(Second | Flags | 0x20, _guest.Read(UserEntry));
    }

    [Fact]
    public void Set_pte_may_say_anything_of_a_page_that_is_not_present()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.SetPte, PageDirectory, 0x1234_5000, 0xdead_bee0);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();
    }

    [Fact]
    public void A_write_after_a_flush_sets_the_dirty_bit_again()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(__dword_ptr[UserPage], 5);
            a.mov(__dword_ptr[Linear(UserEntry)], First | Flags);
            a.Hypercall(KernelAssembly.SetPte, PageDirectory, UserPage, First | Flags);
            a.mov(__dword_ptr[UserPage], 6);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(First | Flags | 0x60, _guest.Read(UserEntry));
    }

    [Fact]
    public void A_directory_outside_memory_kills_when_it_is_used()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.NewPageTable, 0x0800_0000);
            a.PowerOff();
        });

        Assert.StartsWith(
            "the page directory at 0x08000000, 4096 bytes, is outside guest memory (EIP 0xc00010", _guest.RunUntilKilled());
    }

    [Fact]
    public void A_directory_outside_memory_that_is_never_used_is_none_of_the_hosts_business()
    {
        _guest.Queue(0, KernelAssembly.NewPageTable, 0x0800_0000);
        _guest.Queue(1, KernelAssembly.NewPageTable, PageDirectory);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();
    }

    [Fact]
    public void A_present_entry_with_a_frame_outside_memory_kills()
    {
        _guest.Write(UserEntry, 0x0900_0007);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(eax, __dword_ptr[UserPage]);
        });

        Assert.StartsWith(
            "the page table entry 0x09000007 at 0x000f2014, for address 0x00405000, names a page outside guest memory (EIP",
            _guest.RunUntilKilled());
    }

    [Fact]
    public void A_present_directory_entry_for_a_large_page_kills()
    {
        _guest.Write(PageDirectory + 8, 0x87);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(eax, __dword_ptr[0x0080_0000]);
        });

        Assert.StartsWith(
            "the page directory entry 0x00000087 at 0x000f0008, for address 0x00800000, is for a large page, which there isn't (EIP",
            _guest.RunUntilKilled());
    }

    [Fact]
    public void An_entry_that_is_not_present_may_hold_anything()
    {
        _guest.Write(UserEntry, 0xffff_fffe);
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(14, handler);
            a.mov(eax, __dword_ptr[UserPage]);
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(UserPage, _guest.Read(FaultAddress));
    }
}
