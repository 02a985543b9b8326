using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>The lguest bus of 2.6.24 to 3.19: a page of descriptors where RAM ends, rings behind it, and NOTIFY.</summary>
public sealed class LguestBusDriver(DialectKernel kernel) : DeviceDriver(kernel)
{
    private const uint DescriptorPage = 16;
    private const uint DescriptorsAt = Window + (DescriptorPage << 12);
    private const uint FirstRingPage = 32;
    private const uint PagesOfRing = 4;

    // 2.6.24: a header and fields, each of which has one too.
    private const int TypedHeader = 3;
    private const int FieldHeader = 2;
    private const int QueueField = 2;
    private const int FieldTaken = 0x80;

    // Later: a header, the virtqueues, offered and agreed features, the configuration.
    private const int FixedHeader = 5;
    private const int BytesOfQueue = 8;

    /// <summary>The linear address of the device's descriptor.</summary>
    private const uint Descriptor = Variables + 0x80;

    private bool IsTyped => Kernel.Dialect.Devices == DeviceKind.TypedFields;

    private int StatusOffset => IsTyped ? 2 : 4;

    public override void PrintEarly(string text)
    {
        const uint Text = Strings + 0x100;
        Kernel.Guest.WriteText(Text, text);
        Code.Call(HypercallNumber.Notify, Text);
    }

    public override void Scan()
    {
        A.mov(eax, MemoryBytes);
        Map(DescriptorPage, 1);
    }

    public override void Find(uint type)
    {
        Label again = A.CreateLabel();
        Label found = A.CreateLabel();
        A.mov(esi, DescriptorsAt);
        A.Label(ref again);
        A.movzx(eax, __byte_ptr[esi]);
        A.cmp(eax, (int)type);
        A.je(found);
        if (IsTyped)
        {
            A.movzx(ecx, __byte_ptr[esi + 1]);
            A.lea(esi, __[esi + ecx + TypedHeader]);
        }
        else
        {
            A.movzx(ecx, __byte_ptr[esi + 3]);
            A.movzx(edx, __byte_ptr[esi + 2]);
            A.lea(ecx, __[ecx + (edx * 2) + FixedHeader]);
            A.movzx(edx, __byte_ptr[esi + 1]);
            A.lea(ecx, __[ecx + (edx * BytesOfQueue)]);
            A.add(esi, ecx);
        }

        // None: the end of the list is of type 0.
        A.test(eax, eax);
        A.jne(again);
        A.ud2();
        A.Label(ref found);
        A.mov(Code.Dword(Descriptor), esi);
    }

    public override void SetUp(uint features, params ReadOnlySpan<RingDriver> rings)
    {
        if (!IsTyped)
        {
            Reset();
        }

        SetStatus(Acknowledged);
        SetStatus(Acknowledged | HasDriver);
        if (!IsTyped)
        {
            AgreeOn(features);
        }

        int queue = 0;
        foreach (RingDriver ring in rings)
        {
            FindQueue(queue++);
            MapRing(ring);
        }

        SetStatus(Acknowledged | HasDriver | DriverOk);
    }

    public override void Reset(params ReadOnlySpan<RingDriver> rings)
    {
        // In 2.6.25 it is for the host to clear the status.
        A.mov(esi, Code.Dword(Descriptor));
        if (Kernel.Dialect.StatusNotices != StatusNotices.Reset)
        {
            A.mov(__byte_ptr[esi + StatusOffset], 0);
        }

        NotifyDescriptor();
        A.mov(esi, Code.Dword(Descriptor));
        A.movzx(eax, __byte_ptr[esi + StatusOffset]);
        Code.Note("the status after a reset", eax, 0);
        foreach (RingDriver ring in rings)
        {
            NoteEmpty(ring);
        }
    }

    public override void ReadConfiguration(uint offset)
    {
        A.mov(esi, Code.Dword(Descriptor));
        if (IsTyped)
        {
            ReadTypedConfiguration(offset);
            return;
        }

        A.movzx(ecx, __byte_ptr[esi + 1]);
        A.movzx(edx, __byte_ptr[esi + 2]);
        A.lea(esi, __[esi + (ecx * BytesOfQueue) + FixedHeader]);
        A.lea(esi, __[esi + (edx * 2)]);
        A.mov(eax, __dword_ptr[esi + (int)offset]);
    }

    public override void NoteInterruptCause(string what, uint expected)
    {
    }

    protected override void Notify(RingDriver ring) => Code.CallWith(HypercallNumber.Notify, ring.NoticeOf);

    /// <summary>A disk's capacity and a network card's address are in fields of their own then, of the same type.</summary>
    private void ReadTypedConfiguration(uint offset)
    {
        const int CapacityOrAddress = 0x41;
        FindField(CapacityOrAddress);
        A.mov(eax, __dword_ptr[esi + FieldHeader + (int)offset]);
    }

    private void SetStatus(byte status)
    {
        A.mov(esi, Code.Dword(Descriptor));
        A.mov(__byte_ptr[esi + StatusOffset], status);
        if (Kernel.Dialect.StatusNotices == StatusNotices.All)
        {
            NotifyDescriptor();
        }
    }

    /// <summary>Reads what is offered, and writes what of it the driver knows.</summary>
    private void AgreeOn(uint features)
    {
        A.mov(esi, Code.Dword(Descriptor));
        A.movzx(ecx, __byte_ptr[esi + 1]);
        A.movzx(edx, __byte_ptr[esi + 2]);
        A.lea(esi, __[esi + (ecx * BytesOfQueue) + FixedHeader]);
        A.mov(eax, __dword_ptr[esi]);
        A.mov(ebx, eax);
        A.and(ebx, 7 << 28);
        Code.Note("features of the ring that the walk doesn't know", ebx, 0);
        A.and(eax, (int)features);
        A.mov(__dword_ptr[esi + edx], eax);
        if (Kernel.Dialect.StatusNotices == StatusNotices.ResetAndFeatures)
        {
            NotifyDescriptor();
        }
    }

    private void NotifyDescriptor()
    {
        A.mov(eax, Code.Dword(Descriptor));
        A.sub(eax, DescriptorsAt - MemoryBytes);
        A.mov(Code.Dword(Descriptor + 4), eax);
        Code.CallWith(HypercallNumber.Notify, Descriptor + 4);
    }

    /// <summary>Leaves in ESI where a virtqueue is described: its size, irq and page.</summary>
    private void FindQueue(int number)
    {
        A.mov(esi, Code.Dword(Descriptor));
        if (!IsTyped)
        {
            A.add(esi, FixedHeader + (number * BytesOfQueue));
            return;
        }

        // Fields are taken in their order.
        FindField(QueueField);
        A.or(__byte_ptr[esi], FieldTaken);
        A.add(esi, FieldHeader);
    }

    private void FindField(int type)
    {
        Label again = A.CreateLabel();
        Label found = A.CreateLabel();
        A.add(esi, TypedHeader);
        A.Label(ref again);
        A.movzx(eax, __byte_ptr[esi]);
        A.cmp(eax, type);
        A.je(found);
        A.movzx(ecx, __byte_ptr[esi + 1]);
        A.lea(esi, __[esi + ecx + FieldHeader]);
        A.jmp(again);
        A.Label(ref found);
        A.nop();
    }

    private void MapRing(RingDriver ring)
    {
        uint windowPage = FirstRingPage + ((uint)ring.Number * PagesOfRing);
        uint address = Window + (windowPage << 12);
        A.movzx(eax, __word_ptr[esi]);
        A.dec(eax);
        A.mov(Code.Dword(ring.Mask), eax);
        A.movzx(ecx, __word_ptr[esi + 2]);
        A.mov(Code.Dword(ring.Irq), ecx);
        A.mov(ebx, __dword_ptr[esi + 4]);
        A.shl(ebx, 12);
        A.mov(Code.Dword(ring.NoticeOf), ebx);
        A.lea(ecx, __[eax + 1]);
        A.and(eax, ecx);
        Code.Note($"size of virtqueue {ring.Number} is a power of two", eax, 0);

        // The used ring begins on the next page behind the available one.
        A.mov(Code.Dword(ring.Descriptors), address);
        A.mov(eax, ecx);
        A.shl(eax, 4);
        A.add(eax, (int)address);
        A.mov(Code.Dword(ring.Available), eax);
        A.lea(eax, __[eax + (ecx * 2) + 6 + 0xfff]);
        A.and(eax, -0x1000);
        A.mov(Code.Dword(ring.Used), eax);
        A.mov(eax, ebx);
        Map(windowPage, (int)PagesOfRing - 1);
        NoteEmpty(ring);
    }

    /// <summary>Drivers believe that rings are zero, and never clear them.</summary>
    private void NoteEmpty(RingDriver ring)
    {
        foreach ((string part, uint variable) in (ReadOnlySpan<(string, uint)>)[("avail", ring.Available), ("used", ring.Used)])
        {
            A.mov(edi, Code.Dword(variable));
            A.mov(eax, __dword_ptr[edi]);
            Code.Note($"{part}.flags and {part}.idx of virtqueue {ring.Number} after a reset", eax, 0);
        }
    }
}
