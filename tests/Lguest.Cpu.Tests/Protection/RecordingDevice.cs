using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>A device that keeps what is stored, and remembers each access in order: "R 10 4" or "W 10 4 12345678".</summary>
internal sealed class RecordingDevice : IMemoryMappedDevice
{
    public byte[] Registers { get; } = new byte[0x2000];

    public List<string> Accesses { get; } = [];

    /// <summary>Is called after each store.</summary>
    public Action? Written { get; set; }

    public uint Read(ulong offset, int size)
    {
        Accesses.Add($"R {offset:x} {size}");
        uint value = 0;
        for (int i = 0; i < size; i++)
        {
            value |= (uint)Registers[(int)offset + i] << (8 * i);
        }

        return value;
    }

    public void Write(ulong offset, int size, uint value)
    {
        Accesses.Add($"W {offset:x} {size} {value:x}");
        for (int i = 0; i < size; i++)
        {
            Registers[(int)offset + i] = (byte)(value >> (8 * i));
        }

        Written?.Invoke();
    }
}
