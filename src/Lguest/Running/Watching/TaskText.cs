using System.Globalization;
using Lguest.Results.Reports;

namespace Lguest.Running.Watching;

/// <summary>Tasks for people: a line each, and a line for each function on its stack.</summary>
internal static class TaskText
{
    /// <summary>The lines. What the guest has put into names can do nothing to a terminal.</summary>
    public static IEnumerable<string> Lines(IReadOnlyList<TaskReport> tasks)
    {
        if (tasks.Count == 0)
        {
            yield return "the kernel's tasks can't be told: that takes its symbols";
        }

        foreach (TaskReport task in tasks)
        {
            string state = task.IsCurrent ? "on the processor" : task.State ?? "unknown";
            yield return string.Create(CultureInfo.InvariantCulture, $"{task.Id,5} {GuestText.ForPeople(task.Name),-16} {state}");
            foreach (string function in task.Trace)
            {
                yield return $"        {function}";
            }
        }
    }
}
