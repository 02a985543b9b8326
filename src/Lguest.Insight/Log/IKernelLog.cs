using Lguest.Insight.Memory;

namespace Lguest.Insight.Log;

/// <summary>A kernel's log in its memory, followed while it grows and wraps.</summary>
/// <remarks>The guest can put anything there: what makes no sense is skipped, and no call takes long or much memory.</remarks>
public interface IKernelLog
{
    /// <summary>What kind of log it is, for messages.</summary>
    string Format { get; }

    /// <summary>How many records, or bytes in a log without records, were overwritten before they were read.</summary>
    ulong Lost { get; }

    /// <summary>Reads what has come since the last call.</summary>
    /// <param name="memory">The guest's memory; the guest stands still.</param>
    /// <param name="records">The new records are appended to it.</param>
    /// <param name="isEnd">Nothing more comes: what is unfinished is read too.</param>
    void Read(IGuestMemoryReader memory, ICollection<KernelRecord> records, bool isEnd = false);
}
