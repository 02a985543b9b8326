using Lguest.Insight.Symbols;

namespace Lguest.Insight.Log;

/// <summary>Finds out which kind of log a kernel has.</summary>
public static class KernelLogs
{
    /// <summary>The log of a kernel, by the names of its variables.</summary>
    /// <returns>Null if it has none of the three kinds.</returns>
    public static IKernelLog? Find(SymbolTable symbols) =>
        (IKernelLog?)RingLog.Find(symbols) ?? (IKernelLog?)RecordLog.Find(symbols) ?? FlatLog.Find(symbols);
}
