using Iced.Intel;

namespace Lguest.Cpu.Interpreter;

/// <summary>Byte offsets of registers in <see cref="ProcessorState"/>.</summary>
internal static class StateOffset
{
    /// <summary>EAX, AX, AL.</summary>
    public const byte Eax = 0;

    /// <summary>AH.</summary>
    public const byte Ah = 1;

    /// <summary>ECX, CX, CL.</summary>
    public const byte Ecx = 4;

    /// <summary>EDX, DX, DL.</summary>
    public const byte Edx = 8;

    /// <summary>EBX, BX, BL.</summary>
    public const byte Ebx = 12;

    /// <summary>ESP.</summary>
    public const byte Esp = 16;

    /// <summary>EBP.</summary>
    public const byte Ebp = 20;

    /// <summary>ESI.</summary>
    public const byte Esi = 24;

    /// <summary>EDI.</summary>
    public const byte Edi = 28;

    /// <summary>The register that is always 0.</summary>
    public const byte Zero = 32;

    /// <summary>The offset of a general register of any size.</summary>
    public static byte Of(Register register)
    {
        if (register.IsGPR32())
        {
            return (byte)(4 * (register - Register.EAX));
        }

        if (register.IsGPR16())
        {
            return (byte)(4 * (register - Register.AX));
        }

        int number = register - Register.AL;
        return (byte)(number < 4 ? 4 * number : (4 * (number - 4)) + 1);
    }

    /// <summary>The number of a segment register.</summary>
    public static byte OfSegment(Register register) => (byte)(register - Register.ES);
}
