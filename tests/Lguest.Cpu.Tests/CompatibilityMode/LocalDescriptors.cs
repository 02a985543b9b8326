using System.Runtime.InteropServices;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// Segments of every kind that Linux lets a process have, by modify_ldt(2): they are in this process's LDT, and in our
/// processor's.
/// </summary>
internal static unsafe partial class LocalDescriptors
{
    private const int ModifyLdtCall = 154;
    private const int WriteEntry = 0x11;
    private const int DataContents = 0;
    private const int ExpandDownContents = 1;
    private const int CodeContents = 2;
    private const int ConformingContents = 3;
    private const int Pages = 0xF_FFFF;
    private const int Privilege = 3;

    private static uint DataBytes => LowMemory.DataPages * LowMemory.PageSize;

    private static readonly Entry[] Entries =
    [
        new("flat data", 0, Pages, DataContents, InPages: true),
        new("data at a base", LowMemory.Data, DataBytes - 1, DataContents),
        new("data with an odd base and limit", LowMemory.Data + 0x101, 0x7FE, DataContents),
        new("read-only data", LowMemory.Data, DataBytes - 1, DataContents, ReadOnly: true),
        new("16-bit data", LowMemory.Data, 0xFFFF, DataContents, Is32: false),
        new("16-bit data at an odd base", LowMemory.Data + 0x4021, 0x1000, DataContents, Is32: false),
        new("data that expands down", LowMemory.Data, 0xFFF, ExpandDownContents),
        new("16-bit data that expands down", LowMemory.Data, 0x3FFF, ExpandDownContents, Is32: false),
        new("data of one byte", LowMemory.Data + 0x800, 0, DataContents),
        new("absent data", LowMemory.Data, DataBytes - 1, DataContents, Present: false),
        new("code", LowMemory.Code, LowMemory.PageSize - 1, CodeContents),
        new("execute-only code", LowMemory.Code, LowMemory.PageSize - 1, CodeContents, ReadOnly: true),
        new("16-bit code", LowMemory.Code, 0xFFFF, CodeContents, Is32: false),
        new("flat code", 0, Pages, CodeContents, InPages: true),
        new("absent code", LowMemory.Code, LowMemory.PageSize - 1, CodeContents, Present: false),
        new("absent conforming code", LowMemory.Code, LowMemory.PageSize - 1, ConformingContents, Present: false),
        new("16-bit read-only data", LowMemory.Data + 0x800, 0x3FFF, DataContents, Is32: false, ReadOnly: true),
    ];

    /// <summary>Bytes of the table.</summary>
    public static int Length => Entries.Length * sizeof(ulong);

    /// <summary>Selectors of data that can be read and written, of 32 bits and of 16.</summary>
    public static ushort[] UsableData { get; } = [Selector(0), Selector(1), Selector(4), Selector(5), Selector(7)];

    /// <summary>
    /// Selectors that SS can begin with: those of data from <see cref="LowMemory.Data"/> on. Not of 16 bits: IRETQ would leave
    /// half of ESP as it was.
    /// </summary>
    public static ushort[] UsableStacks { get; } = [Selector(0), Selector(1)];

    /// <summary>Selectors of code: 32 bits at a base, 16 bits, flat.</summary>
    public static ushort[] UsableCode { get; } = [Selector(10), Selector(11), Selector(12), Selector(13)];

    /// <summary>All selectors, and one beyond them.</summary>
    public static ushort[] All { get; } = [.. Enumerable.Range(0, Entries.Length + 1).Select(Selector)];

    /// <summary>Whether the host has the table.</summary>
    public static bool IsInstalled { get; } = Install();

    /// <summary>The table as the processor reads it.</summary>
    public static byte[] Table { get; } = [.. Entries.SelectMany(entry => BitConverter.GetBytes(entry.Descriptor))];

    private static ushort Selector(int number) => (ushort)(number << 3 | 1 << 2 | Privilege);

    private static bool Install()
    {
        for (int i = 0; i < Entries.Length; i++)
        {
            UserDescriptor descriptor = Entries[i].ForLinux((uint)i);
            if (ModifyLdt(ModifyLdtCall, WriteEntry, &descriptor, (nuint)sizeof(UserDescriptor)) != 0)
            {
                return false;
            }
        }

        return true;
    }

    // glibc has no function for it.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint ModifyLdt(nint number, nint function, UserDescriptor* descriptor, nuint length);

    /// <summary>struct user_desc (asm/ldt.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct UserDescriptor
    {
        public uint Number;
        public uint Base;
        public uint Limit;
        public uint Bits;
    }

    private sealed record Entry(
        string Name, uint Base, uint Limit, int Contents, bool Is32 = true, bool ReadOnly = false, bool InPages = false, bool Present = true)
    {
        /// <summary>What Linux makes of it: at privilege 3, accessed, and with the bit that is left to software.</summary>
        public ulong Descriptor => TestDescriptor.Segment(
            Base, Limit, 0x10 | Contents << 2 | (ReadOnly ? 0 : 2) | TestDescriptor.Accessed, Privilege, Present, Is32, InPages)
            | 1ul << 52;

        public UserDescriptor ForLinux(uint number) => new()
        {
            Number = number,
            Base = Base,
            Limit = Limit,
            Bits = (Is32 ? 1u : 0) | (uint)Contents << 1 | (ReadOnly ? 1u << 3 : 0) | (InPages ? 1u << 4 : 0)
                | (Present ? 0 : 1u << 5) | 1u << 6,
        };
    }
}
