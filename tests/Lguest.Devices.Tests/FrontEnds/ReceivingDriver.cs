using Lguest.Host.Dma;
using Lguest.Host.Traps;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>
/// How a driver in the guest reads its buffers, one load or store at a time: at an interrupt it blocks its line, reads what
/// it finds, and opens the line again. The host may look between any two steps.
/// </summary>
/// <param name="bench">Where it runs.</param>
/// <param name="lists">Address of the first list.</param>
/// <param name="irq">Its line.</param>
internal abstract class ReceivingDriver(Bench bench, uint lists, int irq)
{
    public const int Buffers = 8;

    private const uint LguestData = 0x3_8000;
    private const uint BlockedInterrupts = LguestData + 4;

    private int _reading = -1;
    private bool _isInPass;

    /// <summary>The used_len of all frames that were read, in the driver's order.</summary>
    public List<uint> Read { get; } = [];

    /// <summary>Says where the mask is, as a kernel does at its start.</summary>
    public static void Locate(Bench bench) => bench.Data.Locate(LguestData);

    public static ReceivingDriver Make(string kind, Bench bench, uint lists, int irq) => kind switch
    {
        "from the array's start" => new FromStart(bench, lists, irq),
        "on from where it was" => new OnFromWhereItWas(bench, lists, irq),
        "without interrupts" => new Polling(bench, lists, irq),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>Does one thing; false when the guest has nothing to do.</summary>
    public virtual bool Step()
    {
        if (!_isInPass)
        {
            if ((bench.Pending & (1u << irq)) == 0)
            {
                return false;
            }

            bench.Interrupts.State = new InterruptState(bench.Pending & ~(1u << irq), false);
            Block(true);
            Begin();
            _isInPass = true;
            return true;
        }

        if (!Pass())
        {
            Block(false);
            _isInPass = false;
        }

        return true;
    }

    protected abstract void Begin();

    /// <summary>A step of a pass; false when that is over.</summary>
    protected abstract bool Pass();

    protected void Block(bool isBlocked) => bench.Memory.WriteUInt32(BlockedInterrupts, isBlocked ? 1u << irq : 0, "the mask");

    /// <summary>Looks at a buffer, and frees it at the next step.</summary>
    protected bool TryRead(int buffer)
    {
        uint used = bench.Used(List(buffer));
        if (used != 0)
        {
            Read.Add(used);
            _reading = buffer;
        }

        return used != 0;
    }

    protected bool TryFree()
    {
        if (_reading < 0)
        {
            return false;
        }

        bench.SetUsed(List(_reading), 0);
        _reading = -1;
        return true;
    }

    private uint List(int buffer) => lists + ((uint)buffer * DmaList.Size);

    /// <summary>The driver of 2.6.23: lguestnet_rcv() looks at each buffer of the array once.</summary>
    private sealed class FromStart(Bench bench, uint lists, int irq) : ReceivingDriver(bench, lists, irq)
    {
        private int _at;

        protected override void Begin() => _at = 0;

        protected override bool Pass()
        {
            if (!TryFree() && _at < Buffers)
            {
                TryRead(_at++);
                return true;
            }

            return _at < Buffers;
        }
    }

    /// <summary>The driver in images/linux: lguest_net_filled() looks from the last one on until it finds one.</summary>
    private sealed class OnFromWhereItWas(Bench bench, uint lists, int irq) : ReceivingDriver(bench, lists, irq)
    {
        private int _next;
        private int _looked;

        protected override void Begin() => _looked = 0;

        protected override bool Pass()
        {
            if (TryFree())
            {
                _looked = 0;
                return true;
            }

            if (_looked == Buffers)
            {
                return false;
            }

            int buffer = (_next + _looked++) % Buffers;
            if (TryRead(buffer))
            {
                _next = (buffer + 1) % Buffers;
            }

            return true;
        }
    }

    /// <summary>One that keeps its line blocked, and looks all the time.</summary>
    private sealed class Polling(Bench bench, uint lists, int irq) : ReceivingDriver(bench, lists, irq)
    {
        private int _at;

        public override bool Step()
        {
            if (!TryFree())
            {
                Block(true);
                TryRead(_at);
                _at = (_at + 1) % Buffers;
            }

            return true;
        }

        protected override void Begin()
        {
        }

        protected override bool Pass() => false;
    }
}
