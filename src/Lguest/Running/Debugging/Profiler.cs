using Lguest.CommandLine;
using Lguest.Cpu.State;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Observation;
using Lguest.Insight.Memory;
using Lguest.Insight.Profiles;
using Lguest.Insight.Stacks;
using Lguest.Insight.Symbols;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;

namespace Lguest.Running.Debugging;

/// <summary>
/// Looks every so many instructions at the functions on the kernel's stack. In virtual time these are the same in every run; a guest that
/// sleeps executes nothing, and isn't in it.
/// </summary>
internal sealed class Profiler : IGuestObserver
{
    /// <summary>Instructions between two looks: a prime, so that no loop keeps in step with them.</summary>
    private const ulong Interval = 9_973;

    private const string InUserMode = "[user]";
    private const string Unknown = "[unknown]";

    private readonly DebugOptions _options;
    private readonly Profile _profile = new();
    private readonly Profile? _before;
    private readonly WholeFile? _folded;
    private readonly WholeFile? _picture;
    private SymbolTable? _symbols;
    private StackWalker? _walker;
    private uint _pageOffset;
    private ulong _counted;

    /// <summary>Opens what is wanted, before there is anything to write.</summary>
    /// <exception cref="ReportException">A file can't be written.</exception>
    /// <exception cref="BackendException">The profile to compare with can't be read.</exception>
    public Profiler(DebugOptions options)
    {
        _options = options;
        if (options.Profile is { } path)
        {
            _folded = WholeFile.At(path);
            _picture = WholeFile.At($"{path}.svg");
        }

        _before = options.Comparison is { } comparison ? Read(comparison.Path) : null;
    }

    /// <summary>Begins.</summary>
    /// <param name="guest">The guest, before its run.</param>
    /// <param name="symbols">The kernel's symbols; null if there are none.</param>
    /// <param name="pageOffset">Where the kernel maps physical address 0.</param>
    /// <exception cref="BackendException">There are no symbols.</exception>
    public void Attach(Guest guest, SymbolTable? symbols, uint pageOffset)
    {
        Option wish = _options.Profile is null ? Options.ProfileCompare : Options.Profile;
        _symbols = symbols ?? throw new BackendException($"--{wish.Name} needs the kernel's symbols: give its vmlinux, or have System.map beside it");
        _pageOffset = pageOffset;
        _walker = new StackWalker(new DirectMapReader(new ProcessorMemoryReader(guest.Processor, guest.PhysicalMemory), pageOffset), symbols);
        guest.Observe(this);
    }

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        // Others may have asked for this look.
        ulong since = guest.Processor.Retired - _counted;
        if (since < Interval)
        {
            return NextLook.AfterInstructions(Interval - since);
        }

        Count(guest);
        return NextLook.AfterInstructions(Interval);
    }

    /// <summary>Writes the profile, and compares it.</summary>
    /// <param name="guest">The guest, after its run.</param>
    /// <returns>What is to be said of the comparison; nothing when it is good.</returns>
    /// <exception cref="ReportException">It can't be written.</exception>
    public IReadOnlyList<RunFinding> Finish(Guest guest)
    {
        Count(guest);
        _folded?.Write(_profile.Write);
        _picture?.Write(output => FlameGraph.Write(_profile, "Instructions of the guest", output));
        return _before is not null && _options.Comparison is { } comparison
            && ProfileComparison.Complaint(_before, _profile, comparison.AllowedPercent, comparison.Path) is { } sentence
            ? [ExitCodeTable.Find(RunCondition.ExpectationFailed, sentence)]
            : [];
    }

    private static Profile Read(string path)
    {
        try
        {
            using var text = new StreamReader(HostFile.OpenForReading(path));
            return Profile.Read(text);
        }
        catch (FormatException e)
        {
            throw new BackendException($"'{path}' is no profile: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackendException($"the profile '{path}' cannot be read: {e.Message.TrimEnd('.')}", e);
        }
    }

    private void Count(Guest guest)
    {
        ulong retired = guest.Processor.Retired;
        if (retired > _counted)
        {
            _profile.Add(Functions(ref guest.Processor.State), retired - _counted);
            _counted = retired;
        }
    }

    private string[] Functions(ref ProcessorState state)
    {
        if (state.Cpl == 3)
        {
            return [InUserMode];
        }

        // A return address is after its call, which may be the caller's last instruction.
        bool isMapped = state.Eip >= _pageOffset;
        IReadOnlyList<StackEntry> stack = isMapped ? _walker!.Walk(state.Eip, state.Esp, state.Ebp) : [];
        string[] names = [.. stack.Where(entry => entry.IsCertain).Select((entry, i) => Name(i == 0 ? entry.Address : entry.Address - 1))];
        Array.Reverse(names);
        return names.Length == 0 ? [Unknown] : names;
    }

    private string Name(uint address) => _symbols!.TryFindFunction(address, out Symbol symbol, out _) ? symbol.Name : Unknown;
}
