using Lguest.Cpu;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Host.Traps;

/// <summary>
/// The guest's GDT, of which the host keeps a copy of its own: the guest may change it only by hypercall, and
/// nothing there can give it more privilege than its kernel has.
/// </summary>
/// <remarks>Hidden parts of segment registers stay as they are until the guest loads them again.</remarks>
public sealed class SegmentTable
{
    /// <summary>Descriptors in the table.</summary>
    public const int Entries = 32;

    /// <summary>The first of the thread-local entries.</summary>
    public const int FirstTls = 6;

    /// <summary>How many of them there are.</summary>
    public const int TlsEntries = 3;

    /// <summary>The kernel's code segment: entry 12, RPL 1.</summary>
    public const ushort KernelCode = (KernelCodeEntry << 3) | KernelPrivilege;

    /// <summary>The kernel's data and stack segment: entry 13, RPL 1.</summary>
    public const ushort KernelData = (KernelDataEntry << 3) | KernelPrivilege;

    /// <summary>The privilege level of a guest's kernel.</summary>
    public const int KernelPrivilege = 1;

    private const int KernelCodeEntry = 12;
    private const int KernelDataEntry = 13;
    private const int HostCodeEntry = 10;
    private const int HostDataEntry = 11;
    private const int TaskStateEntry = 16;
    private const int DoubleFaultTaskStateEntry = 31;

    private const ulong FlatKernelCode = 0x00cf_bb00_0000_ffff;
    private const ulong FlatKernelData = 0x00cf_b300_0000_ffff;
    private const int PrivilegeShift = 45;
    private const ulong PrivilegeMask = 3ul << PrivilegeShift;
    private const ulong Accessed = 1ul << 40;

    private readonly ulong[] _table = new ulong[Entries];

    /// <summary>Makes a table with nothing but flat code and data for the kernel.</summary>
    public SegmentTable()
    {
        _table[KernelCodeEntry] = FlatKernelCode;
        _table[KernelDataEntry] = FlatKernelData;
    }

    /// <summary>The descriptors, as the processor reads them.</summary>
    public ulong[] Table => _table;

    /// <summary>A copy of the descriptors.</summary>
    public IReadOnlyList<ulong> State
    {
        get => [.. _table];
        set
        {
            for (int i = 0; i < Entries; i++)
            {
                _table[i] = value[i];
            }
        }
    }

    /// <summary>The flat kernel segments of a guest that has just been started.</summary>
    public static SegmentRegister InitialSegment(bool code) => new()
    {
        Selector = code ? KernelCode : KernelData,
        Base = 0,
        Limit = uint.MaxValue,
        Access = AccessOf(code ? FlatKernelCode : FlatKernelData),
    };

    /// <summary>Takes descriptors from the guest, made harmless; entries that are the host's stay.</summary>
    /// <param name="first">The first entry to change.</param>
    /// <param name="descriptors">The new ones.</param>
    public void Load(int first, ReadOnlySpan<ulong> descriptors)
    {
        for (int i = 0; i < descriptors.Length; i++)
        {
            int entry = first + i;
            if (entry is not (HostCodeEntry or HostDataEntry or TaskStateEntry or DoubleFaultTaskStateEntry))
            {
                _table[entry] = Fix(descriptors[i]);
            }
        }
    }

    /// <summary>
    /// The guest leaves DPL 0 in descriptors that it means for its kernel. "Accessed" is set beforehand, so that
    /// nobody ever has to write it back.
    /// </summary>
    private static ulong Fix(ulong descriptor)
    {
        if ((descriptor & PrivilegeMask) == 0)
        {
            descriptor |= (ulong)KernelPrivilege << PrivilegeShift;
        }

        return descriptor | Accessed;
    }

    private static SegmentAccess AccessOf(ulong descriptor)
    {
        const uint AccessBits = 0x00f0_ff00;
        return (SegmentAccess)((uint)(descriptor >> 32) & AccessBits);
    }
}
