using Lguest.Cpu.Memory;
using Lguest.Host.Virtio;
using static Lguest.Host.Virtio.VirtioStatus;

namespace Lguest.Host.Pci;

/// <summary>
/// A virtio device as a function on a PCI bus (virtio 1.0, 4.1): its registers are in the memory of BAR 0, and capabilities say where. It
/// interrupts by its line.
/// </summary>
/// <remarks>
/// The host chooses the address in BAR 0. What software writes there can be read back, which tells the region's size, but the region stays.
/// No notice counts before the driver has said that it is ready. It is served right after the instruction that gave it.
/// </remarks>
internal sealed class VirtioPciFunction : IPciFunction, IMemoryMappedDevice
{
    /// <summary>Bytes of BAR 0: each device has a page of its own.</summary>
    public const uint RegionSize = PhysicalMemory.PageSize;

    /// <summary>Descriptors of each virtqueue, unless the driver wants fewer.</summary>
    public const int QueueSize = 256;

    private const ushort Vendor = 0x1af4;
    private const int FirstDeviceId = 0x1040;
    private const ushort Subsystem = 0x40;
    private const ushort CommandWritable = 0x0407;
    private const ushort StatusCapabilities = 0x10;

    // Places in configuration space.
    private const int Command = 0x04;
    private const int Status = 0x06;
    private const int Revision = 0x08;
    private const int Bar0 = 0x10;
    private const int SubsystemId = 0x2e;
    private const int FirstCapability = 0x34;
    private const int InterruptLine = 0x3c;
    private const byte CommonCapability = 0x40;
    private const byte NotifyCapability = 0x50;
    private const byte IsrCapability = 0x64;
    private const byte DeviceCapability = 0x74;
    private const byte AccessCapability = 0x84;
    private const int AccessBar = AccessCapability + 4;
    private const int AccessOffset = AccessCapability + 8;
    private const int AccessLength = AccessCapability + 12;
    private const int AccessData = AccessCapability + 16;
    private const byte VendorSpecific = 9;

    // Registers.
    private const int DeviceFeatureSelect = 0;
    private const int DeviceFeature = 4;
    private const int DriverFeatureSelect = 8;
    private const int DriverFeature = 12;
    private const int MsixVector = 16;
    private const int QueueCount = 18;
    private const int DeviceStatus = 20;
    private const int QueueSelect = 22;
    private const int SelectedSize = 24;
    private const int SelectedVector = 26;
    private const int SelectedEnable = 28;
    private const int SelectedAddresses = 32;
    private const int EndOfAddresses = 56;
    private const int CommonSize = 56;
    private const int Notify = 56;
    private const int Isr = 58;
    private const int DeviceRegisters = 60;

    private const ushort NoVector = 0xffff;
    private const uint Version1 = 1;
    private const byte QueueInterrupt = 1;
    private const byte ConfigurationInterrupt = 2;

    private readonly IVirtioDevice _device;
    private readonly GuestMemory _memory;
    private readonly Action _raise;
    private readonly Action _stop;
    private readonly Virtqueue[] _queues;
    private readonly QueueRegisters[] _registers;
    private readonly PciConfigurationSpace _space = new();
    private readonly uint[] _driverFeatures = new uint[2];
    private uint _deviceFeatureSelect;
    private uint _driverFeatureSelect;
    private ushort _queueSelect;
    private byte _status;
    private byte _isr;
    private uint _notified;

    /// <summary>Makes the function of a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="region">Physical address of its registers.</param>
    /// <param name="irq">Its line.</param>
    /// <param name="memory">Guest memory.</param>
    /// <param name="raise">Raises the line.</param>
    /// <param name="stop">Makes the processor stop soon, so that <see cref="Service"/> is called.</param>
    public VirtioPciFunction(IVirtioDevice device, uint region, int irq, GuestMemory memory, Action raise, Action stop)
    {
        _device = device;
        _memory = memory;
        _raise = raise;
        _stop = stop;
        _queues = new Virtqueue[device.Identity.Queues];
        for (int i = 0; i < _queues.Length; i++)
        {
            _queues[i] = new Virtqueue(new SplitRing(memory, QueueSize), () => Interrupt(QueueInterrupt));
        }

        _registers = [.. _queues.Select(_ => new QueueRegisters())];
        Describe(region, irq);
    }

    /// <summary>The device's virtqueues.</summary>
    public Virtqueue[] Queues => _queues;

    /// <summary>The features, of the first 32, that the driver has agreed on.</summary>
    public uint AgreedFeatures => (_status & FeaturesAgreed) != 0 ? _driverFeatures[0] : 0;

    /// <summary>All that must survive in a saved state, but for how far the rings are.</summary>
    public VirtioPciState State
    {
        get => new(
            _space.Contents.ToArray(),
            [.. _driverFeatures],
            _deviceFeatureSelect,
            _driverFeatureSelect,
            _queueSelect,
            _status,
            _isr,
            _notified,
            [.. _registers.Select(registers => new VirtioPciQueueState(registers.Size, registers.IsEnabled, [.. registers.Addresses]))]);
        set
        {
            _space.Contents = value.Configuration;
            value.DriverFeatures.CopyTo(_driverFeatures, 0);
            _deviceFeatureSelect = value.DeviceFeatureSelect;
            _driverFeatureSelect = value.DriverFeatureSelect;
            _queueSelect = value.QueueSelect;
            _isr = value.Isr;
            _notified = value.Notified;
            for (int i = 0; i < _registers.Length; i++)
            {
                _registers[i].Size = value.Queues[i].Size;
                _registers[i].IsEnabled = value.Queues[i].IsEnabled;
                value.Queues[i].Addresses.CopyTo(_registers[i].Addresses, 0);
            }

            _status = value.Status;
            PlaceRings();
        }
    }

    /// <summary>The driver has agreed on the features, says that it is ready, and needn't begin anew (virtio 1.0, 2.1 and 3.1.1).</summary>
    internal bool IsServing => (_status & (FeaturesAgreed | DriverReady | NeedsReset)) == (FeaturesAgreed | DriverReady);

    /// <summary>Whether the driver wants features that were offered, and among them virtio 1.0.</summary>
    private bool CanAgree => (_driverFeatures[0] & ~OfferedFeatures(0)) == 0 && _driverFeatures[1] == Version1;

    /// <summary>Serves the notices that the guest has given.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    public void Service()
    {
        for (int i = 0; _notified != 0 && i < _queues.Length; i++)
        {
            uint bit = 1u << i;
            if ((_notified & bit) != 0)
            {
                _notified &= ~bit;
                _device.OnNotify(i);
            }
        }

        _notified = 0;
    }

    /// <inheritdoc />
    public uint ReadConfiguration(int offset, int size)
    {
        if (offset == AccessData && TryFindAccess(out int place, out int length))
        {
            _space.SetUInt32(AccessData, Read((ulong)place, length), writable: uint.MaxValue);
        }

        return _space.Read(offset, size);
    }

    /// <inheritdoc />
    public void WriteConfiguration(int offset, int size, uint value)
    {
        _space.Write(offset, size, value);
        if (offset == AccessData && TryFindAccess(out int place, out int length))
        {
            Write((ulong)place, length, _space.Read(AccessData, length));
        }
    }

    /// <inheritdoc />
    public uint Read(ulong offset, int size)
    {
        int place = (int)offset;
        if (place >= DeviceRegisters)
        {
            return ReadDevice(place - DeviceRegisters, size);
        }

        QueueRegisters? queue = _queueSelect < _registers.Length ? _registers[_queueSelect] : null;
        switch (place, size)
        {
            case (DeviceFeatureSelect, sizeof(uint)):
                return _deviceFeatureSelect;
            case (DeviceFeature, sizeof(uint)):
                return OfferedFeatures(_deviceFeatureSelect);
            case (DriverFeatureSelect, sizeof(uint)):
                return _driverFeatureSelect;
            case (DriverFeature, sizeof(uint)):
                return _driverFeatureSelect < _driverFeatures.Length ? _driverFeatures[_driverFeatureSelect] : 0;
            case (MsixVector or SelectedVector, sizeof(ushort)):
                return NoVector;
            case (QueueCount, sizeof(ushort)):
                return (uint)_queues.Length;
            case (DeviceStatus, 1):
                return _status;
            case (QueueSelect, sizeof(ushort)):
                return _queueSelect;
            case (SelectedSize, sizeof(ushort)):
                return queue?.Size ?? 0;
            case (SelectedEnable, sizeof(ushort)):
                return queue is { IsEnabled: true } ? 1u : 0;
            case ( >= SelectedAddresses and < EndOfAddresses, sizeof(uint)):
                return queue?.Addresses[(place - SelectedAddresses) / sizeof(uint)] ?? 0;
            case (Isr, 1):
                uint isr = _isr;
                _isr = 0;
                return isr;
            default:
                return 0;
        }
    }

    /// <inheritdoc />
    public void Write(ulong offset, int size, uint value)
    {
        int place = (int)offset;
        if (place >= DeviceRegisters)
        {
            if (place - DeviceRegisters + size <= _device.Configuration.Length)
            {
                _device.OnConfigurationWrite(place - DeviceRegisters, value);
            }

            return;
        }

        QueueRegisters? queue = _queueSelect < _registers.Length ? _registers[_queueSelect] : null;
        switch (place, size)
        {
            case (DeviceFeatureSelect, sizeof(uint)):
                _deviceFeatureSelect = value;
                break;
            case (DriverFeatureSelect, sizeof(uint)):
                _driverFeatureSelect = value;
                break;
            case (DriverFeature, sizeof(uint)) when _driverFeatureSelect < _driverFeatures.Length && (_status & FeaturesAgreed) == 0:
                _driverFeatures[_driverFeatureSelect] = value;
                break;
            case (DeviceStatus, 1):
                WriteStatus((byte)value);
                break;
            case (QueueSelect, sizeof(ushort)):
                _queueSelect = (ushort)value;
                break;
            case (SelectedSize, sizeof(ushort)) when queue is { IsEnabled: false } && value is > 0 and <= QueueSize && (value & (value - 1)) == 0:
                queue.Size = (ushort)value;
                break;
            case (SelectedEnable, sizeof(ushort)) when queue is not null && value == 1:
                queue.IsEnabled = true;
                PlaceRings();
                break;
            case ( >= SelectedAddresses and < EndOfAddresses, sizeof(uint)) when queue is { IsEnabled: false }:
                queue.Addresses[(place - SelectedAddresses) / sizeof(uint)] = value;
                break;
            case (Notify, sizeof(ushort)) when value < _queues.Length && IsServing:
                _notified |= 1u << (int)value;
                _stop();
                break;
            default:
                break;
        }
    }

    private uint OfferedFeatures(uint half) => half switch
    {
        0 => _device.Identity.Features,
        1 => Version1,
        _ => 0,
    };

    private uint ReadDevice(int offset, int size)
    {
        ReadOnlySpan<byte> bytes = _device.Configuration.Span;
        uint value = 0;
        for (int i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | (offset + i < bytes.Length ? bytes[offset + i] : 0u);
        }

        return value;
    }

    private void WriteStatus(byte value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }

        // A driver sets bits, and clears them only by a reset. That a reset is needed is for the device to say.
        int wanted = value & ~NeedsReset;
        _status |= (byte)(CanAgree ? wanted : wanted & ~FeaturesAgreed);
        if ((_status & (FeaturesAgreed | DriverReady)) == DriverReady)
        {
            AskForReset();
        }

        PlaceRings();
    }

    /// <summary>The driver has to begin anew. One that is ready is told by an interrupt (virtio 1.0, 2.1.2).</summary>
    private void AskForReset()
    {
        if ((_status & NeedsReset) != 0)
        {
            return;
        }

        _status |= NeedsReset;
        Interrupt(ConfigurationInterrupt);
    }

    private void Interrupt(byte cause)
    {
        _isr |= cause;
        _raise();
    }

    private void Reset()
    {
        _status = 0;
        _isr = 0;
        _notified = 0;
        _queueSelect = 0;
        Array.Clear(_driverFeatures);
        for (int i = 0; i < _queues.Length; i++)
        {
            _registers[i] = new QueueRegisters();
            _queues[i].Ring.Remove();
        }

        _device.OnReset();
    }

    /// <summary>Once the driver is ready, the rings that it has enabled are used, as far as they can be.</summary>
    private void PlaceRings()
    {
        const int Ready = FeaturesAgreed | DriverReady;
        for (int i = 0; (_status & Ready) == Ready && i < _queues.Length; i++)
        {
            QueueRegisters registers = _registers[i];
            if (!registers.IsEnabled || _queues[i].Ring.IsPlaced)
            {
                continue;
            }

            if (registers.AreUsable(_memory))
            {
                _queues[i].Ring.Place(registers.Addresses[0], registers.Addresses[2], registers.Addresses[4], registers.Size);
            }
            else
            {
                AskForReset();
            }
        }
    }

    /// <summary>What of the region the access capability means; false when that is nothing.</summary>
    private bool TryFindAccess(out int place, out int length)
    {
        uint offset = _space.Read(AccessOffset, sizeof(uint));
        uint wanted = _space.Read(AccessLength, sizeof(uint));
        bool isAccess = _space.Read(AccessBar, 1) == 0 && wanted is 1 or 2 or 4 && offset <= RegionSize - wanted && offset % wanted == 0;
        place = isAccess ? (int)offset : 0;
        length = isAccess ? (int)wanted : 0;
        return isAccess;
    }

    private void Describe(uint region, int irq)
    {
        VirtioType type = _device.Identity.Type;
        int configuration = _device.Configuration.Length;
        _space.SetUInt16(0, Vendor);
        _space.SetUInt16(2, (ushort)(FirstDeviceId + (int)type));
        _space.SetUInt16(Command, 0, CommandWritable);
        _space.SetUInt16(Status, StatusCapabilities);
        (byte baseClass, byte subclass) = ClassOf(type);
        _space.Set(Revision, 1, 0, subclass, baseClass);
        _space.SetUInt32(Bar0, region, ~(RegionSize - 1));
        _space.SetUInt16(SubsystemId, Subsystem);
        _space.Set(FirstCapability, CommonCapability);
        _space.SetUInt16(InterruptLine, (ushort)irq, 0xff);

        // {u8 id, u8 next, u8 length, u8 type, u8 bar, 3 bytes, u32 offset, u32 length}, and what the type has more.
        SetCapability(CommonCapability, NotifyCapability, size: 16, type: 1, 0, CommonSize);
        SetCapability(NotifyCapability, IsrCapability, size: 20, type: 2, Notify, sizeof(ushort));
        SetCapability(IsrCapability, AccessCapability, size: 16, type: 3, Isr, 1);
        SetCapability(AccessCapability, configuration > 0 ? DeviceCapability : (byte)0, size: 20, type: 5, 0, 0);
        _space.SetUInt32(AccessBar, 0, 0xff);
        _space.SetUInt32(AccessOffset, 0, uint.MaxValue);
        _space.SetUInt32(AccessLength, 0, uint.MaxValue);
        _space.SetUInt32(AccessData, 0, uint.MaxValue);
        if (configuration > 0)
        {
            SetCapability(DeviceCapability, 0, size: 16, type: 4, DeviceRegisters, (uint)configuration);
        }
    }

    private void SetCapability(byte place, byte next, byte size, byte type, uint offset, uint length)
    {
        _space.Set(place, VendorSpecific, next, size, type);
        _space.SetUInt32(place + 8, offset);
        _space.SetUInt32(place + 12, length);
    }

    private static (byte BaseClass, byte Subclass) ClassOf(VirtioType type) => type switch
    {
        VirtioType.Network => (0x02, 0x00),
        VirtioType.Block => (0x01, 0x80),
        VirtioType.Console => (0x07, 0x00),
        _ => (0xff, 0x00),
    };

    /// <summary>A virtqueue's registers. Addresses are three, of two halves each: descriptors, available ring, used ring.</summary>
    private sealed class QueueRegisters
    {
        private const int Halves = 6;

        public ushort Size { get; set; } = QueueSize;

        public bool IsEnabled { get; set; }

        public uint[] Addresses { get; } = new uint[Halves];

        /// <summary>Whether they are aligned and all in guest memory, and the available ring isn't at 0.</summary>
        public bool AreUsable(GuestMemory memory) => (Addresses[1] | Addresses[3] | Addresses[5]) == 0 && Addresses[2] != 0
            && Addresses[0] % 16 == 0 && memory.Contains(Addresses[0], SplitRing.DescriptorBytes(Size))
            && Addresses[2] % 2 == 0 && memory.Contains(Addresses[2], SplitRing.AvailableBytes(Size))
            && Addresses[4] % 4 == 0 && memory.Contains(Addresses[4], SplitRing.UsedBytes(Size));
    }
}

/// <summary>What a saved state has of such a function.</summary>
internal sealed record VirtioPciState(
    byte[] Configuration,
    uint[] DriverFeatures,
    uint DeviceFeatureSelect,
    uint DriverFeatureSelect,
    ushort QueueSelect,
    byte Status,
    byte Isr,
    uint Notified,
    VirtioPciQueueState[] Queues);

/// <summary>What it has of a virtqueue's registers.</summary>
internal sealed record VirtioPciQueueState(ushort Size, bool IsEnabled, uint[] Addresses);
