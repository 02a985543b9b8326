using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>FXSAVE and FXRSTOR.</summary>
public sealed unsafe class SimdSaveTests : IDisposable
{
    private const int Seed = 512;
    private const int AreaBytes = 512;

    /// <summary>Where what the processor uses in 32-bit mode ends.</summary>
    private const int UsedBytes = 288;

    private const int X87Offset = 32;
    private const uint MxcsrMask = 0xFFFF;

    // FXSAVE [ESI] and FXRSTOR [ESI], or RSI.
    private static readonly byte[] Save = [0x0F, 0xAE, 0x06];
    private static readonly byte[] Restore = [0x0F, 0xAE, 0x0E];

    private readonly Machine _machine = new();
    private readonly SimdValues _values = new(Seed);

    public SimdSaveTests() => _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void The_image_has_every_register_where_the_real_processor_puts_it()
    {
        NativeProcessor.SkipUnlessSupported();
        using var native = new NativeProcessor();
        for (int round = 0; round < 200; round++)
        {
            native.State->Reset();
            FillState(ref native.State->Fx);
            native.State->General[6] = native.ScratchAddress;
            Import(ref native.State->Fx);
            native.Execute(Save);
            SaveAt(Machine.DataBase);

            ReadOnlySpan<byte> expected = new(native.State->Scratch, AreaBytes);
            ReadOnlySpan<byte> actual = _machine.Memory.Span(Machine.DataBase, AreaBytes);
            Assert.Equal(expected[..6], actual[..6]);
            Assert.Equal(Mxcsr(expected), Mxcsr(actual));
            Assert.Equal(MxcsrMask, MemoryMarshal.Read<uint>(actual[28..]));
            Assert.Equal(expected[X87Offset..UsedBytes], actual[X87Offset..UsedBytes]);
        }

        static uint Mxcsr(ReadOnlySpan<byte> image) => MemoryMarshal.Read<uint>(image[24..]);
    }

    [Fact]
    public void Restoring_an_image_gives_the_state_that_the_real_processor_makes_of_it()
    {
        NativeProcessor.SkipUnlessSupported();
        using var native = new NativeProcessor();
        for (int round = 0; round < 500; round++)
        {
            var image = new Span<byte>(native.State->Scratch, AreaBytes);
            native.State->Reset();
            FillImage(image);
            native.State->General[6] = native.ScratchAddress;
            _machine.Memory.Write(Machine.DataBase, image);
            native.Execute(Restore);
            RestoreAt(Machine.DataBase);

            ref ProcessorState ours = ref _machine.Cpu.State;
            ref FxsaveImage theirs = ref native.State->Fx;
            Assert.Equal(theirs.Control, ours.X87.Control);
            Assert.Equal(theirs.Status, ours.X87.Status);
            Assert.Equal(theirs.Valid, ours.X87.Valid);
            Assert.Equal(theirs.Mxcsr, ours.Mxcsr);
            for (int i = 0; i < 8; i++)
            {
                Float80 register = ours.X87.Registers[(theirs.Top + i) & 7];
                Assert.Equal(theirs.St(i).Significand, register.Significand);
                Assert.Equal(theirs.St(i).SignExponent, register.SignExponent);
                Assert.Equal(theirs.Xmm(i).Low, ours.Sse.Registers[i].Low);
                Assert.Equal(theirs.Xmm(i).High, ours.Sse.Registers[i].High);
            }
        }
    }

    [Fact]
    public void What_is_saved_and_restored_is_what_it_was()
    {
        FxsaveImage state = default;
        FillState(ref state);
        Import(ref state);
        _machine.Cpu.State.X87.LastOpcode = 0x5A5;
        _machine.Cpu.State.X87.InstructionPointer = 0x1234_5678;
        _machine.Cpu.State.X87.DataPointer = 0x9ABC_DEF0;
        X87State x87 = _machine.Cpu.State.X87;
        SseState sse = _machine.Cpu.State.Sse;

        SaveAt(Machine.DataBase);
        _machine.Cpu.State.X87 = default;
        _machine.Cpu.State.Sse = default;
        RestoreAt(Machine.DataBase);

        Assert.Equal(Bytes(x87), Bytes(_machine.Cpu.State.X87));
        Assert.Equal(Bytes(sse), Bytes(_machine.Cpu.State.Sse));
    }

    [Fact]
    public void Saving_leaves_the_reserved_end_of_the_area_alone()
    {
        _machine.Memory.Span(Machine.DataBase, AreaBytes).Fill(0xA5);
        SaveAt(Machine.DataBase);
        Assert.DoesNotContain(
            _machine.Memory.Span(Machine.DataBase + UsedBytes, AreaBytes - UsedBytes).ToArray(), value => value != 0xA5);
    }

    [Fact]
    public void Without_OSFXSR_the_XMM_registers_stay_out_of_it()
    {
        const uint xmmOffset = 160;
        _machine.Cpu.WriteControlRegister(4, 0);
        _machine.Memory.Span(Machine.DataBase, AreaBytes).Fill(0xA5);
        _machine.Cpu.State.Sse.Registers[0].Low = 1;
        SaveAt(Machine.DataBase);
        Assert.Equal(0xA5A5_A5A5, _machine.ReadUInt32(Machine.DataBase + xmmOffset));

        RestoreAt(Machine.DataBase);
        Assert.Equal(1ul, _machine.Cpu.State.Sse.Registers[0].Low);
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(8u)]
    public void An_area_that_is_not_aligned_to_16_bytes_is_a_general_protection_fault(uint offset)
    {
        foreach (byte[] instruction in (byte[][])[Save, Restore])
        {
            _machine.Exceptions.Clear();
            _machine.Cpu.State.Esi = Machine.DataBase + offset;
            _machine.Execute(instruction);
            Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
            Assert.Equal(0u, _machine.SingleException().ErrorCode);
        }
    }

    [Fact]
    public void An_image_with_reserved_bits_of_MXCSR_is_a_general_protection_fault_and_restores_nothing()
    {
        SaveAt(Machine.DataBase);
        _machine.WriteUInt32(Machine.DataBase + 24, 0x1_1F80);
        _machine.Cpu.State.X87.Control = 0x27F;
        _machine.Cpu.State.Esi = Machine.DataBase;
        _machine.Execute(Restore);
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
        Assert.Equal(0x27F, _machine.Cpu.State.X87.Control);
    }

    [Theory]
    [InlineData(0u, IdentityMap.Missing)]
    [InlineData(0u, IdentityMap.ReadOnly)]
    [InlineData(0x1000u, IdentityMap.Missing)]
    [InlineData(0x1000u, IdentityMap.ReadOnly)]
    public void A_fault_on_either_page_of_the_area_changes_nothing_and_can_be_restarted(uint badPage, uint flags)
    {
        var map = new IdentityMap(_machine);
        const uint pages = 0x6000;
        const uint area = pages + 0x1000 - 256;
        _machine.Memory.Span(area, AreaBytes).Fill(0x11);
        _machine.Cpu.State.X87.Control = 0x27F;
        map.Set(pages + badPage, flags);

        _machine.Cpu.State.Esi = area;
        _machine.Execute(Save);
        ExceptionInfo fault = _machine.SingleException();
        Assert.Equal(ExceptionVector.PageFault, fault.Vector);
        uint protection = flags == IdentityMap.Missing ? 0 : PageFaultError.Protection;
        Assert.Equal(PageFaultError.Write | protection, fault.ErrorCode);
        Assert.Equal(pages + badPage, fault.Address & ~0xFFFu);
        Assert.DoesNotContain(_machine.Memory.Span(area, AreaBytes).ToArray(), value => value != 0x11);

        map.Set(pages + badPage, IdentityMap.Everything);
        _machine.Exceptions.Clear();
        _machine.Cpu.Run(1);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(0x27Fu, _machine.ReadUInt32(area) & 0xFFFF);

        map.Set(pages + badPage, flags);
        _machine.Cpu.State.X87.Control = 0x37F;
        _machine.Execute(Restore);
        if (flags == IdentityMap.Missing)
        {
            Assert.Equal(ExceptionVector.PageFault, _machine.SingleException().Vector);
            Assert.Equal(0u, _machine.SingleException().ErrorCode);
            Assert.Equal(0x37F, _machine.Cpu.State.X87.Control);
        }
        else
        {
            Assert.Empty(_machine.Exceptions);
            Assert.Equal(0x27F, _machine.Cpu.State.X87.Control);
        }
    }

    [Fact]
    public void All_512_bytes_must_lie_within_the_segment()
    {
        const byte fsPrefix = 0x64;
        SegmentRegister segment = _machine.Cpu.State.Ds;
        segment.Limit = Machine.DataBase + AreaBytes - 2;
        _machine.Cpu.SetSegment(SegmentName.Fs, segment);
        _machine.Memory.Span(Machine.DataBase, AreaBytes).Fill(0x11);
        _machine.Cpu.State.Esi = Machine.DataBase;
        foreach (byte[] instruction in (byte[][])[Save, Restore])
        {
            _machine.Exceptions.Clear();
            _machine.Execute([fsPrefix, .. instruction]);
            Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
            Assert.DoesNotContain(
                _machine.Memory.Span(Machine.DataBase, AreaBytes).ToArray(), value => value != 0x11);
        }
    }

    private void SaveAt(uint address)
    {
        _machine.Cpu.State.Esi = address;
        _machine.Execute(Save);
        Assert.Empty(_machine.Exceptions);
    }

    private void RestoreAt(uint address)
    {
        _machine.Cpu.State.Esi = address;
        _machine.Execute(Restore);
        Assert.Empty(_machine.Exceptions);
    }

    private void FillState(ref FxsaveImage state)
    {
        state.Control = 0x37F;
        state.Status = (ushort)(_values.NextUInt32() & 0x7F7F);
        state.Valid = (byte)_values.Next(256);
        state.Mxcsr = _values.NextMxcsr(masked: true);
        for (int i = 0; i < 8; i++)
        {
            state.St(i) = state.St(i) with { Significand = _values.NextUInt64() };
            state.St(i) = state.St(i) with { SignExponent = (ushort)_values.Next(1 << 16) };
            state.Xmm(i).Low = _values.NextUInt64();
            state.Xmm(i).High = _values.NextUInt64();
        }
    }

    private void FillImage(Span<byte> image)
    {
        for (int i = 0; i < image.Length; i += sizeof(ulong))
        {
            ulong value = _values.NextUInt64();
            MemoryMarshal.Write(image[i..], in value);
        }

        uint mxcsr = _values.NextMxcsr(masked: true);
        MemoryMarshal.Write(image[24..], in mxcsr);
    }

    private void Import(ref FxsaveImage state)
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        ours.X87.Control = state.Control;
        ours.X87.Status = state.Status;
        ours.X87.Valid = state.Valid;
        ours.Mxcsr = state.Mxcsr;
        for (int i = 0; i < 8; i++)
        {
            ours.X87.Registers[(state.Top + i) & 7] = state.St(i);
            ours.Sse.Registers[i] = state.Xmm(i);
        }
    }

    private static byte[] Bytes<T>(T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();
}
