using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>Where fifteen bytes end, against the real processor.</summary>
[ResultsUnchecked]
public sealed unsafe class InstructionLengthTests
{
    private const int LongestInstruction = 15;

    /// <summary>What follows the prefixes: undefined opcodes, sound ones, and one that LOCK makes undefined.</summary>
    public static TheoryData<string> Opcodes() => ["0F24C0", "0FA6C0", "90", "01C0", "F001C0", "0FAFC0"];

    [Theory]
    [MemberData(nameof(Opcodes))]
    public void Fifteen_bytes_mean_what_they_say_and_sixteen_are_a_protection_fault(string opcode)
    {
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor can't be caught here.");
        using var native = new NativeProcessor();
        using var machine = new Machine();
        byte[] end = Convert.FromHexString(opcode);
        byte[][] prefixes = [[0x66], [0x3E, 0x66], [0x2E]];
        foreach (byte[] prefix in prefixes)
        {
            for (int length = end.Length; length <= 18; length++)
            {
                int count = length - end.Length;
                byte[] code = [.. Enumerable.Range(0, count).Select(i => prefix[i % prefix.Length]), .. end];
                long expected = length > LongestInstruction ? ExceptionVector.GeneralProtection : Native(native, code);
                machine.Exceptions.Clear();
                machine.Execute(code);
                int actual = machine.Exceptions.Count == 0 ? -1 : machine.Exceptions[0].Vector;
                Assert.True(actual == expected, $"{Convert.ToHexString(code)} ({length} bytes): {actual}, expected {expected}");
            }
        }
    }

    /// <summary>The exception that the host's processor raises, or -1.</summary>
    private static long Native(NativeProcessor native, byte[] code)
    {
        native.State->Reset();
        native.Execute(code);
        return native.State->Signal == 0 ? -1 : (long)native.State->Vector;
    }
}
