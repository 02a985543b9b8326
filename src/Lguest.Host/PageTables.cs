using Lguest.Cpu.Memory;

namespace Lguest.Host;

/// <summary>Page tables in words.</summary>
internal static class PageTables
{
    private const uint LargePage = 1 << 7;

    /// <summary>What is wrong with an entry that the page walk refused to use.</summary>
    public static string Describe(in PageTableViolation violation)
    {
        string kind = violation.Structure switch
        {
            PagingStructure.PageTable => "page table",
            PagingStructure.PageDirectory => "page directory",
            _ => "page-directory-pointer table",
        };
        string reason = violation.Structure == PagingStructure.PageDirectory && (violation.Entry & LargePage) != 0
            ? "is for a large page, which there isn't"
            : "names a page outside guest memory";
        return $"the {kind} entry 0x{violation.Entry:x8} at 0x{violation.EntryAddress:x8}, "
            + $"for address 0x{violation.Linear:x8}, {reason}";
    }
}
