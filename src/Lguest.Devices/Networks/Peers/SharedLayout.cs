using Lguest.Host.Dma;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// What is where in a file in which guests meet. The first page is the guests' own, with their MAC addresses. Behind it,
/// where no guest can write, are a header, a directory of who receives on which key, and for each slot an area: a page
/// with its owner's bell and inboxes' keys, then the inboxes, each a page with the state of its entries and their data. Most
/// of it is never touched, and takes no room.
/// </summary>
internal static class SharedLayout
{
    /// <summary>Guests that can meet in one file: the directory has a bit for each in a word.</summary>
    public const int Slots = 64;

    /// <summary>Slots for MAC addresses on the first page. Other programs may use those that aren't for us.</summary>
    public const int AddressSlots = 682;

    /// <summary>Bytes of a MAC address.</summary>
    public const int AddressSize = 6;

    /// <summary>Bytes of a page.</summary>
    public const int PageSize = 4096;

    /// <summary>Bytes from one key to the next.</summary>
    public const int KeySize = 4;

    /// <summary>Inboxes of a guest: one for each binding that it can have.</summary>
    public const int Inboxes = DmaRouter.MostBindings;

    /// <summary>Entries of an inbox.</summary>
    public const int Entries = IPeerExchange.MostOffers;

    /// <summary>What the header says: that the file is one of these, of this version.</summary>
    public const ulong Magic = 0x0001_7465_6e68_6c67;

    /// <summary>The byte whose lock reserves guest id 0; others follow. The bytes before it reserve slots.</summary>
    public const long FirstIdLock = PageSize;

    /// <summary>The header: magic, then a word with a bit for each slot that is taken.</summary>
    public const long Header = PageSize;

    /// <summary>The directory: a word for each key, with a bit for each slot whose owner receives on it.</summary>
    public const long Directory = 2 * PageSize;

    /// <summary>Keys in the directory.</summary>
    public const int Keys = PageSize / KeySize;

    /// <summary>Bytes of an inbox.</summary>
    public const long InboxSize = PageSize + ((long)Entries * IPeerExchange.LongestMessage);

    /// <summary>Bytes of a slot's area.</summary>
    public const long AreaSize = PageSize + (Inboxes * InboxSize);

    /// <summary>Bytes of the file.</summary>
    public const long Length = FirstArea + (Slots * AreaSize);

    private const long FirstArea = Directory + (Keys * sizeof(ulong));

    /// <summary>Where a slot's area begins.</summary>
    public static long Area(int slot) => FirstArea + (slot * AreaSize);

    /// <summary>Where an inbox begins.</summary>
    public static long Inbox(int slot, int inbox) => Area(slot) + PageSize + (inbox * InboxSize);
}
