using Lguest.Devices.Lgbus;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>
/// Frames reach the guest in the order in which they arrived, whichever way its driver reads, and wherever in its code the
/// host looks.
/// </summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class FrameOrderTests : IDisposable
{
    private const int Frames = 10_000;
    private const int Burst = 12;
    private const uint Lists = 0x1000;
    private const uint Buffer = 0x8000;
    private const int Irq = 5;

    private readonly string _folder = Directory.CreateTempSubdirectory("lguest-order").FullName;

    public static TheoryData<string, int> Drivers
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (string kind in (string[])["from the array's start", "on from where it was", "without interrupts"])
            {
                // How many steps of the driver's are between two looks of the host, at most.
                data.AddRange([(kind, 2), (kind, 5), (kind, 20), (kind, 200)]);
            }

            return data;
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Drivers))]
    public void Frames_from_a_cable_stay_in_order(string kind, int steps)
    {
        var cable = new FakeCable();
        using var bench = new Bench(new NetworkDevice(cable));
        for (int i = 0; i < ReceivingDriver.Buffers; i++)
        {
            bench.WriteList(Lists + ((uint)i * 100), (Buffer + ((uint)i * 2048), 2048));
        }

        bench.Router.Bind(Bench.Page + 4, Lists, ReceivingDriver.Buffers, Irq);
        ReceivingDriver.Locate(bench);
        var driver = ReceivingDriver.Make(kind, bench, Lists, Irq);
        var random = new Random(steps);
        var sent = new List<uint>();

        while (driver.Read.Count < Frames)
        {
            if (sent.Count < Frames && random.Next(8) == 0)
            {
                for (int i = 0; i < Burst; i++)
                {
                    sent.Add(Length(sent.Count));
                    cable.Arrive(new byte[sent[^1]]);
                }
            }

            bench.Service();
            Run(driver, random.Next(steps));
        }

        AssertInOrder(sent, driver.Read);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public void Frames_from_another_guest_stay_in_order(string kind, int steps)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Shared networks need Linux.");
        string path = Path.Combine(_folder, "net");
        using var sender = new Peer(path);
        using var receiver = new Peer(path);
        receiver.Bind(ReceivingDriver.Buffers);
        ReceivingDriver.Locate(receiver.Bench);
        var driver = ReceivingDriver.Make(kind, receiver.Bench, Peer.List(0), Peer.Irq);
        var random = new Random(steps);
        var sent = new List<uint>();

        while (sent.Count < Frames || driver.Read.Count < sent.Count)
        {
            // No more than there is room for: one who sends more waits. The last that was read may not be free yet.
            receiver.Bench.Service();
            int room = Math.Min(Frames, driver.Read.Count + ReceivingDriver.Buffers - 1) - sent.Count;
            for (int i = Math.Min(random.Next(Burst), room); i > 0; i--)
            {
                uint length = Length(sent.Count);
                if (sender.Send(receiver, new byte[length]) == length)
                {
                    sent.Add(length);
                }
            }

            receiver.Bench.Service();
            Run(driver, random.Next(steps));
        }

        AssertInOrder(sent, driver.Read);
    }

    [Fact]
    public void A_buffer_that_the_guest_keeps_is_passed_over()
    {
        var cable = new FakeCable();
        using var bench = new Bench(new NetworkDevice(cable));
        for (uint i = 0; i < 4; i++)
        {
            bench.WriteList(Lists + (i * 100), (Buffer + (i * 2048), 2048));
        }

        bench.SetUsed(Lists + 100, 1);
        bench.Router.Bind(Bench.Page + 4, Lists, 4, Irq);
        cable.Arrive(new byte[60], new byte[61], new byte[62], new byte[63], new byte[64]);

        bench.Service();
        Assert.Equal((60u, 1u, 61u, 62u), (bench.Used(Lists), bench.Used(Lists + 100), bench.Used(Lists + 200), bench.Used(Lists + 300)));

        bench.SetUsed(Lists + 300, 0);
        bench.SetUsed(Lists + 200, 0);
        bench.SetUsed(Lists, 0);
        bench.Service();
        Assert.Equal((63u, 1u, 64u, 0u), (bench.Used(Lists), bench.Used(Lists + 100), bench.Used(Lists + 200), bench.Used(Lists + 300)));
    }

    // Different for those that are near each other.
    private static uint Length(int number) => 60 + ((uint)number % 1000);

    private static void Run(ReceivingDriver driver, int steps)
    {
        for (int i = 0; i < steps && driver.Step(); i++)
        {
        }
    }

    private static void AssertInOrder(List<uint> sent, List<uint> read)
    {
        int wrong = Enumerable.Range(0, Math.Min(sent.Count, read.Count)).Count(i => sent[i] != read[i]);
        Assert.True(wrong == 0, $"{wrong} of {read.Count} frames are out of place");
    }
}
