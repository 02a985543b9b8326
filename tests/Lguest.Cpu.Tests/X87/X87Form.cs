using Iced.Intel;
using Lguest.Cpu.Instructions.X87;

namespace Lguest.Cpu.Tests.X87;

/// <summary>
/// An encoding of an x87 instruction, the same in 32-bit and 64-bit mode. A memory operand is [ESI].
/// </summary>
/// <param name="Bytes">The instruction.</param>
/// <param name="Decoded">What Iced makes of it.</param>
public sealed record X87Form(byte[] Bytes, Instruction Decoded)
{
    private const byte FirstEscape = 0xD8;
    private const byte LastEscape = 0xDF;
    private const byte OperandSize = 0x66;
    private const byte Wait = 0x9B;
    private const int MemoryAtEsi = 0x06;
    private const int FirstRegisterForm = 0xC0;

    /// <summary>Every encoding: all of register forms, and one memory operand.</summary>
    public static X87Form[] All { get; } = [.. Enumerate()];

    /// <summary>Every instruction that has an encoding.</summary>
    public static IEnumerable<Code> Codes => All.Select(form => form.Code).Distinct();

    /// <summary>The instruction's identity, for choosing tests.</summary>
    public Code Code => Decoded.Code;

    /// <summary>Whether the result is an approximation, of which the last bits are the implementation's.</summary>
    public bool IsTranscendental => Decoded.Mnemonic
        is Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 or Mnemonic.Fpatan || IsAngular;

    /// <summary>Whether the operand is an angle.</summary>
    public bool IsAngular => Decoded.Mnemonic
        is Mnemonic.Fsin or Mnemonic.Fcos or Mnemonic.Fsincos or Mnemonic.Fptan;

    /// <summary>Bytes of a field of the environment, if the instruction stores or loads that; else 0.</summary>
    public int EnvironmentField => Decoded.MemorySize switch
    {
        MemorySize.FpuEnv14 or MemorySize.FpuState94 => sizeof(ushort),
        MemorySize.FpuEnv28 or MemorySize.FpuState108 => sizeof(uint),
        _ => 0,
    };

    /// <inheritdoc />
    public override string ToString() => $"{Convert.ToHexString(Bytes)} {Decoded}";

    private static IEnumerable<X87Form> Enumerate()
    {
        yield return Make([Wait]);
        for (int escape = FirstEscape; escape <= LastEscape; escape++)
        {
            for (int modrm = 0; modrm <= byte.MaxValue; modrm++)
            {
                bool memory = modrm < FirstRegisterForm;
                if (memory && (modrm & ~(7 << 3)) != MemoryAtEsi)
                {
                    continue;
                }

                X87Form form = Make([(byte)escape, (byte)modrm]);
                if (form.Decoded.IsInvalid)
                {
                    continue;
                }

                yield return form;
                if (form.EnvironmentField != 0)
                {
                    yield return Make([OperandSize, (byte)escape, (byte)modrm]);
                }
            }
        }
    }

    private static X87Form Make(byte[] bytes) => new(bytes, Decoder.Create(32, bytes).Decode());
}
