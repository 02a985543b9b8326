using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>Which kinds of breakpoints are enabled in DR7.</summary>
[Flags]
internal enum Breakpoints : uint
{
    /// <summary>None, as nearly always.</summary>
    None = 0,

    /// <summary>Some are on instructions.</summary>
    Instructions = 1,

    /// <summary>Some are on data.</summary>
    Data = 2,
}

/// <summary>Bits of the debug registers, and what the breakpoints in them match (SDM 3B, 17.2).</summary>
/// <remarks>
/// While any breakpoint is enabled, instructions execute one at a time, and data accesses take the slow path. The accesses
/// that the processor makes for itself (descriptors, frames of far transfers and exceptions) aren't watched. There are no I/O
/// breakpoints, as CR4.DE isn't claimed.
/// </remarks>
internal static unsafe class Debug
{
    /// <summary>DR6's B0 to B3: the breakpoints that the last #DB met.</summary>
    public const uint StatusBreakpoints = (1 << Count) - 1;

    /// <summary>DR6.BD: a debug register was used with <see cref="GeneralDetect"/> set.</summary>
    public const uint StatusAccess = 1 << 13;

    /// <summary>DR6.BS: a single step.</summary>
    public const uint StatusSingleStep = 1 << 14;

    /// <summary>DR6.BT: a task switch to a task with its T bit set.</summary>
    public const uint StatusTaskSwitch = 1 << 15;

    /// <summary>DR7.GD: using a debug register raises #DB.</summary>
    public const uint GeneralDetect = 1 << 13;

    /// <summary>DR7's L0 to L3, which a task switch clears.</summary>
    public const uint LocalEnables = 0x55;

    private const uint StatusOnes = 0xffff_0ff0;
    private const uint StatusWritable = 0x0000_e00f;
    private const uint ControlOnes = 0x0000_0400;
    private const uint ControlWritable = 0xffff_23ff;
    private const int Count = 4;
    private const uint OnInstruction = 0;
    private const uint OnWrite = 1;
    private const uint OnReadOrWrite = 3;

    /// <summary>The value that a debug register takes when one is written to it.</summary>
    public static uint Normalize(int number, uint value) => number switch
    {
        6 => (value & StatusWritable) | StatusOnes,
        7 => (value & ControlWritable) | ControlOnes,
        _ => value,
    };

    /// <summary>The kinds of breakpoints that a value of DR7 enables.</summary>
    public static Breakpoints KindsOf(uint control)
    {
        const uint AnyEnabled = 0xff;
        var kinds = Breakpoints.None;
        if ((control & AnyEnabled) == 0)
        {
            return kinds;
        }

        for (int i = 0; i < Count; i++)
        {
            if (IsEnabled(control, i))
            {
                kinds |= Condition(control, i) switch
                {
                    OnInstruction => Breakpoints.Instructions,
                    OnWrite or OnReadOrWrite => Breakpoints.Data,
                    _ => Breakpoints.None,
                };
            }
        }

        return kinds;
    }

    /// <summary>Bits of DR6 for the breakpoints on an instruction.</summary>
    public static uint MatchInstruction(ProcessorState* s, uint linear)
    {
        uint control = s->GetDebug(7);
        uint status = 0;
        for (int i = 0; i < Count; i++)
        {
            if (IsEnabled(control, i) && Condition(control, i) == OnInstruction && s->GetDebug(i) == linear)
            {
                status |= 1u << i;
            }
        }

        return status;
    }

    /// <summary>Bits of DR6 for the breakpoints on bytes that are read or written.</summary>
    public static uint MatchData(ProcessorState* s, uint linear, uint size, AccessKind kind)
    {
        uint control = s->GetDebug(7);
        uint status = 0;
        for (int i = 0; i < Count; i++)
        {
            uint condition = Condition(control, i);
            bool counts = condition == OnReadOrWrite || (condition == OnWrite && kind != AccessKind.Read);
            uint length = Length(control, i);
            uint start = s->GetDebug(i) & ~(length - 1);
            bool overlaps = linear - start < length || start - linear < size;
            if (IsEnabled(control, i) && counts && overlaps)
            {
                status |= 1u << i;
            }
        }

        return status;
    }

    /// <summary>
    /// Puts the reasons of a #DB into DR6: the breakpoints that are met now, and no others, while the rest only ever adds up (SDM 3B,
    /// 17.2.3).
    /// </summary>
    public static void Report(ProcessorState* s, uint status)
    {
        s->SetDebug(6, (s->GetDebug(6) & ~StatusBreakpoints) | status);
    }

    private static bool IsEnabled(uint control, int number) => (control & (3u << (2 * number))) != 0;

    private static uint Condition(uint control, int number) => (control >> (16 + (4 * number))) & 3;

    /// <summary>1, 2 or 4 bytes; 8 is for 64-bit processors.</summary>
    private static uint Length(uint control, int number) => ((control >> (18 + (4 * number))) & 3) switch
    {
        0 => 1,
        1 => 2,
        _ => 4,
    };
}
