using Lguest.Cpu.State;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>SYSENTER and SYSEXIT (SDM 2B), from every ring, with every kind of IA32_SYSENTER_CS.</summary>
public sealed class FastSystemCallTests : IDisposable
{
    private const uint SysenterCs = 0x174;
    private const uint SysenterEsp = 0x175;
    private const uint SysenterEip = 0x176;
    private const uint KernelEip = 0x2345;
    private const uint KernelEsp = 0x8765_4321;
    private const uint UserEip = 0x3456;
    private const uint UserEsp = 0x1234_5678;
    private const SegmentAccess FlatData = SegmentAccess.Present | SegmentAccess.CodeOrData | SegmentAccess.Accessed
        | SegmentAccess.WritableOrReadable | SegmentAccess.Default32 | SegmentAccess.Granularity;

    private static readonly byte[] Sysenter = [0x0f, 0x34];
    private static readonly byte[] Sysexit = [0x0f, 0x35];
    private static readonly byte[] Rdmsr = [0x0f, 0x32];
    private static readonly byte[] Wrmsr = [0x0f, 0x30];

    private readonly ProtectedMachine _machine = new();

    public FastSystemCallTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Cpuid = CpuidModel.RingZero;
    }

    private ref ProcessorState State => ref _machine.State;

    /// <summary>Values of IA32_SYSENTER_CS: null ones, ones that no table has, with bits that don't matter.</summary>
    public static TheoryData<uint> Selectors() =>
        [0, 1, 3, 0xffff_0000, 4, 8, 0x60, 0x63, 0x7b, Beyond, 0xfff0, 0xffff, 0x1234_0060];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Selectors))]
    public void SYSENTER_goes_to_ring_0_with_segments_made_of_a_register(uint selector)
    {
        foreach (int ring in new[] { 0, 1, 3 })
        {
            foreach (uint flags in new[] { 0u, Eflags.If | Eflags.Arithmetic, Eflags.Df | Eflags.Nt | Eflags.Iopl | Eflags.Ac })
            {
                Prepare(selector, ring, flags);
                bool enters = (selector & 0xfffc) != 0;
                SegmentRegister ds = State.Ds;
                Execute(Sysenter);
                if (!enters)
                {
                    CheckFault(ring, flags);
                    continue;
                }

                Assert.Empty(_machine.Exceptions);
                CheckSegments((ushort)(selector & 0xfffc), (ushort)((selector & 0xfffc) + 8), level: 0);
                Assert.Equal((KernelEip, KernelEsp), (State.Eip, State.Esp));
                Assert.Equal((flags & ~(uint)Eflags.If) | Eflags.Fixed, _machine.Cpu.Eflags);
                Assert.Equal(ds, State.Ds);
                Assert.Equal((UserEsp, UserEip), (State.Ecx, State.Edx));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Selectors))]
    public void SYSEXIT_goes_to_ring_3_where_ECX_and_EDX_say(uint selector)
    {
        foreach (int ring in new[] { 0, 1, 3 })
        {
            foreach (uint flags in new[] { 0u, Eflags.If | Eflags.Arithmetic, Eflags.Df | Eflags.Nt | Eflags.Iopl | Eflags.Ac })
            {
                Prepare(selector, ring, flags);
                Execute(Sysexit);
                if ((selector & 0xfffc) == 0 || ring != 0)
                {
                    CheckFault(ring, flags);
                    continue;
                }

                Assert.Empty(_machine.Exceptions);
                ushort code = (ushort)((selector + 16) | 3);
                CheckSegments(code, (ushort)(code + 8), level: 3);
                Assert.Equal((UserEip, UserEsp), (State.Eip, State.Esp));
                Assert.Equal(flags | Eflags.Fixed, _machine.Cpu.Eflags);
            }
        }
    }

    [Fact]
    public void A_program_calls_its_kernel_and_goes_on()
    {
        // At KernelEip: inc eax; mov ecx, ebp; mov edx, esi; sysexit. At the program: inc eax; sysenter; and where it goes on: inc eax; 3 times.
        _machine.Memory.Write(KernelEip, [0x40, 0x89, 0xe9, 0x89, 0xf2, 0x0f, 0x35]);
        Prepare(Code0, ring: 3, Eflags.If);
        _machine.Memory.Write(Machine.CodeBase, [0x40, .. Sysenter, 0x40, 0x40, 0xeb, 0xf9]);
        (State.Eax, State.Ebp, State.Esi) = (0, Machine.StackTop, Machine.CodeBase + 3);
        for (int round = 0; round < 3; round++)
        {
            _machine.Cpu.Run(9);
            Assert.Equal(Machine.CodeBase, State.Eip);
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal((12u, 3, Machine.StackTop), (State.Eax, State.Cpl, State.Esp));
    }

    [Fact]
    public void What_ring_3_may_not_do_it_may_not_do_after_SYSEXIT()
    {
        _machine.MapWithHole();
        _machine.SetPage(0x4000, 0x4000 | 3);
        Prepare(Code0, ring: 0, 0);
        _machine.Memory.Write(UserEip, [0xa1, 0x00, 0x40, 0, 0]);
        Execute(Sysexit);
        _machine.Cpu.Run(1);
        Assert.Equal((ExceptionVector.PageFault, 5u), (_machine.Exceptions[0].Vector, _machine.Exceptions[0].ErrorCode));
    }

    [Theory]
    [InlineData(SysenterCs)]
    [InlineData(SysenterEsp)]
    [InlineData(SysenterEip)]
    public void Their_registers_have_32_bits_and_are_there_where_they_are_claimed(uint number)
    {
        foreach (bool isClaimed in new[] { true, false })
        {
            _machine.Cpu.Cpuid = isClaimed ? CpuidModel.RingZero : CpuidModel.Default;
            _machine.Exceptions.Clear();
            (State.Ecx, State.Eax, State.Edx) = (number, 0x89ab_cdef, uint.MaxValue);
            Execute(Wrmsr);
            (State.Eax, State.Edx) = (1, 2);
            Execute(Rdmsr);
            (uint, uint) expected = isClaimed ? (0x89ab_cdef, 0u) : (1u, 2u);
            Assert.Equal(expected, (State.Eax, State.Edx));
            int[] faults = isClaimed ? [] : [ExceptionVector.GeneralProtection, ExceptionVector.GeneralProtection];
            Assert.Equal(faults, _machine.Exceptions.Select(e => e.Vector));
        }
    }

    [Fact]
    public void Where_they_are_not_claimed_both_are_a_fault_whatever_the_registers_hold()
    {
        foreach (int ring in new[] { 0, 1, 3 })
        {
            foreach (byte[] code in new[] { Sysenter, Sysexit })
            {
                Prepare(Code0, ring, Eflags.If);
                _machine.Cpu.Cpuid = CpuidModel.Default;
                Execute(code);
                CheckFault(ring, Eflags.If);
                _machine.Cpu.Cpuid = CpuidModel.RingZero;
            }
        }
    }

    private void Prepare(uint selector, int ring, uint flags)
    {
        _machine.Exceptions.Clear();
        _machine.EnterRing(0);
        _machine.Cpu.Eflags = Eflags.Fixed;
        foreach ((uint number, uint value) in ((uint, uint)[])[(SysenterCs, selector), (SysenterEsp, KernelEsp), (SysenterEip, KernelEip)])
        {
            (State.Ecx, State.Eax, State.Edx) = (number, value, 0);
            Execute(Wrmsr);
        }

        Assert.Empty(_machine.Exceptions);
        _machine.EnterRing(ring);
        _machine.Cpu.Eflags = flags;
        (State.Ecx, State.Edx, State.Esp) = (UserEsp, UserEip, Machine.StackTop);
        State.Eip = Machine.CodeBase;
    }

    private void Execute(byte[] code)
    {
        _machine.Memory.Write(Machine.CodeBase, code);
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(1);
    }

    private void CheckFault(int ring, uint flags)
    {
        ExceptionInfo fault = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.GeneralProtection, 0u, ExceptionOrigin.Fault), (fault.Vector, fault.ErrorCode, fault.Origin));
        Assert.Equal((ring, Machine.CodeBase, Machine.StackTop), (State.Cpl, State.Eip, State.Esp));
        Assert.Equal(flags | Eflags.Fixed, _machine.Cpu.Eflags);
    }

    private void CheckSegments(ushort code, ushort stack, int level)
    {
        var access = FlatData | (SegmentAccess)((uint)level << 13);
        var expected = new SegmentRegister { Selector = code, Limit = uint.MaxValue, Access = access | SegmentAccess.Code };
        Assert.Equal(expected, State.Cs);
        Assert.Equal(expected with { Selector = stack, Access = access }, State.Ss);
    }
}
