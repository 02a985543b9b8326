using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Host.Abi;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Virtio.VirtioGuest;

namespace Lguest.Host.Tests.Virtio;

/// <summary>Kernels at CPL 1 with page tables of three levels: what is remembered, and what makes the host forget it.</summary>
public sealed class PaeGuestTests
{
    private const uint First = 0x2_0000;
    private const uint Second = 0x2_1000;

    /// <summary>A second set of tables. The pointers are aligned as little as may be.</summary>
    private const uint OtherPointers = 0xf_4020;
    private const uint OtherLowerDirectory = 0xf_5000;
    private const uint OtherTable = 0xf_6000;
    private const uint UserPage = 0x5_0000;
    private const uint KernelPage = KernelAddress + UserPage;
    private const uint Entry = PageTable + ((UserPage >> 12) * 8);

    private const uint NewPageTable = 4;
    private const uint FlushTlb = 5;
    private const uint SetPmd = 13;
    private const uint SetPte = 14;
    private const uint SetPgd = 15;

    public static TheoryData<string, uint, string, uint, uint, uint, uint> Calls
    {
        get
        {
            var calls = new TheoryData<string, uint, string, uint, uint, uint, uint>();
            foreach (string abi in (string[])["3.1-pae", "4.0-pae", "4.1-pae", "4.10-pae"])
            {
                // Without a call that matters, the old page is seen.
                calls.Add(abi, UserPage, "entry", SetPte, PageDirectory, UserPage + 0x1000, 1);
                calls.Add(abi, UserPage, "entry", SetPte, PageDirectory, UserPage, 2);
                calls.Add(abi, UserPage, "entry", SetPte, OtherPointers, UserPage, 1);
                calls.Add(abi, KernelPage, "entry", SetPte, OtherPointers, KernelPage, 2);
                calls.Add(abi, UserPage, "entry", FlushTlb, 0, 0, 2);
                calls.Add(abi, KernelPage, "entry", FlushTlb, 0, 0, 1);
                calls.Add(abi, KernelPage, "entry", FlushTlb, 1, 0, 2);
                calls.Add(abi, UserPage, "directory", SetPmd, LowerDirectory, 0, 2);
                calls.Add(abi, KernelPage, "directory", SetPmd, LowerDirectory, 0, 2);
                calls.Add(abi, UserPage, "pointer", SetPte, PageDirectory, UserPage, 1);
                calls.Add(abi, UserPage, "pointer", SetPgd, PageDirectory, 0, 2);
                calls.Add(abi, UserPage, "pointer", SetPgd, OtherPointers, 0, 1);
                calls.Add(abi, UserPage, "entry", NewPageTable, PageDirectory, 0, 2);
                calls.Add(abi, KernelPage, "entry", NewPageTable, PageDirectory, 0, 1);
                calls.Add(abi, UserPage, "", NewPageTable, OtherPointers, 0, 2);
                calls.Add(abi, KernelPage, "", NewPageTable, OtherPointers, 0, 1);
            }

            return calls;
        }
    }

    /// <summary>Reads a page, changes tables, makes a call, and reads again.</summary>
    [Theory]
    [MemberData(nameof(Calls))]
    public void What_changes_is_seen_once_it_is_told(string abi, uint page, string changed, uint number, uint first, uint second, uint expected)
    {
        using VirtioGuest guest = Make(abi);
        guest.Kernel(a =>
        {
            Begin(a);
            a.mov(eax, __dword_ptr[page]);
            switch (changed)
            {
                case "entry":
                    a.mov(__dword_ptr[Entry], Second | 7);
                    break;
                case "directory":
                    a.mov(__dword_ptr[LowerDirectory], OtherTable | 7);
                    break;
                case "pointer":
                    a.mov(__dword_ptr[PageDirectory], OtherLowerDirectory | 1);
                    break;
                default:
                    break;
            }

            LaterHypercall(a, number, first, second);
            a.mov(eax, __dword_ptr[page]);
            a.mov(__dword_ptr[Scratch], eax);
            LaterHypercall(a, Shutdown, Strings, PowerOff);
        });
        guest.RunUntilPowerOff();
        Assert.Equal(expected, guest.Read(Scratch));
    }

    [Fact]
    public void Its_processor_says_that_it_has_three_levels()
    {
        using VirtioGuest guest = Make("3.1-pae");
        guest.Kernel(a =>
        {
            Begin(a);
            a.mov(eax, 1);
            a.cpuid();
            a.mov(__dword_ptr[Scratch], edx);
            LaterHypercall(a, Shutdown, Strings, PowerOff);
        });
        guest.RunUntilPowerOff();
        Assert.Equal(Cr4.Pae | Cr4.Osfxsr | Cr4.Osxmmexcpt, guest.Guest.Processor.ReadControlRegister(4));
        Assert.NotEqual(0u, guest.Read(Scratch) & (1 << 6));
    }

    [Theory]
    [InlineData(4u, 0x1u, "the page table entry 0x100020027 at")]
    [InlineData(4u, 0x8000_0000u, "trap 14")]
    public void A_page_that_cannot_be_ends_the_guest(uint half, uint value, string sentence)
    {
        using VirtioGuest guest = Make("3.1-pae");
        guest.Write(Entry, First | 0x27);
        guest.Write(Entry + half, value);
        guest.Kernel(a =>
        {
            Begin(a);
            a.mov(eax, __dword_ptr[UserPage]);
        });
        string said = guest.Run() switch
        {
            GuestOutcome.Killed killed => killed.Sentence,
            GuestOutcome.Died died => died.Sentence,
            _ => "nothing",
        };
        Assert.Contains(sentence, said, StringComparison.Ordinal);
    }

    [Fact]
    public void Pointers_outside_memory_end_the_guest()
    {
        using VirtioGuest guest = Make("3.1-pae");
        guest.Kernel(a =>
        {
            LaterHypercall(a, 1, Data);
            LaterHypercall(a, NewPageTable, 0xffff_ffe0);
        });
        Assert.Contains("the page directory at 0xffffffe0, 32 bytes, is outside guest memory", Assert.IsType<GuestOutcome.Killed>(guest.Run()).Sentence, StringComparison.Ordinal);
    }

    /// <summary>Until 3.0 the host begins with tables, and gives the kernel its own address at the first call.</summary>
    [Theory]
    [InlineData("2.6.31-pae")]
    [InlineData("2.6.34-pae")]
    public void The_first_call_maps_memory_at_the_kernels_address(string abi)
    {
        using VirtioGuest guest = Make(abi);
        guest.Write(Scratch, 0x1234_5678);
        guest.Kernel(a =>
        {
            Vmcall(a, 1, Data);
            a.mov(ecx, __dword_ptr[KernelAddress + Scratch]);
            a.mov(__dword_ptr[Scratch + 4], ecx);
            Vmcall(a, Shutdown, Strings, PowerOff);
        });
        guest.RunUntilPowerOff();
        Assert.Equal(0x1234_5678u, guest.Read(Scratch + 4));
        Assert.Equal(LowerDirectory | 1, guest.Read(PageDirectory + 24));
        Assert.Equal(2u << 20, guest.Read(LaterReservedMemory));
    }

    private static void Begin(Assembler a)
    {
        LaterHypercall(a, 1, Data);
        LaterHypercall(a, NewPageTable, PageDirectory);
    }

    private static VirtioGuest Make(string id)
    {
        var guest = new VirtioGuest(KnownAbis.All.Single(each => each.Id == id));
        guest.Write(First, 1);
        guest.Write(Second, 2);
        guest.Write(Entry, First | 7);
        if ((guest.Guest.Processor.ReadControlRegister(0) & Cr0.Pg) == 0)
        {
            guest.Write(PageDirectory + 24, LowerDirectory | 1);
        }

        // The same memory, but for the page.
        for (uint offset = 0; offset < 0x1000; offset += 4)
        {
            guest.Write(OtherTable + offset, guest.Read(PageTable + offset));
        }

        guest.Write(OtherTable + ((UserPage >> 12) * 8), Second | 7);
        guest.Write(OtherLowerDirectory, OtherTable | 7);
        guest.Write(OtherPointers, OtherLowerDirectory | 1);
        guest.Write(OtherPointers + 24, LowerDirectory | 1);
        return guest;
    }
}
