using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a driver does with a virtio device before it may use it, over one bus.</summary>
public abstract class DeviceDriver(DialectKernel kernel)
{
    public const uint Network = 1;
    public const uint Block = 2;
    public const uint Console = 3;
    public const uint Entropy = 4;

    protected const byte Acknowledged = 1;
    protected const byte HasDriver = 2;
    protected const byte DriverOk = 4;

    protected DialectKernel Kernel { get; } = kernel;

    protected GuestCode Code { get; } = kernel.Code;

    protected Assembler A { get; } = kernel.Code.A;

    /// <summary>The driver of a dialect's bus.</summary>
    public static DeviceDriver Of(DialectKernel kernel) =>
        kernel.Dialect.Devices == DeviceKind.Pci ? new PciDriver(kernel) : new LguestBusDriver(kernel);

    /// <summary>Prints before any device is found.</summary>
    public abstract void PrintEarly(string text);

    /// <summary>Finds the devices, or where they are described.</summary>
    public abstract void Scan();

    /// <summary>Takes the device of a type from here on.</summary>
    public abstract void Find(uint type);

    /// <summary>Resets it, agrees on features, sets its virtqueues up and says that the driver is ready.</summary>
    /// <param name="features">Those that the driver knows.</param>
    /// <param name="rings">Its virtqueues.</param>
    public abstract void SetUp(uint features, params ReadOnlySpan<RingDriver> rings);

    /// <summary>Resets it, and notes that it looks so.</summary>
    public abstract void Reset(params ReadOnlySpan<RingDriver> rings);

    /// <summary>Reads a dword of its configuration into EAX.</summary>
    public abstract void ReadConfiguration(uint offset);

    /// <summary>Notes the cause of the interrupt that came, if the bus has one.</summary>
    public abstract void NoteInterruptCause(string what, uint expected);

    /// <summary>A virtqueue that it notifies in its way.</summary>
    public RingDriver Ring(int number) => new(Code, number, Notify);

    protected abstract void Notify(RingDriver ring);

    /// <summary>Maps what is at the physical address in EAX, into the kernel's window. Nothing is told: the page was absent.</summary>
    protected void Map(uint windowPage, int pages)
    {
        A.or(eax, (int)PresentWritable);
        for (uint page = windowPage; page < windowPage + pages; page++)
        {
            A.mov(Code.Dword(Kernel.Guest.EntryOf(WindowTable, page)), eax);
            A.add(eax, 0x1000);
        }

        Code.Call(HypercallNumber.FlushTlb, 1);
    }
}
