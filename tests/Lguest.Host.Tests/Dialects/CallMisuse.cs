using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>Hypercalls, queued calls, gates and page tables that can't be.</summary>
public static class CallMisuse
{
    private const uint Outside = 0xf000_0000;

    /// <summary>So near to the end of everything that a sum wraps.</summary>
    private const uint Wrapping = 0xffff_fffc;
    private const uint TaskGate = 5;

    /// <summary>All of it that a dialect knows.</summary>
    public static IEnumerable<Misuse> Of(Dialect dialect) =>
        [.. UnknownCalls(dialect), .. Initialisation(dialect), .. Pointers(dialect), .. Numbers(dialect), .. Notices(dialect), .. Tables(dialect)];

    private static IEnumerable<Misuse> UnknownCalls(Dialect dialect)
    {
        foreach (uint number in (uint[])[.. Enumerable.Range(2, 30).Select(each => (uint)each), 0x8000_0000, uint.MaxValue])
        {
            if (!dialect.Has(number))
            {
                yield return new($"hypercall {number}", k => k.Code.Call(number, Data, 1, 1), $"there is no hypercall {number}");
                yield return new($"hypercall {number}, queued", k => Queue(k, number), $"there is no hypercall {number}");
            }
        }

        // Any status but 0xff is that of a call that waits.
        yield return new(
            "a slot of the ring full of nonsense",
            k =>
            {
                for (uint i = 0; i < dialect.RingSlot.Count; i++)
                {
                    k.Code.A.mov(k.Code.Dword(Data + dialect.Structure.RingCalls + (i * 4)), 0x5555_5555);
                }

                k.Code.A.mov(k.Code.Byte(Data + dialect.Structure.RingStatus), 0x55);
                k.Code.Call(HypercallNumber.FlushAsync);
            },
            $"there is no hypercall {0x5555_5555}");
    }

    private static IEnumerable<Misuse> Initialisation(Dialect dialect)
    {
        yield return new("a second first call", k => k.Code.Call(HypercallNumber.Init, Data), "LGUEST_INIT");
        yield return new("another call before the first", k => Instead(k, code => code.Call(HypercallNumber.FlushAsync)), "before LGUEST_INIT");
        foreach (uint address in (uint[])[Outside, Wrapping])
        {
            yield return new($"lguest_data at 0x{address:x}", k => Instead(k, code => code.Call(HypercallNumber.Init, address)), $"0x{address:x8}");
        }

        if (dialect.Structure.SystemCallVector is uint vector && dialect.Structure.KernelAddress is uint kernelAddress)
        {
            yield return new(
                "another system call vector",
                k => Instead(k, code =>
                {
                    code.A.mov(code.Field(vector), 0x40);
                    code.Call(HypercallNumber.Init, Data);
                }),
                "0x40");
            yield return new(
                "a kernel in the host's part of linear space",
                k => Instead(k, code =>
                {
                    code.A.mov(code.Field(kernelAddress), 0xfff0_0000);
                    code.Call(HypercallNumber.Init, Data);
                }),
                "0xfff00000");
        }
    }

    /// <summary>Structures outside memory, for each argument that is a pointer.</summary>
    private static IEnumerable<Misuse> Pointers(Dialect dialect)
    {
        foreach (uint address in (uint[])[Outside, Wrapping])
        {
            string sentence = $"0x{address:x8}";
            yield return new($"SHUTDOWN with a text at 0x{address:x}", k => k.Code.Call(HypercallNumber.Shutdown, address, 1), sentence);
            if (dialect.ShutdownSaysRestart)
            {
                yield return new($"a restart with a text at 0x{address:x}", k => k.Code.Call(HypercallNumber.Shutdown, address, 2), null)
                {
                    Outcome = new GuestOutcome.Restart(),
                };
            }

            // The top table is looked at when it is used.
            uint table = address & ~0x1fu;
            yield return new($"page tables at 0x{table:x}", k => k.Code.Call(HypercallNumber.NewPageTable, table), "page directory");
            yield return new($"page tables at 0x{table:x}, queued", k => Queue(k, HypercallNumber.NewPageTable, table), "page directory");
            yield return new($"LOAD_TLS from 0x{address:x}", k => k.Code.Call(HypercallNumber.LoadTls, address), sentence);
            yield return new($"LOAD_TLS from 0x{address:x}, queued", k => Queue(k, HypercallNumber.LoadTls, address), sentence);
            if (dialect.Has(HypercallNumber.LoadGdt))
            {
                yield return new($"LOAD_GDT from 0x{address:x}", k => k.Code.Call(HypercallNumber.LoadGdt, address, 32), sentence);
            }

            if (dialect.Has(HypercallNumber.Notify))
            {
                yield return new($"NOTIFY of 0x{address:x}", k => k.Code.Call(HypercallNumber.Notify, address), sentence);
            }

            if (dialect.Has(HypercallNumber.BindDma))
            {
                yield return new($"SEND_DMA of a list at 0x{address:x}", k => k.Code.Call(HypercallNumber.SendDma, 0, address), sentence);
            }
        }
    }

    /// <summary>Indices, counts and selectors out of range.</summary>
    private static IEnumerable<Misuse> Numbers(Dialect dialect)
    {
        foreach (uint vector in (uint[])[256, 0x1000, uint.MaxValue])
        {
            yield return new(
                $"a gate for vector {vector}",
                k => k.Code.SetGate(vector, TrapHandlers.HandlerOf(0)),
                dialect.RefusesGatesBeyond ? $"no vector {vector}" : null);
        }

        yield return new("a task gate", k => k.Code.SetGate(13, TrapHandlers.HandlerOf(13), TaskGate), "0x5");
        yield return new("a task gate that isn't present", k => k.Code.Call(HypercallNumber.LoadIdtEntry, 13, 0, TaskGate << 8), null);
        yield return new("a stack at CPL 0", k => k.Code.Call(HypercallNumber.SetStack, KernelData & ~3u, 0, 1), "0x68");
        yield return new("a stack at CPL 3", k => k.Code.Call(HypercallNumber.SetStack, UserDataSelector, 0, 1), "0x7b");
        yield return new("a stack of three pages", k => k.Code.Call(HypercallNumber.SetStack, KernelData, 0, 3), "3 pages");
        if (dialect.Has(HypercallNumber.LoadGdt))
        {
            yield return new("a GDT of 33", k => k.Code.Call(HypercallNumber.LoadGdt, Gdt, 33), "33");
            yield return new("a GDT of 4 Gi", k => k.Code.Call(HypercallNumber.LoadGdt, Gdt, uint.MaxValue), $"{uint.MaxValue}");
        }

        if (dialect.Has(HypercallNumber.LoadGdtEntry))
        {
            yield return new("entry 32 of the GDT", k => k.Code.Call(HypercallNumber.LoadGdtEntry, 32), "32");
            yield return new("the last entry of 4 Gi of the GDT", k => k.Code.Call(HypercallNumber.LoadGdtEntry, uint.MaxValue), $"{uint.MaxValue}");
        }

        yield return new("a trap without a gate", k => k.Code.A.ud2(), "trap 6") { IsDeath = true };
        yield return new(
            "a trap whose gate was taken away",
            k =>
            {
                k.LoadGates();
                k.Code.Call(HypercallNumber.LoadIdtEntry, 6, 0, 0);
                k.Code.A.ud2();
            },
            "trap 6")
        {
            IsDeath = true,
        };
        yield return new(
            "a trap without a stack",
            k =>
            {
                k.Prepare();
                k.Code.A.mov(esp, Window + 0x10_0000);
                k.Code.A.ud2();
            },
            "trap 6")
        {
            IsDeath = true,
        };
        yield return new(
            "a user program's trap without a stack",
            k =>
            {
                uint entry = k.AddUserProgram(a => a.int3(), out _);
                k.Prepare();
                k.Code.Call(HypercallNumber.SetStack, KernelData, Window + 0x10_0000, 1);
                k.EnterUser(entry);
            },
            "trap 3")
        {
            IsDeath = true,
        };
    }

    /// <summary>Notices of things that there aren't: nothing is done about them, and nothing is looked at.</summary>
    private static IEnumerable<Misuse> Notices(Dialect dialect)
    {
        foreach (uint number in (uint[])[HypercallNumber.SetPte, HypercallNumber.SetDirectory])
        {
            foreach (uint address in (uint[])[Outside, Wrapping, 1])
            {
                yield return new(
                    $"hypercall {number} of tables at 0x{address:x}",
                    k =>
                    {
                        k.Code.Call(number, address, uint.MaxValue, uint.MaxValue, uint.MaxValue);
                        k.Code.Call(number, address, 1024, Outside);
                    },
                    null);
            }
        }

        if (dialect.HasPae)
        {
            yield return new("SET_PMD of nothing", k => k.Code.Call(HypercallNumber.SetPmd, Wrapping, uint.MaxValue), null);
        }

        yield return new(
            "odd times",
            k =>
            {
                foreach (uint time in (ReadOnlySpan<uint>)[1, 99, int.MaxValue, 0x8000_0000, uint.MaxValue])
                {
                    k.Code.Call(HypercallNumber.SetClockEvent, time);
                }
            },
            null);
    }

    /// <summary>Page tables that a walk finds, and that can't be.</summary>
    private static IEnumerable<Misuse> Tables(Dialect dialect)
    {
        // From 4.0 on there may be registers of devices at such an address; if there aren't, it is no table.
        string? outside = dialect.Devices == DeviceKind.Pci ? null : "0xf0000";
        yield return new(
            "a page outside memory",
            k =>
            {
                k.Code.A.mov(k.Code.Dword(k.Guest.EntryOf(WindowTable, 7)), Outside | PresentWritable);
                k.Code.A.mov(eax, AssemblerRegisters.__dword_ptr[Window + 0x7000]);
            },
            outside);
        yield return new(
            "a page outside memory that nobody uses",
            k => k.Code.A.mov(k.Code.Dword(k.Guest.EntryOf(WindowTable, 7)), Outside | PresentWritable),
            null);
        uint entry = Window + (4 << 20);
        yield return new(
            "a table outside memory",
            k =>
            {
                k.Code.A.mov(k.Code.Dword(DirectoryEntryOf(k, entry)), Outside | PresentWritable);
                k.Code.A.mov(eax, AssemblerRegisters.__dword_ptr[entry]);
            },
            outside ?? "trap 14")
        {
            IsDeath = outside is null,
        };
        yield return new(
            "a large page",
            k =>
            {
                k.Code.A.mov(k.Code.Dword(DirectoryEntryOf(k, entry)), 0x80 | PresentWritable);
                k.Code.A.mov(eax, AssemblerRegisters.__dword_ptr[entry]);
            },
            "large page");
    }

    private static uint DirectoryEntryOf(DialectKernel kernel, uint address) => kernel.Dialect.HasPae
        ? kernel.Guest.EntryOf(KernelDirectory, (address >> 21) & 0x1ff)
        : kernel.Guest.TopEntryOf(DialectGuest.Directory, address);

    private static void Queue(DialectKernel kernel, uint number, uint first = Data)
    {
        kernel.Code.Queue(number, first, 1, 1);
        kernel.Code.Call(HypercallNumber.FlushAsync);
    }

    /// <summary>Does something in place of the kernel's start.</summary>
    private static void Instead(DialectKernel kernel, Action<GuestCode> program)
    {
        uint offset = kernel.Dialect.FirstTables == FirstTables.Linear ? KernelAddress : 0;
        var code = new GuestCode(kernel.Dialect, kernel.Notes, offset);
        program(code);
        code.PowerOff();
        code.Assemble(kernel.Guest, Entry);
    }
}
