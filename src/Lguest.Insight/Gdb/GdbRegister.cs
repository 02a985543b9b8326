namespace Lguest.Insight.Gdb;

/// <summary>Which of gdb's features a register belongs to: gdb knows the first two by name.</summary>
internal enum GdbFeature
{
    /// <summary>org.gnu.gdb.i386.core.</summary>
    Core,

    /// <summary>org.gnu.gdb.i386.sse.</summary>
    Sse,

    /// <summary>Our own: control registers.</summary>
    System,
}

/// <summary>A register as gdb sees it. Its number is its place in <see cref="GdbRegisters.All"/>.</summary>
/// <param name="Name">gdb's name.</param>
/// <param name="Bytes">How many it has.</param>
/// <param name="Type">Its type in the target's description.</param>
/// <param name="Feature">Where it belongs.</param>
internal sealed record GdbRegister(string Name, int Bytes, string Type, GdbFeature Feature);
