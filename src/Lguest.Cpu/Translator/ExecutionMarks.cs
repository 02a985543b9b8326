using Iced.Intel;
using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Translator;

/// <summary>
/// Which encodings translated code has executed: a byte for each of Iced's codes, behind the jump cache, that the code itself sets.
/// A test mode: without it, a comparison of the engines that the translator left to the interpreter would prove nothing.
/// </summary>
internal static unsafe class ExecutionMarks
{
    /// <summary>Bytes of all marks.</summary>
    public const int Bytes = 8192;

    /// <summary>Distance of the marks from the state.</summary>
    public static int StateOffset => TranslationBuffer.StateOffset + TranslationBuffer.BytesWithJumpCache;

    /// <summary>Distance of an encoding's mark from the state.</summary>
    public static int OffsetOf(Code code) => StateOffset + (int)code;

    /// <summary>The encodings that have a mark.</summary>
    public static IReadOnlyList<Code> Read(Processor processor)
    {
        var marks = new ReadOnlySpan<byte>((byte*)processor.StatePointer + StateOffset, Bytes);
        var codes = new List<Code>();
        for (int code = 0; code < marks.Length; code++)
        {
            if (marks[code] != 0)
            {
                codes.Add((Code)code);
            }
        }

        return codes;
    }
}
