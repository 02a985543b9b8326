using Iced.Intel;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>CPUID, the time stamp and the model-specific registers.</summary>
public sealed class ModelSpecificTests : ITimeStampClock, IDisposable
{
    private readonly ProtectedMachine _machine = new();

    public ModelSpecificTests() => _machine.Machine.StopAtExceptions = true;

    private ref ProcessorState State => ref _machine.State;

    [Fact]
    public void The_time_stamp_is_the_machines_clock_at_the_instruction_and_can_be_set()
    {
        _machine.Cpu.TimeStampClock = this;
        _machine.Step(
            a =>
            {
                a.nop();
                a.rdtsc();
                a.mov(esi, eax);
                a.mov(edi, edx);
                a.mov(ecx, 0x10);
                a.mov(eax, 5);
                a.xor(edx, edx);
                a.wrmsr();
                a.rdtsc();
            },
            9);
        Assert.Equal((1000u, 7u), (State.Esi, State.Edi));
        Assert.Equal((1005u, 0u), (State.Eax, State.Edx));
    }

    [Fact]
    public void Without_a_clock_the_time_stamp_counts_instructions()
    {
        _machine.Step(
            a =>
            {
                a.nop();
                a.nop();
                a.rdtsc();
            },
            3);
        Assert.Equal((2u, 0u), (State.Eax, State.Edx));
    }

    [Fact]
    public void The_time_stamp_can_be_kept_from_programs()
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Tsd);
        Execute([0x0f, 0x31]);
        Assert.Empty(_machine.Exceptions);
        _machine.EnterRing(3);
        Execute([0x0f, 0x31]);
        Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);
    }

    [Theory]
    [InlineData(0x1bu, true, 0x100ul)]
    [InlineData(0x8bu, true, 0ul)]
    [InlineData(0x1a0u, true, 1ul)]
    [InlineData(0x277u, true, 0x0007_0406_0007_0406ul)]
    [InlineData(0xc000_0080u, false, 0ul)]
    [InlineData(0x174u, false, 0ul)]
    [InlineData(0xfeu, false, 0ul)]
    public void Model_specific_registers_that_exist_can_be_read_and_written_back(uint number, bool exists, ulong value)
    {
        (State.Ecx, State.Eax, State.Edx) = (number, uint.MaxValue, uint.MaxValue);
        Execute([0x0f, 0x32, 0x0f, 0x30], 2);
        if (exists)
        {
            Assert.Empty(_machine.Exceptions);
            Assert.Equal(value, State.Eax | ((ulong)State.Edx << 32));
        }
        else
        {
            Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);
        }
    }

    [Theory]
    [InlineData(0x1bu, true)]
    [InlineData(0x1a0u, true)]
    [InlineData(0x277u, true)]
    [InlineData(0x8bu, false)]
    public void Model_specific_registers_keep_what_is_written_but_for_the_microcodes_version(uint number, bool keeps)
    {
        const uint low = 0x0106_0504;
        const uint high = 0x0001_0406;
        (State.Ecx, State.Eax, State.Edx) = (number, low, high);
        Execute([0x0f, 0x30]);
        (State.Eax, State.Edx) = (1, 1);
        Execute([0x0f, 0x32]);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(keeps ? (low, high) : (0, 0), (State.Eax, State.Edx));
    }

    [Fact]
    public void A_page_attribute_table_with_types_that_do_not_exist_is_refused()
    {
        int[] exist = [0, 1, 4, 5, 6, 7];
        for (int at = 0; at < 64; at += 8)
        {
            foreach (int type in (int[])[0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff])
            {
                ulong value = (0x0007_0406_0007_0406ul & ~(0xfful << at)) | ((ulong)type << at);
                State.Ecx = 0x277;
                State.Eax = (uint)value;
                State.Edx = (uint)(value >> 32);
                _machine.Exceptions.Clear();
                Execute([0x0f, 0x30]);
                Assert.Equal(exist.Contains(type) ? 0 : 1, _machine.Exceptions.Count);
            }
        }
    }

    [Fact]
    public void Cpuid_claims_exactly_what_is_there()
    {
        CpuidLeaf vendor = CpuidModel.Default.Answer(0, 0);
        Assert.Equal("GenuineIntel", Text(vendor.Ebx, vendor.Edx, vendor.Ecx));
        const uint ExtendedFeatures = (1 << 0) | (1 << 9);
        const uint Features = (1 << 0) | (1 << 4) | (1 << 5) | (1 << 8) | (1 << 13) | (1 << 15) | (1 << 19) | (1 << 23)
            | (1 << 24) | (1 << 25) | (1 << 26);
        Assert.Equal(Features, CpuidModel.Default.Answer(1, 0).Edx);
        Assert.Equal(Features | (1 << 3) | (1 << 6) | (1 << 11), CpuidModel.RingZero.Answer(1, 0).Edx);
        Assert.Equal(ExtendedFeatures, CpuidModel.Default.Answer(1, 0).Ecx);
        Assert.Equal(ExtendedFeatures, CpuidModel.RingZero.Answer(1, 0).Ecx);
        Assert.Equal(6u, (CpuidModel.Default.Answer(1, 0).Eax >> 8) & 0xf);
        Assert.Equal(0u, CpuidModel.Default.Answer(0x8000_0001, 0).Edx);
        Assert.Equal(1u << 20, CpuidModel.RingZero.Answer(0x8000_0001, 0).Edx);
        Assert.Equal(0x2020u, CpuidModel.Default.Answer(0x8000_0008, 0).Eax);
        Assert.Equal(0x2024u, CpuidModel.RingZero.Answer(0x8000_0008, 0).Eax);
        Assert.Equal(
            "lguest virtual 32-bit processor",
            string.Concat(Enumerable.Range(2, 3).Select(i => CpuidModel.Default.Answer(0x8000_0000 + (uint)i, 0))
                .Select(l => Text(l.Eax, l.Ebx, l.Ecx, l.Edx))).TrimEnd('\0'));
    }

    [Fact]
    public void Cpuids_list_of_caches_ends()
    {
        uint[] types = [.. Enumerable.Range(0, 8).Select(i => CpuidModel.Default.Answer(4, (uint)i).Eax & 0x1f)];
        Assert.Equal([1, 2, 3, 0, 0, 0, 0, 0], types);
        Assert.Equal(1u, CpuidModel.Default.Answer(2, 99).Eax & 0xff);
    }

    [Fact]
    public void A_leaf_beyond_the_last_is_answered_as_the_last()
    {
        Assert.Equal(CpuidModel.Default.Answer(7, 1), CpuidModel.Default.Answer(0x1234, 1));
        Assert.Equal(CpuidModel.Default.Answer(7, 0), CpuidModel.Default.Answer(0x9000_0000, 0));
    }

    [Fact]
    public void Cpuid_serialises_code_that_an_instruction_before_it_has_written()
    {
        _machine.Machine.Assemble(a =>
        {
            a.mov(__byte_ptr[Machine.CodeBase + 10], 0x43);
            a.cpuid();
            a.nop();
            a.inc(ecx);
        });
        _machine.Cpu.Run(2);
        uint before = State.Ebx;
        _machine.Cpu.Run(2);
        Assert.Equal(before + 1, State.Ebx);
    }

    public void Dispose() => _machine.Dispose();

    ulong ITimeStampClock.Read(ulong retired) => (7ul << 32) + (retired * 1000);

    private static string Text(params uint[] registers) =>
        string.Concat(registers.SelectMany(BitConverter.GetBytes).Select(b => (char)b));

    private void Execute(byte[] code, ulong instructions = 1)
    {
        _machine.Memory.Write(Machine.CodeBase, code);
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(instructions);
    }
}
