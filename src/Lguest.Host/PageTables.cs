using Lguest.Cpu.Memory;

namespace Lguest.Host;

/// <summary>Page tables in words.</summary>
internal static class PageTables
{
    private const uint LargePage = 1 << 7;

    /// <summary>What is wrong with an entry that the page walk refused to use.</summary>
    public static string Describe(in PageTableViolation violation)
    {
        string kind = violation.IsDirectory ? "page directory" : "page table";
        string reason = violation.IsDirectory && (violation.Entry & LargePage) != 0
            ? "is for a 4 MiB page, which there isn't"
            : "names a page outside guest memory";
        return $"the {kind} entry 0x{violation.Entry:x8} at 0x{violation.EntryAddress:x8}, "
            + $"for address 0x{violation.Linear:x8}, {reason}";
    }
}
