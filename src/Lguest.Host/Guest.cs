using Lguest.Cpu;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Memory;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Dma;
using Lguest.Host.Hypercalls;
using Lguest.Host.Observation;
using Lguest.Host.Pci;
using Lguest.Host.Saving;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;
using Microsoft.Extensions.Logging;

namespace Lguest.Host;

/// <summary>
/// One guest: a processor, memory, and the host's side of everything between the guest's kernel and the world. This is
/// the one place where the parts are put together.
/// </summary>
/// <remarks>
/// Load a kernel into its <see cref="PhysicalMemory"/>, then <see cref="Start"/> and <see cref="Run"/> it. Everything is done by
/// the thread that calls; two guests in one process know nothing of each other.
/// </remarks>
public sealed class Guest : IDisposable
{
    private readonly GuestConfiguration _configuration;
    private readonly HypercallContext _context;
    private readonly HypercallDispatcher _hypercalls;
    private readonly TrapPolicy _traps;
    private readonly DeviceEvents _events = new();
    private readonly HostSignal _signal = new();
    private readonly ObserverList _observers;
    private readonly DeviceBus _bus;
    private readonly RunLoop _loop;

    /// <summary>
    /// Entries of a block before it is translated. Measured, beside 300: with 32, a short boot took a fifth more of the processor's time, and one with a
    /// shell's loops a tenth more; with 1000, the latter took an eighth more. What is hot is soon much hotter.
    /// </summary>
    private const int HotAfter = 256;

    /// <summary>
    /// Makes a guest. Its devices are in their places and described on the descriptor page. One that goes on from a saved state
    /// needs no kernel and no <see cref="Start"/>.
    /// </summary>
    /// <param name="configuration">What it is made of.</param>
    /// <exception cref="ArgumentException">Too many devices, memory that isn't whole pages, or too much of it.</exception>
    /// <exception cref="SavedStateException">Its devices aren't those of its saved state.</exception>
    public Guest(GuestConfiguration configuration)
    {
        _configuration = configuration;
        SavedState? saved = configuration.SavedState;
        saved?.CheckDevices(configuration.Devices);
        ILogger logger = configuration.LoggerFactory.CreateLogger<Guest>();
        var ending = new GuestEnding();

        Layout = MemoryLayout.Of(configuration.MemoryBytes);
        Processor = configuration.Kept?.Take(configuration.Engine) ?? new Processor(new PhysicalMemory(saved?.Image));
        Processor.Cpuid = configuration.Abi.Cpuid;
        PhysicalMemory = Processor.Memory;
        IsTranslating = configuration.Engine != EngineKind.Interpreter
            && Processor.TryTranslate(configuration.Engine == EngineKind.Translator ? 0 : HotAfter);
        var memory = new GuestMemory(PhysicalMemory);
        var data = new LguestData(memory, configuration.Abi.Data);
        Clock = configuration.Clock == ClockKind.Virtual
            ? new VirtualClock(Processor, configuration.Date)
            : new RealClock(TimeProvider.System, configuration.Date);
        Interrupts = new InterruptController(data, Clock);
        Router = new DmaRouter(memory, Interrupts, logger);

        _bus = MakeBus(memory, logger);
        _context = new HypercallContext
        {
            Abi = configuration.Abi,
            Processor = Processor,
            Memory = memory,
            Data = data,
            Segments = new SegmentTable(),
            Gates = new GateTable(configuration.Abi.LastGate),
            Interrupts = Interrupts,
            Clock = Clock,
            Router = Router,
            Bus = _bus,
            AddressSpace = new AddressSpace(Processor, memory, configuration.Abi.PageTables),
            Ending = ending,
            GuestId = configuration.GuestId,
        };
        _hypercalls = new HypercallDispatcher(_context);
        _traps = configuration.Abi.MakeTraps(new TrapContext
        {
            Abi = configuration.Abi,
            Processor = Processor,
            Hypercalls = _hypercalls,
            Data = data,
            Segments = _context.Segments,
            Gates = _context.Gates,
            Interrupts = Interrupts,
            AddressSpace = _context.AddressSpace,
            Ending = ending,
        });
        Processor.ExceptionHook = _traps;
        Processor.Ports = new LguestPorts(ending, Processor, configuration.Abi.KeyboardStatus, _bus.Ports);
        Processor.TimeStampClock = Clock;

        _observers = new ObserverList(this);
        _loop = new RunLoop(Processor, _hypercalls, _traps, Interrupts, Clock, _events, _bus, _signal, _observers, ending);
        if (saved is not null)
        {
            Restore(saved);
        }
    }

    /// <summary>Where the guest's RAM is.</summary>
    public MemoryLayout Layout { get; }

    /// <summary>The guest's memory, all zero at first: a kernel is loaded there before <see cref="Start"/>.</summary>
    public PhysicalMemory PhysicalMemory { get; }

    /// <summary>The processor.</summary>
    public Processor Processor { get; }

    /// <summary>Whether hot code is translated for the host's processor: the configuration wants it, and the host can.</summary>
    public bool IsTranslating { get; }

    /// <summary>The guest's clock.</summary>
    public GuestClock Clock { get; }

    /// <summary>The guest's interrupts.</summary>
    public InterruptController Interrupts { get; }

    /// <summary>The guest's DMA.</summary>
    public DmaRouter Router { get; }

    /// <summary>Whether the guest has made its first hypercall.</summary>
    public bool IsInitialised => _context.Data.IsPresent;

    /// <summary>What the kernel has said of itself at its first hypercall; null before that, and if it said nothing.</summary>
    public KernelDescription? Kernel => _context.Data.State?.Kernel;

    /// <summary>How often each hypercall was made, by name.</summary>
    public IEnumerable<KeyValuePair<string, ulong>> HypercallCounts => _hypercalls.Counts;

    /// <summary>Nanoseconds of host time in which the processor's thread slept because the guest did.</summary>
    public ulong IdleNanoseconds => _loop.IdleNanoseconds;

    /// <summary>
    /// How long the guest has lived, in nanoseconds of its own: 5 for each instruction, and as long as it slept. In virtual time
    /// that is what its clock says. In real time the clock goes on while the host is busy with others, and this doesn't; and a guest that
    /// is faster than 200 million instructions a second has only had the processor time that it took.
    /// </summary>
    public ulong Age => _loop.Age;

    /// <summary>
    /// Whether interrupts stay pending while the guest executes, for a debugger that goes step by step: a step doesn't lead into a
    /// handler. A guest that sleeps is woken all the same. An observer sets it in its look.
    /// </summary>
    public bool HoldsInterrupts
    {
        get => _loop.HoldsInterrupts;
        set => _loop.HoldsInterrupts = value;
    }

    /// <summary>
    /// All that the guest can see or change, but for the processor, memory and the devices, which keep their own. It is written
    /// after the processor's.
    /// </summary>
    internal GuestState State
    {
        get => new()
        {
            Data = _context.Data.State,
            RingSlot = _hypercalls.State,
            Segments = _context.Segments.State,
            Gates = _context.Gates.State,
            Interrupts = Interrupts.State,
            Clock = Clock.State,
            Bindings = Router.State,
            Queues = _bus.State,
            Transport = _bus.Transport,
            Events = _events.State,
            SliceEnd = _loop.SliceEnd,
            AddressSpace = _context.AddressSpace.State,
            InterruptLine = Processor.InterruptLine,
            IdleNanoseconds = _loop.IdleNanoseconds,
        };
        set
        {
            _context.Data.State = value.Data;
            _hypercalls.State = value.RingSlot;
            _context.Segments.State = value.Segments;
            _context.Gates.State = value.Gates;
            Interrupts.State = value.Interrupts;
            Clock.State = value.Clock;
            Router.State = value.Bindings;
            _bus.Transport = value.Transport;
            _bus.State = value.Queues;
            _events.State = value.Events;
            _loop.SliceEnd = value.SliceEnd;
            _context.AddressSpace.State = value.AddressSpace;
            Processor.InterruptLine = value.InterruptLine;
            _loop.IdleNanoseconds = value.IdleNanoseconds;
        }
    }

    /// <summary>Puts the processor at the kernel's first instruction.</summary>
    /// <param name="entry">What the kernel's loader found.</param>
    public void Start(in KernelEntry entry) => _traps.Start(entry);

    /// <summary>Lets somebody look at the guest while it runs. Before a run, or in an observer's own look.</summary>
    /// <param name="observer">Is called on the thread that calls <see cref="Run"/>.</param>
    public void Observe(IGuestObserver observer) => _observers.Add(observer);

    /// <summary>Asks for a look of all observers soon: at the end of a slice, or at once while the guest sleeps. Any thread may.</summary>
    public void RequestLook()
    {
        _observers.Request();
        _signal.Set();
    }

    /// <summary>Runs until the guest is over, or until something from outside ends the run.</summary>
    /// <param name="limits">What the run may use up.</param>
    /// <param name="stop">Ends the run soon, also while the guest sleeps. Any thread may cancel it.</param>
    /// <returns>Why it returned. A guest that is over stays over: running it again gives the same answer.</returns>
    public GuestOutcome Run(RunLimits limits = default, CancellationToken stop = default) => _loop.Run(limits, stop);

    /// <summary>
    /// Saves the guest: <see cref="SavedState"/> goes on from there. Between two runs, or in an observer's look; the guest may run on
    /// afterwards.
    /// </summary>
    /// <param name="output">An empty file, or whatever can be sought in and be as long as the guest's memory.</param>
    /// <param name="facts">What is to be found again in <see cref="SavedState.Facts"/>.</param>
    /// <exception cref="SavedStateException">The guest is over.</exception>
    /// <exception cref="IOException">It can't be written.</exception>
    public void Save(Stream output, params IReadOnlyList<SavedFact> facts)
    {
        if (_context.Ending.IsOver)
        {
            throw new SavedStateException("a guest that is over has nothing to go on with, so it is not saved");
        }

        // Devices first: what they have in hand may still be finished, and change what the others save.
        SavedDevice[] devices = [.. _configuration.Devices.Select(device => new SavedDevice(device.Kind, device.Save()))];
        SavedStateWriter.Write(output, PhysicalMemory, new SavedStateDescription
        {
            Dialect = _configuration.Abi.Name,
            Cpuid = _configuration.Abi.Cpuid.Leaves,
            MemoryBytes = _configuration.MemoryBytes,
            Facts = facts,
            Clock = _configuration.Clock,
            Date = _configuration.Date,
            GuestId = _configuration.GuestId,
            Processor = Processor.Save(),
            Host = State,
            Devices = devices,
            Regions = SavedStateWriter.Describe(PhysicalMemory),
        });
    }

    /// <summary>Finishes what devices have in hand, and frees all. Writes that the guest made are on their way to the host's disk.</summary>
    public void Dispose()
    {
        foreach (IGuestDevice device in _configuration.Devices)
        {
            device.Dispose();
        }

        if (_configuration.Kept is { } kept)
        {
            kept.Keep(Processor, _configuration.Engine);
            return;
        }

        Processor.Dispose();
        PhysicalMemory.Dispose();
    }

    /// <summary>Adds memory and devices, as the kernel expects to find them.</summary>
    private DeviceBus MakeBus(GuestMemory memory, ILogger logger)
    {
        switch (_configuration.Abi.Bus)
        {
            case DeviceBusKind.Lguest:
                ILguestDevice[] devices = [.. DevicesOf<ILguestDevice>()];
                LguestBus.Place(PhysicalMemory, Layout, devices);
                var bus = new LguestBus(devices, memory, Router, Clock, _events, _signal);
                bus.Attach(Layout, logger);
                return bus;
            case DeviceBusKind.LguestVirtio:
                IVirtioDevice[] virtio = [.. DevicesOf<IVirtioDevice>()];
                LguestVirtioBus.PlaceMemory(PhysicalMemory, Layout, virtio);
                return new LguestVirtioBus(
                    virtio,
                    _configuration.Abi.Notices,
                    _configuration.Abi.Descriptors,
                    _configuration.GuestId,
                    Layout,
                    memory,
                    Interrupts,
                    Clock,
                    _events,
                    _signal,
                    logger);
            case DeviceBusKind.VirtioPci:
                return new VirtioPciBus(
                    [.. DevicesOf<IVirtioDevice>()],
                    _configuration.GuestId,
                    PhysicalMemory,
                    Layout,
                    memory,
                    Interrupts,
                    Clock,
                    _events,
                    _signal,
                    Processor.RequestStop,
                    logger);
            default:
                throw new InvalidOperationException($"There is no bus {_configuration.Abi.Bus}.");
        }
    }

    private IEnumerable<TDevice> DevicesOf<TDevice>()
        where TDevice : class =>
        _configuration.Devices.Select(
            device => device as TDevice ?? throw new ArgumentException($"{device} isn't a device of the bus {_configuration.Abi.Bus}."));

    private void Restore(SavedState saved)
    {
        // What the kernel's kind asks of the processor, and after it what this kernel has made of that.
        _traps.Start(default);
        Processor.Load(saved.Description.Processor, keepsCode: true);
        saved.CopyRam(PhysicalMemory, Layout.Devices);
        State = saved.Description.Host;
        for (int i = 0; i < _configuration.Devices.Count; i++)
        {
            _configuration.Devices[i].Restore(saved.Description.Devices[i].State);
        }
    }
}
