namespace Lguest.Host.Observation;

/// <summary>
/// Whoever looks at a running guest from outside: a limit, a warning, a health monitor, a debugger, a profiler. Give it to
/// <see cref="Guest.Observe"/>.
/// </summary>
public interface IGuestObserver
{
    /// <summary>
    /// Looks at the guest. Called first at the start of the next run, then when what it has asked for has come, and after each
    /// <see cref="Guest.RequestLook"/>.
    /// </summary>
    /// <remarks>
    /// <para>This is the processor's thread, between two instructions: all of the guest may be read, and the guest waits. Nobody
    /// else may read it, so another thread that wants to know something asks for a look and takes what the look left.</para>
    /// <para>Looks leave no trace in the guest: it executes the same instructions with any observers or none, in virtual time to
    /// the last one. An observer that changes the guest, as a debugger does, answers for that itself.</para>
    /// <para>It throws nothing.</para>
    /// </remarks>
    /// <param name="guest">The guest.</param>
    /// <returns>When to look again, and whether the run is to end.</returns>
    NextLook Look(Guest guest);
}
