using System.Collections.Concurrent;
using System.Globalization;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Observation;
using Lguest.Logging;
using Lguest.Running.Watching;
using Microsoft.Extensions.Logging;

namespace Lguest.Running.Debugging;

/// <summary>What ^] on a terminal offers. Keys come on the input's thread; what they ask for is done by the processor's.</summary>
/// <param name="guest">The guest.</param>
/// <param name="watch">Knows the kernel.</param>
/// <param name="hold">Who holds the guest.</param>
/// <param name="end">Ends the run.</param>
/// <param name="logger">Where the answers go.</param>
internal sealed class ConsoleMenu(Guest guest, RunWatch watch, GuestHold hold, RunEnd end, ILogger logger) : IGuestObserver
{
    private const string Keys = "^]: h help, q quit, p pause, r registers, d tasks, s SysRq, ^] sends one";

    private const string MenuHolds = "the guest is paused from the menu: its debugger hears of it when ^] p lets it go on";

    private static readonly string[] Help =
    [
        "after ^], one key is for lguest:",
        "  h or ?  this text",
        "  q       end the run",
        "  p       pause the guest, whose clock stands still meanwhile; once more: go on",
        "  r       where the processor is: registers, and the functions on the kernel's stack",
        "  d       the kernel's tasks, and where each of them is",
        "  s KEY   SysRq, for a kernel with CONFIG_MAGIC_SYSRQ: s h lists its keys",
        "  ^]      goes to the guest",
    ];

    private readonly BlockingCollection<char> _wanted = [];
    private bool _isPaused;

    /// <summary>Takes a key. On the input's thread.</summary>
    public void Press(char key)
    {
        switch (key)
        {
            case '\u001d':
                BeginLine();
                Say(Keys);
                break;
            case 'q':
                end.Request(new EndReason(ExitCode.Interrupted, "ended from the menu"));
                break;
            case 'h' or '?':
                Array.ForEach(Help, Say);
                break;
            case 's':
                Say("SysRq: the next key goes to the kernel");
                break;
            case 'p' or 'r' or 'd':
                if (hold.Sentence is { } sentence && sentence != MenuHolds)
                {
                    Say(sentence);
                }

                _wanted.Add(key);
                guest.RequestLook();
                break;
            default:
                Say("there is nothing on that key: the menu is closed");
                break;
        }
    }

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        while (_wanted.TryTake(out char key))
        {
            Answer(key);
        }

        if (_isPaused)
        {
            ClockState clock = guest.Clock.State;
            using (hold.Take(MenuHolds))
            {
                Wait();
            }

            guest.Clock.State = clock;
        }

        return NextLook.Never;
    }

    /// <summary>A guest's line isn't over when somebody presses a key.</summary>
    private static void BeginLine()
    {
        if (DescriptorStream.IsTerminal(StandardDescriptors.Error))
        {
            try
            {
                new DescriptorStream(StandardDescriptors.Error).Write("\r\n"u8);
            }
            catch (IOException)
            {
                // A terminal that has gone.
            }
        }
    }

    private void Wait()
    {
        try
        {
            while (_isPaused)
            {
                Answer(_wanted.Take(end.Token));
            }
        }
        catch (OperationCanceledException)
        {
            // The run is to end.
        }
    }

    private void Answer(char key)
    {
        switch (key)
        {
            case 'p':
                _isPaused = !_isPaused;
                Say(_isPaused ? "the guest is paused: ^] p lets it go on" : "the guest goes on");
                break;
            case 'r':
                ShowRegisters();
                break;
            default:
                foreach (string line in TaskText.Lines(watch.Tasks(guest)))
                {
                    Say(line);
                }

                break;
        }
    }

    private void ShowRegisters()
    {
        ref Cpu.State.ProcessorState s = ref guest.Processor.State;
        Cpu.Processor processor = guest.Processor;
        Say(string.Create(CultureInfo.InvariantCulture, $"eax {s.Eax:x8}  ebx {s.Ebx:x8}  ecx {s.Ecx:x8}  edx {s.Edx:x8}"));
        Say(string.Create(CultureInfo.InvariantCulture, $"esi {s.Esi:x8}  edi {s.Edi:x8}  ebp {s.Ebp:x8}  esp {s.Esp:x8}"));
        Say(string.Create(CultureInfo.InvariantCulture, $"eip {s.Eip:x8}  eflags {processor.Eflags:x8}  cpl {s.Cpl}  {processor.Retired:n0} instructions"));
        Say(string.Create(
            CultureInfo.InvariantCulture,
            $"cs {s.Cs.Selector:x4}  ss {s.Ss.Selector:x4}  ds {s.Ds.Selector:x4}  es {s.Es.Selector:x4}  fs {s.Fs.Selector:x4}  gs {s.Gs.Selector:x4}"));
        Say(string.Create(
            CultureInfo.InvariantCulture,
            $"cr0 {processor.ReadControlRegister(0):x8}  cr2 {processor.ReadControlRegister(2):x8}  cr3 {processor.ReadControlRegister(3):x8}  cr4 {processor.ReadControlRegister(4):x8}"));
        foreach (string function in watch.Stack(guest))
        {
            Say($"    {function}");
        }
    }

    private void Say(string line) => LaunchLog.Information(logger, line);
}
