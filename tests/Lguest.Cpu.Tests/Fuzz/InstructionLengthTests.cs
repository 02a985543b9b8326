using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>Where instructions end, sound and undefined ones.</summary>
[ResultsUnchecked]
public sealed unsafe class InstructionLengthTests
{
    private const int LongestInstruction = 15;

    /// <summary>
    /// Sound opcodes, some that LOCK makes undefined, and undefined ones: without a ModRM, with one that is wrong, with an immediate
    /// after it, and with an address between the two.
    /// </summary>
    public static TheoryData<string> Opcodes() =>
    [
        "90", "01C0", "0FAFC0", "F001C0", "F081C044332211", "0F0A", "0F04", "0F24", "0F27", "0F36", "DED8",
        "FEF0", "FFF8", "8DC0", "8CF8", "0F00F0", "0FB2C0", "0FC7C0", "C6C800", "C6480100", "C74C200144332211",
        "C60800", "0F71C000", "0F73DA00", "0FBAC000", "0FC50000", "F20FC6C000", "0F3800C1", "0F38FFC0", "0F3A0FC108", "0F3A00C000",
    ];

    [Theory]
    [MemberData(nameof(Opcodes))]
    public void Fifteen_bytes_mean_what_they_say_and_sixteen_are_a_protection_fault(string opcode)
    {
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor can't be caught here.");
        using var native = new NativeProcessor();
        using var machine = new Machine();
        byte[] end = Convert.FromHexString(opcode);
        byte[][] prefixes = [[0x2E], [0x3E, 0x26], [0x36]];
        foreach (byte[] prefix in prefixes)
        {
            for (int length = end.Length; length <= 18; length++)
            {
                int count = length - end.Length;
                byte[] code = [.. Enumerable.Range(0, count).Select(i => prefix[i % prefix.Length]), .. end];
                native.State->Reset();
                native.State->General[0] = native.ScratchAddress;
                native.Execute(code);
                long expected = native.State->Signal == 0 ? -1 : (long)native.State->Vector;
                machine.Exceptions.Clear();
                machine.Execute(code);
                int actual = machine.Exceptions.Count == 0 ? -1 : machine.Exceptions[0].Vector;
                Assert.True(actual == expected, $"{Convert.ToHexString(code)} ({length} bytes): {actual}, the host's processor {expected}");
            }
        }
    }

    /// <summary>Undefined opcodes of which Intel's processors fetch more than AMD's (VendorTests).</summary>
    public static TheoryData<string> OpcodesOfIntel() => ["0F3F49898702000000", "0F7B4989", "0FA64989"];

    [Theory]
    [MemberData(nameof(Opcodes))]
    [MemberData(nameof(OpcodesOfIntel))]
    public void What_belongs_to_an_opcode_is_fetched_before_it_is_found_undefined(string opcode)
    {
        byte[] code = Convert.FromHexString(opcode);
        for (int present = 1; present <= code.Length; present++)
        {
            using var machine = new PagedMachine();
            uint end = Machine.CodeBase + PagedMachine.PageSize;
            machine.Unmap(end);
            machine.Cpu.State.Eax = Machine.DataBase;
            machine.Machine.Memory.Write(end - (uint)present, code.AsSpan(0, present));
            machine.Cpu.State.Eip = end - (uint)present;
            machine.Cpu.Run(1);
            bool isFetchFault = machine.Machine.Exceptions is [{ Vector: ExceptionVector.PageFault } fault] && fault.Address == end;
            Assert.True(isFetchFault == present < code.Length, $"{opcode}, {present} bytes before the missing page");
        }
    }

    [Theory]
    [InlineData(16)]
    [InlineData(32)]
    public void Lengths_are_those_that_a_decoder_finds(int bitness)
    {
        const int samples = 100_000;
        Random random = TestSize.SeededRandom(nameof(Lengths_are_those_that_a_decoder_finds));
        byte[] code = new byte[LongestInstruction + 1];
        var decoded = new HashSet<Code>();
        for (int i = 0; i < samples; i++)
        {
            random.NextBytes(code);
            if (random.Next(2) == 0)
            {
                code[0] = 0x0F;
            }

            Instruction instruction = Decoder.Create(bitness, code).Decode();
            if (instruction.IsInvalid || instruction.OpCode.Encoding != EncodingKind.Legacy || IsOfOthers(instruction))
            {
                continue;
            }

            decoded.Add(instruction.Code);
            int length = InstructionLength.Measure(code, bitness == 32);
            Assert.True(length == instruction.Length, $"{Convert.ToHexString(code)} {instruction}: {length}");
            int cut = random.Next(length);
            Assert.True(InstructionLength.Measure(code.AsSpan(0, cut), bitness == 32) > cut, $"{Convert.ToHexString(code)}: {cut}");
        }

        Assert.True(decoded.Count > 700, $"{decoded.Count} encodings are too few.");
    }

    /// <summary>Opcodes to which only processors of VIA, or AMD's SSE4A, add a byte.</summary>
    private static bool IsOfOthers(in Instruction instruction) => Array.Exists(
        instruction.CpuidFeatures,
        feature => feature == CpuidFeature.SSE4A || feature.ToString().StartsWith("PADLOCK", StringComparison.Ordinal));
}
