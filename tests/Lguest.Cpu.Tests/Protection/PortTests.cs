using Iced.Intel;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>IN, OUT, INS and OUTS, and who may use them (SDM 1, 19).</summary>
public sealed class PortTests : IPortHandler, IDisposable
{
    private readonly ProtectedMachine _machine = new();
    private readonly List<(string Kind, ushort Port, int Size, uint Value)> _ports = [];

    public PortTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Ports = this;
    }

    private ref ProcessorState State => ref _machine.State;

    /// <summary>Port, size, bitmap's base and bytes from there, the TSS's limit, and whether it is allowed.</summary>
    public static TheoryData<ushort, int, byte[], uint, bool> Bitmaps => new()
    {
        { 0, 1, [0x00, 0xff], 0x69, true },
        { 0, 1, [0x01, 0xff], 0x69, false },
        { 7, 1, [0x7f, 0xff], 0x69, true },
        { 7, 2, [0x7f, 0x00, 0xff], 0x6a, true },
        { 7, 2, [0x7f, 0x01, 0xff], 0x6a, false },
        { 4, 4, [0x0f, 0xff], 0x69, true },
        { 4, 4, [0x8f, 0xff], 0x69, false },
        { 6, 4, [0x00, 0xfc, 0xff], 0x6a, true },
        { 6, 4, [0x00, 0xfe, 0xff], 0x6a, false },
        { 6, 4, [0x00, 0x02, 0xff], 0x6a, false },
        { 0, 1, [0x00, 0x00], 0x68, false },
        { 0, 1, [0x00, 0x00], 0x67, false },
        { 8, 1, [0x00, 0x00, 0x00], 0x69, false },
        { 0xffff, 1, [0x00, 0x00], 0x69, false },
    };

    [Theory]
    [MemberData(nameof(Bitmaps))]
    public void The_tss_can_allow_single_ports(ushort port, int size, byte[] bitmap, uint limit, bool allowed)
    {
        _machine.Machine.WriteUInt32(Tss + 0x64, 0x0068_0000);
        _machine.Memory.Write(Tss + 0x68, bitmap);
        State.Tr.Limit = limit;
        _machine.EnterRing(3);
        State.Edx = port;
        Execute(size switch
        {
            1 => [0xec],
            2 => [0x66, 0xed],
            _ => [0xed],
        });

        Assert.Equal(allowed ? 0 : 1, _machine.Exceptions.Count);
        Assert.Equal(allowed ? 1 : 0, _ports.Count);
    }

    [Theory]
    [InlineData(0x67, true)]
    [InlineData(0x66, false)]
    public void A_bitmap_counts_only_with_both_bytes_of_its_base(uint limit, bool allowed)
    {
        // The bitmap lies before its own base, so that the limit cuts nothing else.
        _machine.Machine.WriteUInt32(Tss + 0x64, 0x0064_0000);
        State.Tr.Limit = limit;
        _machine.EnterRing(3);
        State.Edx = 0;
        Execute([0xec]);
        Assert.Equal(allowed ? 0 : 1, _machine.Exceptions.Count);
    }

    [Fact]
    public void Ports_see_their_number_size_and_value()
    {
        State.Eax = 0x1234_5678;
        State.Edx = 0xabcd_0064;
        Execute([0xe6, 0x80, 0x66, 0xe7, 0x81, 0xef, 0xec, 0x66, 0xed, 0xe5, 0x99], 6);
        Assert.Equal(
            [
                ("out", 0x80, 1, 0x78u), ("out", 0x81, 2, 0x5678u), ("out", 0x64, 4, 0x1234_5678u),
                ("in", 0x64, 1, 0u), ("in", 0x64, 2, 0u), ("in", 0x99, 4, 0u),
            ],
            _ports.Select(p => (p.Kind, (int)p.Port, p.Size, p.Value)));
        Assert.Equal(0x9090_9099u, State.Eax);
    }

    /// <summary>Code, then what the handler sees, then EAX, or the memory at the pointer, afterwards.</summary>
    public static TheoryData<string, string, int, int, uint, uint> Forms => new()
    {
        { "E407", "in", 7, 1, 0, 0x1234_5607 },
        { "66E507", "in", 7, 2, 0, 0x1234_9007 },
        { "E507", "in", 7, 4, 0, 0x9090_9007 },
        { "EC", "in", 0x342, 1, 0, 0x1234_5642 },
        { "66ED", "in", 0x342, 2, 0, 0x1234_9042 },
        { "ED", "in", 0x342, 4, 0, 0x9090_9042 },
        { "E607", "out", 7, 1, 0x78, 0x1234_5678 },
        { "66E707", "out", 7, 2, 0x5678, 0x1234_5678 },
        { "E707", "out", 7, 4, 0x1234_5678, 0x1234_5678 },
        { "EE", "out", 0x342, 1, 0x78, 0x1234_5678 },
        { "66EF", "out", 0x342, 2, 0x5678, 0x1234_5678 },
        { "EF", "out", 0x342, 4, 0x1234_5678, 0x1234_5678 },
        { "6C", "in", 0x342, 1, 0, 0x8765_4342 },
        { "666D", "in", 0x342, 2, 0, 0x8765_9042 },
        { "6D", "in", 0x342, 4, 0, 0x9090_9042 },
        { "6E", "out", 0x342, 1, 0x21, 0x8765_4321 },
        { "666F", "out", 0x342, 2, 0x4321, 0x8765_4321 },
        { "6F", "out", 0x342, 4, 0x8765_4321, 0x8765_4321 },
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public void Every_form_moves_its_size_between_its_port_and_eax_or_memory(
        string code, string kind, int port, int size, uint value, uint after)
    {
        bool isString = code[^2] == '6';
        foreach (bool backwards in (bool[])[false, true])
        {
            _ports.Clear();
            State.Eax = 0x1234_5678;
            State.Edx = 0xabcd_0342;
            State.Esi = State.Edi = 0x2000;
            _machine.Machine.WriteUInt32(0x2000, 0x8765_4321);
            _machine.Cpu.Eflags = backwards ? Eflags.Df : 0u;
            Execute(Convert.FromHexString(code));
            Assert.Empty(_machine.Exceptions);
            Assert.Equal([(kind, (ushort)port, size, value)], _ports);
            Assert.Equal(after, isString ? _machine.Machine.ReadUInt32(0x2000) : State.Eax);
            uint moved = (uint)(0x2000 + (backwards ? -size : size));
            Assert.Equal(isString && kind == "in" ? moved : 0x2000, State.Edi);
            Assert.Equal(isString && kind == "out" ? moved : 0x2000, State.Esi);
        }
    }

    [Fact]
    public void An_input_replaces_only_its_part_of_eax()
    {
        State.Eax = 0x1234_5678;
        State.Edx = 0x99;
        Execute([0xec]);
        Assert.Equal(0x1234_5699u, State.Eax);
        Execute([0x66, 0xed]);
        Assert.Equal(0x1234_9099u, State.Eax);
    }

    [Theory]
    [InlineData(0, 1, false)]
    [InlineData(1, 1, true)]
    [InlineData(1, 3, false)]
    [InlineData(3, 3, true)]
    public void A_host_can_let_in_and_out_through_for_some_rings(int privilege, int ring, bool allowed)
    {
        _machine.Cpu.PortPrivilege = privilege;
        _machine.EnterRing(ring);
        foreach (byte[] code in (byte[][])[[0xec], [0xee], [0xe4, 5], [0xe7, 5]])
        {
            _ports.Clear();
            Execute(code);
            Assert.Equal(allowed ? 0 : 1, _machine.Exceptions.Count);
            Assert.Equal(allowed ? 1 : 0, _ports.Count);
            Assert.Equal(Machine.CodeBase + (allowed ? (uint)code.Length : 0), State.Eip);
            _machine.Exceptions.Clear();
        }

        State.Edi = State.Esi = 0x2000;
        foreach (byte[] code in (byte[][])[[0x6c], [0x6e], [0xf3, 0x6d], [0xf3, 0x6f]])
        {
            _machine.Exceptions.Clear();
            State.Ecx = 1;
            Execute(code);
            Assert.Single(_machine.Exceptions);
        }
    }

    [Fact]
    public void A_port_handler_can_end_the_run_after_its_instruction()
    {
        State.Edx = 0x1ff;
        StopReason reason = _machine.Run(a =>
        {
            a.@out(dx, al);
            a.inc(ecx);
        });
        Assert.Equal(StopReason.Requested, reason);
        Assert.Equal(Machine.CodeBase + 1, State.Eip);
        Assert.Equal((0u, 1ul), (State.Ecx, _machine.Cpu.Retired));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1)]
    public void A_port_handler_can_end_the_run_within_a_repetition_and_after_its_last_element(uint count)
    {
        State.Edx = 0x1ff;
        State.Ecx = count;
        State.Esi = 0x2000;
        StopReason reason = _machine.Run(a =>
        {
            a.rep.outsb();
            a.inc(ebx);
        });
        Assert.Equal(StopReason.Requested, reason);
        Assert.Equal((count - 1, 0x2001u, 0u), (State.Ecx, State.Esi, State.Ebx));
        Assert.Equal(count == 1 ? Machine.CodeBase + 2 : Machine.CodeBase, State.Eip);
        Assert.Single(_ports);
    }

    [Fact]
    public void Repeated_port_instructions_move_ecx_elements_and_count_a_step_a_page()
    {
        State.Edx = 0x42;
        State.Ecx = 5;
        State.Edi = 0x2ffe;
        _machine.Machine.StopAtExceptions = false;
        _machine.Run(a =>
        {
            a.rep.insb();
            a.hlt();
        });
        Assert.Equal((0u, 0x3003u), (State.Ecx, State.Edi));
        Assert.Equal(5, _ports.Count);
        Assert.Equal([0x42, 0x42, 0x42, 0x42, 0x42], _machine.Memory.Span(0x2ffe, 5).ToArray());
        Assert.Equal(3ul, _machine.Cpu.Retired);

        State.Halted = 0;
        State.Ecx = 3;
        State.Esi = 0x3003;
        _machine.Cpu.Eflags = Eflags.Df;
        _ports.Clear();
        _machine.Run(a =>
        {
            a.rep.outsw();
            a.hlt();
        });
        Assert.Equal((0u, 0x2ffdu), (State.Ecx, State.Esi));
        Assert.Equal(3, _ports.Count);
        Assert.Equal(2, _ports[0].Size);
    }

    [Theory]
    [InlineData("6C", "6E", 1)]
    [InlineData("666D", "666F", 2)]
    [InlineData("6D", "6F", 4)]
    public void Strings_of_every_size_go_in_and_out(string input, string output, int size)
    {
        State.Edx = 0x42;
        State.Edi = State.Esi = 0x2000;
        _machine.Machine.WriteUInt32(0x2000, uint.MaxValue);
        Execute(Convert.FromHexString(input + output), 2);
        ulong kept = ulong.MaxValue << (8 * size);
        uint expected = 0x9090_9042u & (uint)~kept;
        Assert.Equal(expected | (uint)kept, _machine.Machine.ReadUInt32(0x2000));
        Assert.Equal([("in", (ushort)0x42, size, 0u), ("out", (ushort)0x42, size, expected)], _ports);
        Assert.Equal((0x2000u + (uint)size, 0x2000u + (uint)size), (State.Edi, State.Esi));
    }

    [Fact]
    public void Addresses_and_counts_of_port_strings_have_16_or_32_bits()
    {
        State.Edx = 0x42;
        (State.Edi, State.Esi, State.Ecx) = (0x1_fffe, 0x1_fffe, 0x1_0003);
        _machine.Memory.Write(0x1_fffe, [0, 0, 0]);
        Execute([0x6c, 0x6e]);
        Assert.Equal(0x42, _machine.Memory.Span(0x1_fffe, 1)[0]);
        Assert.Equal((0x1_ffffu, 0x1_ffffu), (State.Edi, State.Esi + 1));

        // With 16 bits, three elements from the end of 64 KiB to their beginning.
        _ports.Clear();
        (State.Edi, State.Ecx) = (0x1_fffe, 0x1_0003);
        for (int i = 0; i < 3; i++)
        {
            Execute([0x67, 0xf3, 0x6c]);
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal((0x1_0001u, 0x1_0000u, 3), (State.Edi, State.Ecx, _ports.Count));
    }

    [Theory]
    [InlineData("66F36D", 2)]
    [InlineData("F36D", 4)]
    public void A_string_of_inputs_lies_across_pages_like_any_other(string code, uint size)
    {
        const uint count = 5;
        State.Edx = 0x42;
        for (uint before = 0; before <= count * size; before++)
        {
            _machine.Memory.Span(0x2f00, 0x200).Fill(0x55);
            State.Edi = 0x3000 - before;
            State.Ecx = count;
            while (State.Ecx != 0)
            {
                Execute(Convert.FromHexString(code));
            }

            byte[] element = BitConverter.GetBytes(0x9090_9042u);
            byte[] expected = [.. Enumerable.Range(0, (int)count).SelectMany(_ => element[..(int)size])];
            Assert.Equal([0x55, .. expected, 0x55], _machine.Memory.Span(0x3000 - before - 1, (count * size) + 2).ToArray());
        }
    }

    [Theory]
    [InlineData("6E", 0x22u)]
    [InlineData("266E", 0x11u)]
    [InlineData("646E", 0x33u)]
    [InlineData("F36E", 0x22u)]
    [InlineData("64F36E", 0x33u)]
    public void A_string_goes_out_from_DS_or_the_segment_of_its_prefix(string code, uint value)
    {
        foreach ((SegmentName name, uint start, byte data) in ((SegmentName, uint, byte)[])
            [(SegmentName.Es, 0x2000, 0x11), (SegmentName.Ds, 0x3000, 0x22), (SegmentName.Fs, 0x4000, 0x33)])
        {
            _machine.Cpu.SetSegment(name, State.Ss with { Base = start });
            _machine.Memory.Write(start + 8, [data]);
        }

        State.Esi = 8;
        State.Ecx = 1;
        Execute(Convert.FromHexString(code));
        Assert.Equal(value, Assert.Single(_ports).Value);
    }

    [Theory]
    [InlineData(0x2ffeu, 0u, 0x3000u, 3u)]
    [InlineData(0x3001u, Eflags.Df, 0x2fffu, 3u)]
    [InlineData(0x2ffau, 0u, 0x2fffu, 0u)]
    [InlineData(0x27feu, 0u, 0x2803u, 0u)]
    public void A_step_of_inputs_ends_with_its_page(uint start, uint direction, uint end, uint left)
    {
        State.Edx = 0x42;
        State.Ecx = 5;
        State.Edi = start;
        _machine.Cpu.Eflags = direction;
        Execute([0xf3, 0x6c]);
        Assert.Equal((end, left), (State.Edi, State.Ecx));
    }

    [Fact]
    public void Code_that_an_input_overwrites_is_seen()
    {
        _machine.Memory.Write(0x2000, [0x90]);
        State.Eip = 0x2000;
        _machine.Cpu.Run(1);
        State.Edx = 0x43;
        State.Edi = 0x2000;
        Execute([0x6c]);
        State.Eip = 0x2000;
        _machine.Cpu.Run(1);
        Assert.Equal(1u, State.Ebx);
    }

    [Theory]
    [InlineData(0xf36c)]
    [InlineData(0xf36e)]
    [InlineData(0xf26f)]
    public void A_repetition_of_none_uses_no_port_and_no_memory(int code)
    {
        State.Esi = State.Edi = 0xffff_fff0;
        Execute([(byte)(code >> 8), (byte)code]);
        Assert.Empty(_machine.Exceptions);
        Assert.Empty(_ports);
        Assert.Equal((0xffff_fff0u, 0xffff_fff0u, Machine.CodeBase + 2), (State.Esi, State.Edi, State.Eip));
    }

    [Fact]
    public void Whether_a_port_may_be_used_is_asked_even_for_a_repetition_of_none()
    {
        const byte Address16 = 0x67;
        byte[] opcodes = [0x6c, 0x6d, 0x6e, 0x6f];
        byte[][] prefixes = [[], [0x66], [Address16], [0x66, Address16], [0x64]];
        byte?[] repetitions = [null, 0xf2, 0xf3];
        _machine.Machine.WriteUInt32(Tss + 0x64, 0x0068_0000);
        State.Tr.Limit = 0x6f;
        foreach (byte opcode in opcodes)
        {
            foreach (byte[] prefix in prefixes)
            {
                foreach (byte? repetition in repetitions)
                {
                    foreach (uint count in new uint[] { 0, 1, 0x1_0000 })
                    {
                        for (uint iopl = 0; iopl <= 3; iopl++)
                        {
                            foreach (byte bits in new byte[] { 0, 0xff })
                            {
                                byte[] code = repetition is { } byteOf ? [byteOf, .. prefix, opcode] : [.. prefix, opcode];
                                CheckPermission(code, count, iopl, bits);
                            }
                        }
                    }
                }
            }
        }
    }

    private void CheckPermission(byte[] code, uint count, uint iopl, byte bits)
    {
        _machine.EnterRing(3);
        _machine.Exceptions.Clear();
        _ports.Clear();
        _machine.Cpu.Eflags = iopl * (Eflags.Iopl / 3);
        _machine.Memory.Write(Tss + 0x68, [bits, bits, bits, bits, 0xff]);
        (State.Edx, State.Ecx, State.Esi, State.Edi) = (8, count, 0x2000, 0x2000);
        Execute(code);
        string what = $"{Convert.ToHexString(code)}, {count} times, IOPL {iopl}, bitmap {bits:X}";
        if (iopl < 3 && bits != 0)
        {
            ExceptionInfo fault = Assert.Single(_machine.Exceptions);
            Assert.True((fault.Vector, fault.ErrorCode) == (ExceptionVector.GeneralProtection, 0u), $"{what}: {fault}");
            Assert.Empty(_ports);
            Assert.Equal((Machine.CodeBase, count, 0x2000u, 0x2000u), (State.Eip, State.Ecx, State.Esi, State.Edi));
        }
        else
        {
            Assert.True(_machine.Exceptions.Count == 0, what);
        }
    }

    [Theory]
    [InlineData("F36C")]
    [InlineData("F36E")]
    [InlineData("6C")]
    [InlineData("6E")]
    public void A_port_string_that_faults_keeps_what_it_has_done_and_uses_no_port_in_vain(string code)
    {
        const byte incrementEax = 0x40;
        uint done = code.Length == 2 ? 0u : 2;
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x2000, 0x1, TestDescriptor.Data, 0));
        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Es, Free, out _));
        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Ds, Free, out _));
        State.Edx = 0x42;
        State.Ecx = 5;
        State.Edi = State.Esi = 2 - done;
        Execute([.. Convert.FromHexString(code), incrementEax], 2);
        Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);
        Assert.Equal(5 - done, State.Ecx);
        Assert.Equal(2u, code.EndsWith("6C", StringComparison.Ordinal) ? State.Edi : State.Esi);
        Assert.Equal((Machine.CodeBase, 0u), (State.Eip, State.Eax));
        Assert.Equal((int)done, _ports.Count);
    }

    public void Dispose() => _machine.Dispose();

    uint IPortHandler.Read(ushort port, int size)
    {
        _ports.Add(("in", port, size, 0));
        return 0x9090_9000u | (byte)port;
    }

    void IPortHandler.Write(ushort port, int size, uint value)
    {
        _ports.Add(("out", port, size, value));
        if (port == 0x1ff)
        {
            _machine.Cpu.RequestStop();
        }
    }

    private void Execute(byte[] code, ulong instructions = 1)
    {
        _machine.Memory.Write(Machine.CodeBase, code);
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(instructions);
    }
}
