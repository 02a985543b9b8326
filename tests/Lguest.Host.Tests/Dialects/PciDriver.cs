using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>virtio 1.0 on PCI, as kernels of 4.0 to 4.13 use it: configuration mechanism 1, capabilities, registers in BAR 0.</summary>
public sealed class PciDriver(DialectKernel kernel) : DeviceDriver(kernel)
{
    private const ushort AddressPort = 0xcf8;
    private const ushort DataPort = 0xcfc;
    private const uint Enabled = 0x8000_0000;
    private const uint FirstDevice = Enabled | (1 << DeviceShift);
    private const int DeviceShift = 11;
    private const int LastDevice = 31;
    private const uint RedHat = 0x1af4;
    private const uint ModernDevice = 0x1040;

    // Types of capabilities.
    private const uint CommonCapability = 1;
    private const uint NotifyCapability = 2;
    private const uint InterruptCapability = 3;
    private const uint DeviceCapability = 4;
    private const uint AccessCapability = 5;
    private const uint Capabilities = 6;

    // Registers of the common configuration, from where its capability says.
    private const int FeatureSelect = 0;
    private const int Feature = 4;
    private const int GuestFeatureSelect = 8;
    private const int GuestFeature = 12;
    private const int DeviceStatus = 20;
    private const int QueueSelect = 22;
    private const int QueueSize = 24;
    private const int QueueEnable = 28;
    private const int QueueNotifyOffset = 30;
    private const int QueueDescriptors = 32;
    private const int QueueAvailable = 40;
    private const int QueueUsed = 48;

    private const byte FeaturesOk = 8;
    private const uint RegistersPage = 16;
    private const uint RegistersAt = Window + (RegistersPage << 12);
    private const int BytesOfRing = 0x1000;
    private const uint SizeOfRing = 16;
    private const uint AvailablePart = 0x400;
    private const uint UsedPart = 0x800;

    /// <summary>The device's address in configuration space.</summary>
    private const uint Device = Variables + 0x80;

    /// <summary>Offsets of its capabilities' structures in BAR 0 by their types, and where the capabilities themselves are.</summary>
    private const uint Offsets = Variables + 0x90;
    private const uint Places = Offsets + (Capabilities * 4);

    public override void PrintEarly(string text)
    {
        const int Bar = 4;
        const int Offset = 8;
        const int Length = 12;
        const int Data = 16;
        const int EmergencyWrite = 8;

        // The early console looks for its device in one place, and for a structure that isn't at 0.
        A.mov(Code.Dword(Device), FirstDevice);
        FindCapabilities();
        A.mov(eax, Code.Dword(Offsets + (DeviceCapability * 4)));
        Code.NoteRange("the console's configuration", eax, 1, 0xfff);
        foreach (char character in text)
        {
            A.mov(ebx, Code.Dword(Places + (AccessCapability * 4)));
            WriteAccess(Bar, a => a.mov(eax, 0), isByte: true);
            WriteAccess(Length, a => a.mov(eax, 4));
            WriteAccess(Offset, a =>
            {
                a.mov(eax, Code.Dword(Offsets + (DeviceCapability * 4)));
                a.add(eax, EmergencyWrite);
            });
            WriteAccess(Data, a => a.mov(eax, character));
        }
    }

    public override void Scan()
    {
        Code.Step("the host bridge");
        Select(a => a.mov(eax, Enabled | 8));
        A.@in(eax, dx);
        A.shr(eax, 16);
        Code.Note("its class", eax, 0x0600);
        Code.Step("a device that isn't there");
        Select(a => a.mov(eax, Enabled | (30 << DeviceShift)));
        A.@in(eax, dx);
        Code.Note("its id", eax, uint.MaxValue);
        Code.Step("another function");
        Select(a => a.mov(eax, FirstDevice | (1 << 8)));
        A.@in(eax, dx);
        Code.Note("its id", eax, uint.MaxValue);
        Code.Step("the first device");
        Select(a => a.mov(eax, FirstDevice));
        A.@in(eax, dx);
        Code.Note("it is the console", eax, ((ModernDevice + Console) << 16) | RedHat);
        A.mov(dx, (ushort)AddressPort);
        A.@in(eax, dx);
        Code.Note("the address register", eax, FirstDevice);
    }

    public override void Find(uint type)
    {
        Label again = A.CreateLabel();
        Label found = A.CreateLabel();
        A.mov(ebx, FirstDevice);
        A.Label(ref again);
        Select(a => a.mov(eax, ebx));
        A.@in(eax, dx);
        A.cmp(eax, ((ModernDevice + type) << 16) | RedHat);
        A.je(found);
        A.add(ebx, 1 << DeviceShift);
        A.cmp(ebx, Enabled | ((LastDevice + 1) << DeviceShift));
        A.jne(again);
        A.ud2();
        A.Label(ref found);
        A.mov(Code.Dword(Device), ebx);
        NoteHeader();
        FindCapabilities();
        MapRegisters();
    }

    public override void SetUp(uint features, params ReadOnlySpan<RingDriver> rings)
    {
        Reset();
        AddStatus(Acknowledged);
        AddStatus(HasDriver);
        AgreeOn(features);
        AddStatus(FeaturesOk);
        NoteStatus("with the features", Acknowledged | HasDriver | FeaturesOk);
        ushort queue = 0;
        foreach (RingDriver ring in rings)
        {
            SetUpQueue(ring, queue++);
        }

        NoteNoQueue();
        AddStatus(DriverOk);
        NoteStatus("when ready", Acknowledged | HasDriver | FeaturesOk | DriverOk);
    }

    public override void Reset(params ReadOnlySpan<RingDriver> rings)
    {
        Label again = A.CreateLabel();
        Common();
        A.mov(__byte_ptr[esi + DeviceStatus], 0);
        A.Label(ref again);
        A.cmp(__byte_ptr[esi + DeviceStatus], 0);
        A.jne(again);
        ushort queue = 0;
        foreach (RingDriver ring in rings)
        {
            A.mov(__word_ptr[esi + QueueSelect], queue++);
            A.movzx(eax, __word_ptr[esi + QueueEnable]);
            Code.Note($"whether virtqueue {ring.Number} is enabled after a reset", eax, 0);
        }
    }

    public override void ReadConfiguration(uint offset)
    {
        A.mov(esi, Code.Dword(Offsets + (DeviceCapability * 4)));
        A.mov(eax, __dword_ptr[esi + (int)offset]);
    }

    public override void NoteInterruptCause(string what, uint expected)
    {
        A.mov(esi, Code.Dword(Offsets + (InterruptCapability * 4)));
        A.movzx(eax, __byte_ptr[esi]);
        Code.Note(what + ": ISR", eax, expected);
        A.movzx(eax, __byte_ptr[esi]);
        Code.Note(what + ": ISR once it has been read", eax, 0);
    }

    /// <summary>The value is the virtqueue's number among the device's; the place is that of all.</summary>
    protected override void Notify(RingDriver ring)
    {
        A.mov(esi, Code.Dword(Offsets + (NotifyCapability * 4)));
        A.mov(eax, Code.Dword(ring.NoticeOf));
        A.mov(__word_ptr[esi], ax);
    }

    private void NoteHeader()
    {
        ReadDevice(0x04);
        A.shr(eax, 16);
        A.and(eax, 1 << 4);
        Code.Note("status: capabilities", eax, 1 << 4);
        ReadDevice(0x08);
        A.and(eax, 0xff);
        Code.Note("the revision", eax, 1);
        ReadDevice(0x0c);
        A.and(eax, 0xff_0000);
        Code.Note("the header's type", eax, 0);
        ReadDevice(0x3c);
        A.shr(eax, 8);
        A.and(eax, 0xff);
        Code.Note("the interrupt pin", eax, 0);

        // Memory and bus mastering on.
        ReadDevice(0x04);
        A.or(eax, 6);
        A.@out(dx, eax);
        ReadDevice(0x04);
        A.and(eax, 6);
        Code.Note("the command register", eax, 6);
    }

    /// <summary>Measures BAR 0, puts it back, and maps it; the offsets of its structures become linear addresses.</summary>
    private void MapRegisters()
    {
        ReadDevice(0x10);
        A.mov(ebx, eax);
        A.and(eax, 0xf);
        Code.Note("BAR 0 is 32 bits of memory", eax, 0);
        Code.NoteRange("BAR 0, above RAM", ebx, MemoryBytes, 0xffff_f000);
        A.mov(eax, -1);
        A.@out(dx, eax);
        A.@in(eax, dx);
        A.neg(eax);
        A.lea(ecx, __[eax - 1]);
        A.and(ecx, eax);
        Code.Note("BAR 0's size, a power of two", ecx, 0);
        A.dec(eax);
        A.and(eax, ebx);
        Code.Note("BAR 0's alignment", eax, 0);
        A.mov(eax, ebx);
        A.@out(dx, eax);
        Map(RegistersPage, 1);
        for (uint type = CommonCapability; type <= DeviceCapability; type++)
        {
            A.add(Code.Dword(Offsets + (type * 4)), RegistersAt);
        }
    }

    /// <summary>Follows the list of capabilities.</summary>
    private void FindCapabilities()
    {
        Label again = A.CreateLabel();
        Label done = A.CreateLabel();
        Label next = A.CreateLabel();
        for (uint i = 0; i < 2 * Capabilities; i++)
        {
            A.mov(Code.Dword(Offsets + (i * 4)), 0);
        }

        ReadDevice(0x34);
        A.movzx(ebx, al);
        A.Label(ref again);
        A.test(ebx, ebx);
        A.je(done);
        ReadDeviceAtEbx(0);
        A.mov(ecx, eax);
        A.cmp(cl, 9);
        A.jne(next);
        A.mov(edi, ecx);
        A.shr(edi, 24);
        A.mov(__dword_ptr[(edi * 4) + Code.At(Places)], ebx);
        ReadDeviceAtEbx(8);
        A.mov(__dword_ptr[(edi * 4) + Code.At(Offsets)], eax);
        A.Label(ref next);
        A.movzx(ebx, ch);
        A.jmp(again);
        A.Label(ref done);
        A.nop();
    }

    /// <summary>VIRTIO_F_VERSION_1 is bit 32: without it a driver gives up.</summary>
    private void AgreeOn(uint features)
    {
        Common();
        A.mov(__dword_ptr[esi + FeatureSelect], 0);
        A.mov(ebx, __dword_ptr[esi + Feature]);
        A.mov(__dword_ptr[esi + FeatureSelect], 1);
        A.mov(eax, __dword_ptr[esi + Feature]);
        A.and(eax, 1);
        Code.Note("VIRTIO_F_VERSION_1", eax, 1);
        A.mov(eax, ebx);
        A.and(eax, 7 << 28);
        Code.Note("features of the ring that the walk doesn't know", eax, 0);
        A.and(ebx, (int)features);
        A.mov(__dword_ptr[esi + GuestFeatureSelect], 0);
        A.mov(__dword_ptr[esi + GuestFeature], ebx);
        A.mov(__dword_ptr[esi + GuestFeatureSelect], 1);
        A.mov(__dword_ptr[esi + GuestFeature], 1);
    }

    /// <summary>A ring of 16 in a page of RAM, which the driver clears.</summary>
    private void SetUpQueue(RingDriver ring, ushort queue)
    {
        uint descriptors = Rings + (uint)(ring.Number * BytesOfRing);
        Common();
        A.mov(__word_ptr[esi + QueueSelect], queue);
        A.movzx(eax, __word_ptr[esi + QueueSize]);
        Code.NoteRange($"size of virtqueue {ring.Number}", eax, SizeOfRing, 1 << 15);
        A.movzx(eax, __word_ptr[esi + QueueEnable]);
        Code.Note($"whether virtqueue {ring.Number} is enabled before", eax, 0);
        A.movzx(eax, __word_ptr[esi + QueueNotifyOffset]);
        Code.Note($"virtqueue {ring.Number}'s place for notices", eax, 0);
        A.mov(__word_ptr[esi + QueueSize], (ushort)SizeOfRing);
        A.mov(edi, Linear(descriptors));
        A.mov(ecx, BytesOfRing / 4);
        A.xor(eax, eax);
        A.rep.stosd();
        foreach ((int register, uint variable, uint address) in (ReadOnlySpan<(int, uint, uint)>)[
            (QueueDescriptors, ring.Descriptors, descriptors),
            (QueueAvailable, ring.Available, descriptors + AvailablePart),
            (QueueUsed, ring.Used, descriptors + UsedPart)])
        {
            A.mov(__dword_ptr[esi + register], address);
            A.mov(__dword_ptr[esi + register + 4], 0);
            A.mov(Code.Dword(variable), Linear(address));
        }

        A.mov(__word_ptr[esi + QueueEnable], 1);
        A.mov(Code.Dword(ring.Mask), SizeOfRing - 1);
        A.mov(Code.Dword(ring.NoticeOf), queue);
        ReadDevice(0x3c);
        A.and(eax, 0xff);
        A.mov(Code.Dword(ring.Irq), eax);
    }

    private void NoteNoQueue()
    {
        Common();
        A.mov(__word_ptr[esi + QueueSelect], 100);
        A.movzx(eax, __word_ptr[esi + QueueSize]);
        Code.Note("size of a virtqueue that isn't there", eax, 0);
    }

    private void AddStatus(byte status)
    {
        Common();
        A.or(__byte_ptr[esi + DeviceStatus], status);
    }

    private void NoteStatus(string what, uint expected)
    {
        Common();
        A.movzx(eax, __byte_ptr[esi + DeviceStatus]);
        Code.Note("the status " + what, eax, expected);
    }

    /// <summary>ESI: the common configuration.</summary>
    private void Common() => A.mov(esi, Code.Dword(Offsets + (CommonCapability * 4)));

    /// <summary>Selects a register in configuration space, for the instruction that follows.</summary>
    private void Select(Action<Assembler> address)
    {
        address(A);
        A.mov(dx, (ushort)AddressPort);
        A.@out(dx, eax);
        A.mov(dx, (ushort)DataPort);
    }

    private void ReadDevice(int register)
    {
        Select(a =>
        {
            a.mov(eax, Code.Dword(Device));
            a.or(eax, register);
        });
        A.@in(eax, dx);
    }

    private void ReadDeviceAtEbx(int offset)
    {
        Select(a =>
        {
            a.mov(eax, Code.Dword(Device));
            a.lea(eax, __[eax + ebx + offset]);
        });
        A.@in(eax, dx);
    }

    /// <summary>Writes a field of the capability at EBX that gives access to a BAR.</summary>
    private void WriteAccess(int offset, Action<Assembler> value, bool isByte = false)
    {
        Select(a =>
        {
            a.mov(eax, Code.Dword(Device));
            a.lea(eax, __[eax + ebx + offset]);
        });
        value(A);
        if (isByte)
        {
            A.@out(dx, al);
        }
        else
        {
            A.@out(dx, eax);
        }
    }
}
