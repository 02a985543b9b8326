using System.Globalization;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>
/// How much belongs to opcodes that mean nothing: prefixes before it, one more at a time, until the whole has more than 15 bytes and
/// is #GP rather than #UD.
/// </summary>
internal static unsafe class LengthCases
{
    private const int LongestInstruction = 15;
    private const byte Prefix = 0x2E;

    // As a ModRM: one byte of displacement. As a third byte of an opcode: the next is a ModRM with four.
    private static readonly byte[] Rest = [0x49, 0x89, 0x87, 0x00, 0x02, 0x00, 0x00, 0x90];

    /// <summary>All cases.</summary>
    public static IEnumerable<VendorCase> All =>
        Make("undefined opcode", 0x3F, 0x7B, 0xA6).Concat(Make("other undefined opcode", 0x39, 0x3B, 0x3C, 0x3D, 0x3E, 0x7A, 0xA7))
            .Append(new VendorCase("prefetch of a register", "0F 0D C0", OnHostPrefetch, OnOursPrefetch));

    private static IEnumerable<VendorCase> Make(string row, params byte[] opcodes) => opcodes.Select(opcode =>
        new VendorCase(row, $"0F {opcode:X2}, followed by {Convert.ToHexString(Rest)}", () => OnHost(opcode), () => OnOurs(opcode)));

    private static string? OnHost(byte opcode)
    {
        if (!NativeProcessor.CatchesFaults)
        {
            return null;
        }

        using var native = new NativeProcessor();
        return FindLimit(opcode, code =>
        {
            native.State->Reset();
            native.State->General[1] = native.ScratchAddress;
            native.Execute(code);
            return (int)native.State->Vector;
        });
    }

    private static string OnOurs(byte opcode)
    {
        using var machine = new Machine();
        return FindLimit(opcode, code =>
        {
            machine.Exceptions.Clear();
            machine.Execute(code);
            return machine.SingleException().Vector;
        });
    }

    private static string FindLimit(byte opcode, Func<byte[], int> execute)
    {
        for (int prefixes = 0; prefixes < LongestInstruction; prefixes++)
        {
            byte[] code = [.. Enumerable.Repeat(Prefix, prefixes), 0x0F, opcode, .. Rest];
            if (execute(code) == ExceptionVector.GeneralProtection)
            {
                return string.Create(CultureInfo.InvariantCulture, $"#GP with {prefixes + 2} bytes up to the opcode");
            }
        }

        return "never #GP";
    }

    private static string? OnHostPrefetch()
    {
        if (!NativeProcessor.CatchesFaults)
        {
            return null;
        }

        using var native = new NativeProcessor();
        native.Execute([0x0F, 0x0D, 0xC0]);
        return native.State->Signal == 0 ? "executes" : $"exception {native.State->Vector}";
    }

    private static string OnOursPrefetch()
    {
        using var machine = new Machine();
        machine.Execute([0x0F, 0x0D, 0xC0]);
        return machine.Exceptions.Count == 0 ? "executes" : $"exception {machine.Exceptions[0].Vector}";
    }
}
