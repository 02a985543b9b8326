using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>The stack of an inner privilege level, which the TSS names (SDM 3A, 5.8.5).</summary>
internal static unsafe class InnerStack
{
    /// <summary>Reads and checks SS and ESP of a level.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="privilege">0 to 2.</param>
    /// <param name="stack">SS, when the answer is true.</param>
    /// <param name="esp">ESP, when the answer is true.</param>
    /// <param name="fault">#TS, #SS or a page fault, when the answer is false.</param>
    public static bool TryLoad(
        Processor processor, int privilege, out SegmentRegister stack, out uint esp, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        stack = default;
        esp = 0;
        bool is32 = TaskState.Is32Bit(s->Tr.Access);
        uint word = is32 ? 4u : 2u;
        uint offset = ((uint)privilege * 2 * word) + word;
        uint length = word + sizeof(ushort);
        if (!s->Tr.IsUsable || offset + length - 1 > s->Tr.Limit)
        {
            fault = ExceptionInfo.Of(ExceptionVector.InvalidTss, Selector.ErrorCode(s->Tr.Selector));
            return false;
        }

        if (!LinearRange.TryMap(
            s, s->Tr.Base + offset, length, AccessKind.Read, user: false, out LinearRange range, ref fault))
        {
            return false;
        }

        esp = is32 ? range.ReadUInt32(0) : range.ReadUInt16(0);
        return SegmentLoader.TryLoadStack(
            processor, range.ReadUInt16(word), privilege, ExceptionVector.InvalidTss, out stack, ref fault);
    }
}
