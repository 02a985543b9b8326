using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Flags by their definitions (SDM 1, 3.4.3.1).</summary>
internal static class FlagModel
{
    /// <summary>SF, ZF and PF of a result.</summary>
    public static uint OfResult(uint value, int bits)
    {
        uint flags = value == 0 ? Eflags.Zf : 0u;
        flags |= (value >> (bits - 1)) != 0 ? Eflags.Sf : 0u;
        bool even = true;
        for (int bit = 0; bit < 8; bit++)
        {
            even ^= ((value >> bit) & 1) != 0;
        }

        return flags | (even ? Eflags.Pf : 0u);
    }
}
