using Lguest.Cpu;
using Lguest.Host.Pci;

namespace Lguest.Host;

/// <summary>A machine without ports: reads are all ones, which drivers take for "nothing there". Only the reset line is real.</summary>
/// <param name="ending">Takes the guest's wish to be started again.</param>
/// <param name="processor">Stops when it has been taken.</param>
/// <param name="keyboardStatus">What the keyboard controller's status reads as.</param>
/// <param name="bridge">PCI's ports; null where there is no PCI.</param>
internal sealed class LguestPorts(GuestEnding ending, Processor processor, uint keyboardStatus, IPortHandler? bridge) : IPortHandler
{
    private const ushort KeyboardController = 0x64;
    private const byte PulseResetLine = 0xfe;

    /// <inheritdoc />
    public uint Read(ushort port, int size) => port switch
    {
        KeyboardController => keyboardStatus,
        >= PciHostBridge.FirstPort and <= PciHostBridge.LastPort when bridge is not null => bridge.Read(port, size),
        _ => uint.MaxValue,
    };

    /// <inheritdoc />
    public void Write(ushort port, int size, uint value)
    {
        if (bridge is not null && port is >= PciHostBridge.FirstPort and <= PciHostBridge.LastPort)
        {
            bridge.Write(port, size, value);
        }
        else if (port == KeyboardController && (byte)value == PulseResetLine)
        {
            ending.End(new GuestOutcome.Restart());
            processor.RequestStop();
        }
    }
}
