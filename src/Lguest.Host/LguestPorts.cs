using Lguest.Cpu;

namespace Lguest.Host;

/// <summary>A machine without ports: reads are all ones, which drivers take for "nothing there". Only the reset line is real.</summary>
/// <param name="ending">Takes the guest's wish to be started again.</param>
/// <param name="processor">Stops when it has been taken.</param>
internal sealed class LguestPorts(GuestEnding ending, Processor processor) : IPortHandler
{
    private const ushort KeyboardController = 0x64;
    private const byte PulseResetLine = 0xfe;

    /// <inheritdoc />
    public uint Read(ushort port, int size) => uint.MaxValue;

    /// <inheritdoc />
    public void Write(ushort port, int size, uint value)
    {
        if (port == KeyboardController && (byte)value == PulseResetLine)
        {
            ending.End(new GuestOutcome.Restart());
            processor.RequestStop();
        }
    }
}
