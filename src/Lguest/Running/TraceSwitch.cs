using Lguest.Host;
using Lguest.Host.Observation;

namespace Lguest.Running;

/// <summary>Begins a trace at a count of instructions: it costs speed from then on, but not before.</summary>
/// <param name="tracer">What logs.</param>
/// <param name="retired">How many instructions come first; 0 to begin at once.</param>
internal sealed class TraceSwitch(InstructionTracer tracer, ulong retired) : IGuestObserver
{
    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        ulong done = guest.Processor.Retired;
        if (done < retired)
        {
            return NextLook.AfterInstructions(retired - done);
        }

        guest.Processor.Tracer = tracer;
        return NextLook.Never;
    }
}
