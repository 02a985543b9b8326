using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>Virtqueues that can't be, of each device.</summary>
public static class QueueMisuse
{
    private const uint Header = Buffers;
    private const uint Piece = Buffers + 0x1000;
    private const uint Status = Buffers + 0x3000;

    // Far beyond any size of a ring.
    private const int NoDescriptor = 0x7fff;

    private static readonly (string Name, uint Type, int Queue)[] Queues =
    [
        ("the disk's", DeviceDriver.Block, 0),
        ("the random bytes'", DeviceDriver.Entropy, 0),
        ("the console's input", DeviceDriver.Console, 0),
        ("the console's output", DeviceDriver.Console, 1),
    ];

    private static readonly (string Name, Action<RingDriver> Do)[] Ways =
    [
        ("a head beyond the ring", ring => ring.Offer(NoDescriptor)),
        ("a head of 0xffff", ring => ring.Offer(0xffff)),
        ("a next that is beyond the ring", ring =>
        {
            ring.Describe(0, Header, 16, RingDriver.Next, NoDescriptor);
            ring.Offer(0);
        }),
        ("a descriptor whose next is itself", ring =>
        {
            ring.Describe(0, Header, 1, RingDriver.Next, 0);
            ring.Offer(0);
        }),
        ("a loop of two", ring =>
        {
            ring.Describe(0, Header, 1, RingDriver.Next | RingDriver.DeviceWrites, 1);
            ring.Describe(1, Header, 1, RingDriver.Next | RingDriver.DeviceWrites, 0);
            ring.Offer(0);
        }),
        ("a length of 4 GiB to be read", ring =>
        {
            ring.Describe(0, Header, uint.MaxValue);
            ring.Offer(0);
        }),
        ("a length of 4 GiB to be filled", ring =>
        {
            ring.DescribeChain(0, (Header, 16, false), (Piece, uint.MaxValue, true), (Status, 1, true));
            ring.Offer(0);
        }),
        ("two lengths whose sum is more than 4 GiB", ring =>
        {
            ring.DescribeChain(0, (Header, uint.MaxValue - 16, true), (Piece, 100, true));
            ring.Offer(0);
        }),
        ("an address outside memory", ring =>
        {
            ring.DescribeChain(0, (0xf000_0000, 16, false), (Status, 1, true));
            ring.Offer(0);
        }),
        ("an address outside memory to be filled", ring =>
        {
            ring.DescribeChain(0, (Header, 16, false), (0xffff_fff0, 512, true), (Status, 1, true));
            ring.Offer(0);
        }),
        ("an indirect descriptor", ring =>
        {
            ring.Describe(0, Header, 32, RingDriver.Indirect);
            ring.Offer(0);
        }),
        ("a piece to be read behind one to be filled", ring =>
        {
            ring.DescribeChain(0, (Header, 16, true), (Piece, 16, false));
            ring.Offer(0);
        }),
        ("an index that jumps", ring =>
        {
            ring.Describe(0, Header, 16);
            ring.Offer(0, forward: 1000);
        }),
        ("an index that goes back", ring =>
        {
            ring.Describe(0, Header, 16);
            ring.Offer(0, forward: -1);
        }),
    ];

    /// <summary>All of it, for every virtqueue.</summary>
    public static IEnumerable<Misuse> Of(Dialect dialect)
    {
        foreach ((string queue, uint type, int number) in Queues)
        {
            foreach ((string name, Action<RingDriver> offer) in Ways)
            {
                yield return new($"{name}, {queue}", kernel => Try(kernel, type, number, offer), "virtqueue");
            }

            yield return new(
                $"an address of more than 32 bits, {queue}",
                kernel => Try(kernel, type, number, ring =>
                {
                    ring.Describe(0, Header, 16);
                    kernel.Code.A.mov(__dword_ptr[edi + 4], 1);
                    ring.Offer(0);
                }),
                "virtqueue");
        }

        yield return dialect.Devices == DeviceKind.Pci ? RegistersOfOnes : DescriptorsOfOnes;
    }

    /// <summary>A driver may read the page of descriptors, and write a status and features. Whatever else it writes, the host has its own copy.</summary>
    private static Misuse DescriptorsOfOnes => new(
        "a page of descriptors full of ones",
        kernel =>
        {
            DeviceDriver driver = DeviceDriver.Of(kernel);
            RingDriver ring = driver.Ring(0);
            Begin(kernel, driver);
            driver.Find(DeviceDriver.Entropy);
            driver.SetUp(0, ring);
            Assembler a = kernel.Code.A;
            a.mov(edi, Window + (16 << 12));
            a.mov(ecx, 1024);
            a.mov(eax, uint.MaxValue);
            a.rep.stosd();
            ring.DescribeChain(0, (Piece, 64, true));
            ring.Do(0);
            ring.NoteUsed("what is given", 0, 1, 64);
        },
        null);

    private static Misuse RegistersOfOnes => new(
        "registers full of ones",
        kernel =>
        {
            DeviceDriver driver = DeviceDriver.Of(kernel);
            Begin(kernel, driver);
            driver.Find(DeviceDriver.Block);
            driver.SetUp(0, driver.Ring(0));
            Assembler a = kernel.Code.A;
            for (int at = 0; at < 4096; at += 3)
            {
                a.mov(__dword_ptr[Window + (16 << 12) + (uint)at % 4093], -1);
            }

            for (int at = 0; at < 256; at++)
            {
                a.mov(__word_ptr[Window + (16 << 12) + (uint)at], -1);
                a.mov(__byte_ptr[Window + (16 << 12) + (uint)at], -1);
                a.mov(eax, __dword_ptr[Window + (16 << 12) + (uint)at]);
            }

            kernel.Code.Spin();
        },
        null);

    private static void Begin(DialectKernel kernel, DeviceDriver driver)
    {
        kernel.Prepare();
        kernel.Code.Block(0);
        driver.Scan();
    }

    private static void Try(DialectKernel kernel, uint type, int number, Action<RingDriver> offer)
    {
        DeviceDriver driver = DeviceDriver.Of(kernel);
        RingDriver[] rings = type == DeviceDriver.Console ? [driver.Ring(0), driver.Ring(1)] : [driver.Ring(0)];
        Begin(kernel, driver);
        driver.Find(type);
        driver.SetUp(0, rings);
        if (rings.Length > number + 1)
        {
            // A console is given nothing before it has printed.
            rings[number + 1].DescribeChain(0, (Piece, 1, false));
            rings[number + 1].Do(0);
        }

        offer(rings[number]);
        rings[number].Notify();
        kernel.Code.Call(HypercallNumber.FlushAsync);
        kernel.Code.Spin();
    }
}
