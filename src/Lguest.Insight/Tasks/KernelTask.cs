namespace Lguest.Insight.Tasks;

/// <summary>A process or a kernel thread, as the kernel's list of tasks has it.</summary>
/// <param name="Id">Its PID; 0 is the idle task.</param>
/// <param name="Name">Its name (comm): whatever a program calls itself.</param>
/// <param name="State">What it waits for; null where that isn't known.</param>
/// <param name="IsCurrent">Whether the processor executes it.</param>
/// <param name="StackPointer">Where it was when it was switched away from; of no meaning for the current one.</param>
public readonly record struct KernelTask(uint Id, string Name, TaskState? State, bool IsCurrent, uint StackPointer);

/// <summary>What a task waits for (Linux, include/linux/sched.h).</summary>
public enum TaskState
{
    /// <summary>For the processor, if for anything.</summary>
    Running,

    /// <summary>For something, or a signal.</summary>
    Sleeping,

    /// <summary>For something, and no signal ends that: D.</summary>
    DiskSleep,

    /// <summary>For something to do, as a kernel thread does: like D, but no load.</summary>
    Idle,

    /// <summary>For whoever stopped it.</summary>
    Stopped,

    /// <summary>For nothing any more.</summary>
    Dead,
}
