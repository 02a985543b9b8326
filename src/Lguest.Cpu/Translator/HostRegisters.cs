using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <summary>
/// Which registers of the host have which of a 32-bit guest's while translated code runs. A mode with more registers would
/// have a table of its own.
/// </summary>
/// <remarks>
/// Seven of the eight keep their names, so that instructions can be copied as they are and AH to BH work. ESP is R12, as RSP is the
/// host's stack, always. The upper halves of all eight are 0. R8 to R11 are for whoever emits an instruction, within it. R13 is
/// the countdown, R14 the processor's state, and R15 the host's page of a group of accesses, within a block.
/// </remarks>
internal static class HostRegisters
{
    /// <summary>The host's register for a guest's, of the same size; itself for those of 8 bits.</summary>
    public static Register Of(Register guest) => guest switch
    {
        Register.ESP => Register.R12D,
        Register.SP => Register.R12W,
        _ => guest,
    };

    /// <summary>The host's register of 64 bits for a guest's of 32 in an address; none for none.</summary>
    public static Register OfAddress(Register guest) => guest switch
    {
        Register.None => Register.None,
        Register.ESP => Register.R12,
        _ => guest - Register.EAX + Register.RAX,
    };

    /// <summary>Whether it is AH, CH, DH or BH, which no instruction with a REX prefix can name.</summary>
    public static bool IsHighByte(Register register) =>
        register is Register.AH or Register.CH or Register.DH or Register.BH;
}
