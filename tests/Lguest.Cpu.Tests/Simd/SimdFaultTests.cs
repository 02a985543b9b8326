using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>Memory operands that aren't aligned, or that lie where they mustn't.</summary>
[ResultsUnchecked]
public sealed unsafe class SimdFaultTests : IDisposable
{
    private const uint BadPage = Machine.DataBase + 0x1000;

    private readonly SimdComparison _comparison = new();
    private uint _address;

    private Machine Machine => _comparison.Machine;

    public static TheoryData<Code> Instructions() =>
        [.. SimdForm.Codes.Where(code => SimdForm.Of(code).Any(form => form.HasMemory))];

    public static TheoryData<Code> PlainInstructions() => [.. SimdForm.Codes.Where(code => SimdForm.Of(code).Any(
        form => form.HasMemory && !form.IsMaskedMove && (form.MemoryBytes < 16 || form.MustBeAligned)))];

    public void Dispose() => _comparison.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_misaligned_operand_is_a_general_protection_fault_where_the_real_processor_says_so(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        SimdForm form = MemoryForm(code);
        foreach (uint offset in (uint[])[1, 2, 4, 8, 16])
        {
            _comparison.Reset();
            _comparison.MemoryOffset = offset;
            _comparison.Load(form);
            _comparison.Compare();
            _comparison.LoadThroughFs(form);
            _comparison.Reset();
            _comparison.Compare();
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_that_reaches_into_a_missing_page_is_a_page_fault_and_changes_nothing(Code code)
    {
        var map = new IdentityMap(Machine);
        map.Set(BadPage, IdentityMap.Missing);
        SimdForm form = MemoryForm(code);
        _address = Machine.WriteAlone(form.Bytes);

        // The last place where it doesn't, which no page fault must mind.
        Execute(BadPage - form.MemoryBytes);
        Assert.Empty(Machine.Exceptions);

        for (uint inside = 1; inside <= form.MemoryBytes; inside++)
        {
            if (form.MustBeAligned && inside != form.MemoryBytes)
            {
                continue;
            }

            byte[] before = Execute(BadPage - form.MemoryBytes + inside);
            ExceptionInfo fault = Machine.SingleException();
            Assert.Equal(ExceptionVector.PageFault, fault.Vector);
            Assert.Equal(BadPage, fault.Address);
            Assert.Equal(form.IsStore ? PageFaultError.Write : 0, fault.ErrorCode);
            Assert.Equal(before, EveryByte());
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_store_to_a_read_only_page_is_a_page_fault_and_a_load_is_not(Code code)
    {
        var map = new IdentityMap(Machine);
        map.Set(BadPage, IdentityMap.ReadOnly);
        SimdForm form = MemoryForm(code);
        _address = Machine.WriteAlone(form.Bytes);
        byte[] before = Execute(BadPage);
        if (form.IsStore)
        {
            Assert.Equal(ExceptionVector.PageFault, Machine.SingleException().Vector);
            Assert.Equal(PageFaultError.Write | PageFaultError.Protection, Machine.SingleException().ErrorCode);
            Assert.Equal(before, EveryByte());
        }
        else
        {
            Assert.Empty(Machine.Exceptions);
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_beyond_its_segments_limit_is_a_fault_of_that_segment(Code code)
    {
        const byte fsPrefix = 0x64;
        const byte ssPrefix = 0x36;
        SimdForm form = MemoryForm(code);
        foreach ((byte prefix, SegmentName name, int vector) in ((byte, SegmentName, int)[])
        [
            (fsPrefix, SegmentName.Fs, ExceptionVector.GeneralProtection),
            (ssPrefix, SegmentName.Ss, ExceptionVector.StackSegment),
        ])
        {
            SegmentRegister segment = Machine.Cpu.State.Ds;
            segment.Limit = Machine.DataBase + form.MemoryBytes - 1;
            Machine.Cpu.SetSegment(name, segment);
            _address = Machine.WriteAlone([prefix, .. form.Bytes]);
            Execute(Machine.DataBase);
            Assert.Empty(Machine.Exceptions);

            segment.Limit--;
            Machine.Cpu.SetSegment(name, segment);
            byte[] before = Execute(Machine.DataBase);
            Assert.Equal(vector, Machine.SingleException().Vector);
            Assert.Equal(0u, Machine.SingleException().ErrorCode);
            Assert.Equal(before, EveryByte());
        }
    }

    // Not of masked moves: how wide what they check is, and what they change before, differs among processors. Nor of what has
    // 16 bytes anywhere: vendors differ there (VendorTests).
    [Theory]
    [MemberData(nameof(PlainInstructions))]
    public void Alignment_checking_is_what_it_is_on_the_real_processor(Code code)
    {
        const ulong alignmentCheck = 1 << 18;
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        EnterRing3();
        SimdForm form = MemoryForm(code);
        _comparison.Load(form);
        foreach (uint offset in (uint[])[0, 1, 2, 3, 4, 8, 12, 16])
        {
            _comparison.Reset();
            _comparison.State->Flags |= alignmentCheck;
            _comparison.MemoryOffset = offset;
            _comparison.Compare();
        }
    }

    [Fact]
    public void A_masked_move_uses_DI_with_an_address_size_prefix()
    {
        Machine.Cpu.State.Sse.Registers[0] = new XmmRegister { Low = 0x11, High = 0x22 };
        Machine.Cpu.State.Sse.Registers[1] = new XmmRegister { Low = 0x80, High = 0x80 };
        Machine.Cpu.State.Edi = 0x5555_0000 | Machine.DataBase;
        Machine.Execute([0x67, 0x66, 0x0F, 0xF7, 0xC1]);
        Assert.Empty(Machine.Exceptions);
        Assert.Equal(0x11u, Machine.ReadUInt32(Machine.DataBase));
        Assert.Equal(0x22u, Machine.ReadUInt32(Machine.DataBase + 8));
    }

    private static SimdForm MemoryForm(Code code) => SimdForm.Of(code).First(form => form.HasMemory);

    /// <summary>Executes what was written once, with the operand at an address.</summary>
    /// <returns>The registers before.</returns>
    private byte[] Execute(uint address)
    {
        Machine.Exceptions.Clear();
        Machine.Cpu.State.Esi = Machine.Cpu.State.Edi = address;
        Machine.Cpu.State.Eip = _address;
        byte[] before = EveryByte();
        Machine.Cpu.Run(1);
        return before;
    }

    private byte[] EveryByte()
    {
        ref ProcessorState state = ref Machine.Cpu.State;
        List<byte> bytes = [];
        bytes.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<X87State>(in state.X87)));
        bytes.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<SseState>(in state.Sse)));
        for (int i = 0; i < 8; i++)
        {
            bytes.AddRange(BitConverter.GetBytes(state.GetGeneral(i)));
        }

        bytes.AddRange(BitConverter.GetBytes(state.Eip));
        return [.. bytes];
    }

    private void EnterRing3()
    {
        const ushort userCode = 3;
        SegmentRegister code = Machine.Cpu.State.Cs;
        code.Selector = userCode;
        Machine.Cpu.SetSegment(SegmentName.Cs, code);
        Machine.Cpu.WriteControlRegister(0, Machine.Cpu.ReadControlRegister(0) | Cr0.Am);
    }
}
