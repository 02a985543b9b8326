using Lguest.Devices.Lgbus;
using Lguest.Devices.Tests.FrontEnds;
using Lguest.Devices.Virtio;
using Lguest.Host.Bus;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a kernel does with its devices, over the bus of its dialect.</summary>
public interface IDeviceWalk
{
    /// <summary>Writes the kernel's program.</summary>
    void Walk();

    /// <summary>Looks at what came of it outside.</summary>
    void Verify();
}

/// <summary>The devices of a walk, as somebody outside sees them.</summary>
public sealed class WalkDevices : IDisposable
{
    public const uint Sectors = 16;
    public const int SectorBytes = 512;

    /// <summary>The sector that the kernel writes.</summary>
    private const int WrittenSector = 4;

    private readonly MemoryDisk _disk = new((int)Sectors * SectorBytes);
    private readonly AnsweringCable _cable = new();
    private readonly FakePort _port = new();

    /// <summary>The front ends for a dialect: a disk, for virtio a network card and a source of random bytes, and a console.</summary>
    public IGuestDevice[] Of(Dialect dialect) => dialect.Devices == DeviceKind.Dma
        ? [new BlockDevice(_disk, NullLogger.Instance), new ConsoleDevice(_port)]
        :
        [
            new VirtioDisk(_disk, NullLogger.Instance, dialect.BlockHeader),
            new VirtioNetwork(_cable, null, dialect.NetworkHeader),
            new VirtioEntropy(new byte[32]),
            new VirtioConsole(_port, hasEmergencyWrite: dialect.Devices == DeviceKind.Pci),
        ];

    public IDeviceWalk WalkOf(DialectKernel kernel) =>
        kernel.Dialect.Devices == DeviceKind.Dma ? new DmaWalk(kernel, this) : new DeviceWalk(kernel, this);

    /// <summary>What the kernel writes and prints, and somebody types.</summary>
    public void FillBuffers(DialectGuest guest, uint written, uint output)
    {
        byte[] bytes = new byte[SectorBytes];
        new Random(7).NextBytes(bytes);
        guest.Write(written, bytes);
        guest.WriteText(output, "hello, world");
        Type("typed");
    }

    public void Verify(DialectGuest guest, uint written, string output)
    {
        Assert.Equal(output, _port.Output);
        Assert.Equal(guest.Bytes(written, SectorBytes), _disk.Contents[(WrittenSector * SectorBytes)..((WrittenSector + 1) * SectorBytes)]);
    }

    /// <summary>What the other end of the cable answers to a frame.</summary>
    public void Answer(params byte[][] frames) => _cable.Answers = frames;

    public void VerifyFrame(byte[] frame) => Assert.Equal(frame, Assert.Single(_cable.Sent));

    /// <summary>Somebody types.</summary>
    public void Type(string text) => _port.Type(text);

    public void Dispose()
    {
        _disk.Dispose();
        _cable.Dispose();
        _port.Dispose();
    }

    public void VerifyFlush() => Assert.Contains("flush", _disk.Log);
}
