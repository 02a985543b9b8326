using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>
/// Notices about page tables. The guest has changed its own memory before it calls; nothing here ever writes a
/// table, or believes what the notice says of an entry.
/// </summary>
internal static class PageTableCalls
{
    /// <summary>The last entry of a directory maps the host's part of linear space.</summary>
    private const uint HostDirectoryIndex = 1023;

    /// <summary>Changes the address space. The directory is checked when it is used.</summary>
    public static uint? NewPageTable(HypercallContext context, in HypercallArguments arguments)
    {
        context.AddressSpace.Load(arguments.First);
        return null;
    }

    /// <summary>Forgets user translations, or (argument 1) all.</summary>
    public static uint? FlushTlb(HypercallContext context, in HypercallArguments arguments)
    {
        if (arguments.First == 0)
        {
            context.AddressSpace.FlushUser();
        }
        else
        {
            context.AddressSpace.FlushAll();
        }

        return null;
    }

    /// <summary>A page's mapping changed.</summary>
    public static uint? SetPte(HypercallContext context, in HypercallArguments arguments)
    {
        context.AddressSpace.FlushPage(arguments.First, arguments.Second);
        return null;
    }

    /// <summary>An entry of a page directory changed that isn't the topmost table, and nobody knows of which spaces it is.</summary>
    public static uint? SetLowerDirectory(HypercallContext context, in HypercallArguments arguments)
    {
        context.AddressSpace.FlushAll();
        return null;
    }

    /// <summary>An entry of the topmost table changed: of a page directory, or of what is above the directories.</summary>
    public static uint? SetTopEntry(HypercallContext context, in HypercallArguments arguments)
    {
        if (arguments.Second < HostDirectoryIndex)
        {
            context.AddressSpace.FlushDirectoryEntry(arguments.First, arguments.Second);
        }

        return null;
    }
}
