using Iced.Intel;
using Lguest.Cpu.Translator;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>The translator's list of forms, by encoding.</summary>
internal static class TranslatedEncodings
{
    /// <summary>Whether an encoding is on the list, in one of its instances at least: with a register, or with memory.</summary>
    public static bool Contains(Code code) => EncodingSample.Of(code).Any(sample =>
    {
        Instruction instruction = EncodingSample.Decode(sample.Bytes, DecoderOptions.None);
        return instruction.Code == code && TranslatedForms.Of(instruction) != TranslatedForm.None;
    });

    /// <summary>All that are on the list.</summary>
    public static IEnumerable<Code> All => EncodingSample.All.Select(sample => sample.Code).Where(Contains);
}
