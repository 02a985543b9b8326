using Iced.Intel;
using Lguest.Cpu.Debugging;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Debugging;

/// <summary>Where the machine's debugger has the processor stop, in both engines.</summary>
public sealed class DebugStopTests : IDisposable
{
    private const uint Far = 1_000_000;
    private readonly Machine _machine = new();

    private Processor Cpu => _machine.Cpu;

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_stops_before_an_instruction_in_the_middle_of_a_block_that_is_hot(bool translated)
    {
        uint middle = 0;
        Use(translated);
        Load(code =>
        {
            Label again = code.CreateLabel();
            code.Label(ref again);
            code.inc(eax);
            code.inc(ebx);
            middle = 0x1002;
            code.inc(edx);
            code.jmp(again);
        });
        Assert.Equal(StopReason.InstructionLimit, Cpu.Run(400));
        Assert.Equal(TestEngine.Current != Engine.Traced && (translated || TestEngine.Current >= Engine.Translator), Cpu.TranslatedInstructions > 0);

        Cpu.Stops.Set([middle], []);
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal(new DebugStop(DebugStopKind.Instruction, middle), Cpu.Stops.Last);
        Assert.Equal((middle, 101u, 101u, 100u, 402ul), (Cpu.State.Eip, Cpu.State.Eax, Cpu.State.Ebx, Cpu.State.Edx, Cpu.Retired));

        // Without passing, it is still there; with, it is there again the next time round, and gone when it is taken away.
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal(402ul, Cpu.Retired);
        for (uint round = 1; round <= 100; round++)
        {
            Cpu.Stops.Pass();
            Assert.Equal(StopReason.Debug, Cpu.Run(Far));
            Assert.Equal((402 + (4 * round), 100 + round), (Cpu.Retired, Cpu.State.Edx));
        }

        Cpu.Stops.Set([], []);
        Assert.Equal(StopReason.InstructionLimit, Cpu.Run(Far));
        Assert.Equal(802ul + Far, Cpu.Retired);
    }

    [Fact]
    public void It_stops_before_the_very_first_instruction_and_where_a_run_ends_before_one()
    {
        Load(code => Repeat(8, () => code.inc(eax)));
        Cpu.Stops.Set([Machine.CodeBase, Machine.CodeBase + 4], []);

        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal((Machine.CodeBase, 0ul), (Cpu.State.Eip, Cpu.Retired));
        Cpu.Stops.Pass();
        Assert.Equal(StopReason.InstructionLimit, Cpu.Run(4));
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal((Machine.CodeBase + 4, 4ul), (Cpu.State.Eip, Cpu.Retired));
    }

    [Fact]
    public void A_breakpoint_is_at_a_linear_address_and_not_at_others_with_the_same_offset()
    {
        _machine.Assemble(code => Repeat(3, () => code.inc(ebx)), 0x2000);
        Load(code =>
        {
            code.inc(eax);
            code.jmp(0x2000);
        });
        Cpu.Stops.Set([0x2001], []);

        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal((0x2001u, 3ul), (Cpu.State.Eip, Cpu.Retired));
    }

    [Fact]
    public void The_guest_sees_no_breakpoint_in_its_memory_or_registers()
    {
        Load(code =>
        {
            code.mov(eax, __dword_ptr[Machine.CodeBase]);
            code.mov(ecx, dr7);
            code.nop();
        });
        uint before = _machine.ReadUInt32(Machine.CodeBase);
        Cpu.Stops.Set([Machine.CodeBase], [new Watchpoint(Machine.DataBase, 4, true, true)]);
        Cpu.Run(Far);
        Cpu.Stops.Pass();
        Cpu.Run(2);

        Assert.Equal((before, 0x400u), (Cpu.State.Eax, Cpu.State.Ecx));
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void A_repeated_instruction_is_met_once()
    {
        Load(code =>
        {
            code.nop();
            code.rep.movsb();
            code.hlt();
        });
        (Cpu.State.Esi, Cpu.State.Edi, Cpu.State.Ecx) = (Machine.DataBase, 0x2_0000, 0x3000);
        Cpu.Stops.Set([Machine.CodeBase + 1], []);
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal(0x3000u, Cpu.State.Ecx);
        Cpu.Stops.Pass();
        Assert.Equal(StopReason.Halted, Cpu.Run(Far));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_stops_right_after_what_writes_watched_bytes_and_no_sooner(bool translated)
    {
        Use(translated);
        Load(code =>
        {
            Label again = code.CreateLabel();
            code.Label(ref again);
            code.mov(__dword_ptr[Machine.DataBase + 0x10], eax);
            code.mov(ebx, __dword_ptr[Machine.DataBase + 0x20]);
            code.inc(eax);
            code.cmp(eax, 50);
            code.jne(again);
            code.mov(__byte_ptr[Machine.DataBase + 0x23], al);
            code.inc(edx);
            code.hlt();
        });
        Cpu.Stops.Set([], [new Watchpoint(Machine.DataBase + 0x22, 2, OnRead: false, OnWrite: true)]);
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));

        Assert.Equal(new DebugStop(DebugStopKind.Write, Machine.DataBase + 0x23), Cpu.Stops.Last);
        Assert.Equal((251ul, 0u, (byte)50), (Cpu.Retired, Cpu.State.Edx, _machine.Memory.Span(Machine.DataBase + 0x23, 1)[0]));
        Assert.Equal(StopReason.Halted, Cpu.Run(Far));
        Assert.Equal(253ul, Cpu.Retired);
    }

    [Theory]
    [InlineData(true, true, DebugStopKind.Read, 2)]
    [InlineData(false, true, DebugStopKind.Write, 4)]
    [InlineData(true, false, DebugStopKind.Read, 2)]
    public void Reading_and_writing_count_as_wanted(bool onRead, bool onWrite, DebugStopKind kind, uint after)
    {
        Load(code =>
        {
            code.inc(ecx);
            code.cmp(ecx, __dword_ptr[Machine.DataBase]);
            code.inc(ecx);
            code.add(__dword_ptr[Machine.DataBase - 2], ecx);
            code.hlt();
        });
        Cpu.Stops.Set([], [new Watchpoint(Machine.DataBase, 1, onRead, onWrite)]);
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal((new DebugStop(kind, Machine.DataBase), after), (Cpu.Stops.Last, (uint)Cpu.Retired));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_last_instruction_that_goes_elsewhere_is_followed_by_nothing(bool translated)
    {
        Use(translated);
        uint function = Machine.CodeBase + 0x100;
        _machine.Assemble(code =>
        {
            code.inc(eax);
            code.ret();
        }, function);
        Load(code =>
        {
            Label again = code.CreateLabel();
            code.Label(ref again);
            code.call(function);
            code.jmp(again);
        });
        Assert.Equal(StopReason.InstructionLimit, Cpu.Run(400));
        Cpu.Stops.Set([], [new Watchpoint(Machine.StackTop - 4, 4, OnRead: true, OnWrite: false)]);

        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal((403ul, Machine.CodeBase + 5), (Cpu.Retired, Cpu.State.Eip));
        Cpu.Stops.Set([], [new Watchpoint(Machine.StackTop - 1, 1, OnRead: false, OnWrite: true)]);
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));
        Assert.Equal((405ul, function), (Cpu.Retired, Cpu.State.Eip));
    }

    [Fact]
    public void A_string_instruction_stops_after_the_element_that_hits()
    {
        Load(code =>
        {
            code.rep.stosd();
            code.hlt();
        });
        (Cpu.State.Eax, Cpu.State.Edi, Cpu.State.Ecx) = (7, Machine.DataBase, 100);
        Cpu.Stops.Set([], [new Watchpoint(Machine.DataBase + 40, 4, OnRead: false, OnWrite: true)]);
        Assert.Equal(StopReason.Debug, Cpu.Run(Far));

        Assert.Equal((89u, Machine.DataBase + 44, Machine.CodeBase), (Cpu.State.Ecx, Cpu.State.Edi, Cpu.State.Eip));
        Assert.Equal((7u, 0u), (_machine.ReadUInt32(Machine.DataBase + 40), _machine.ReadUInt32(Machine.DataBase + 44)));
        Assert.Equal(StopReason.Halted, Cpu.Run(Far));
        Assert.Equal(7u, _machine.ReadUInt32(Machine.DataBase + 396));
    }

    [Fact]
    public void An_access_whose_instruction_faults_is_none_yet()
    {
        Load(code =>
        {
            code.mov(__dword_ptr[Machine.DataBase], 1);
            code.div(__byte_ptr[Machine.DataBase + 4]);
        });
        Cpu.Stops.Set([], [new Watchpoint(Machine.DataBase + 4, 1, OnRead: true, OnWrite: true)]);

        Assert.Equal(StopReason.Requested, Cpu.Run(Far));
        Assert.Equal(ExceptionVector.DivideError, _machine.SingleException().Vector);
    }

    [Fact]
    public void Who_goes_step_by_step_sees_a_handler_before_it_begins()
    {
        Load(code => code.ud2());
        _machine.StopAtExceptions = false;
        Cpu.ExceptionHook = new Skipper();
        Cpu.Stops.AtExceptions = true;

        Assert.Equal(StopReason.Debug, Cpu.Run(1));
        Assert.Equal(new DebugStop(DebugStopKind.Exception, ExceptionVector.InvalidOpcode), Cpu.Stops.Last);
        Assert.Equal((Skipper.Handler, 0ul), (Cpu.State.Eip, Cpu.Retired));
        Cpu.Stops.AtExceptions = false;
        Assert.Equal(StopReason.InstructionLimit, Cpu.Run(1));
    }

    [Fact]
    public void To_set_the_same_again_forgets_no_translation()
    {
        const uint Directory = 0x2_0000;
        const uint LargePage = 0x87;
        _machine.WriteUInt32(Directory, LargePage);
        Cpu.WriteControlRegister(3, Directory);
        Cpu.WriteControlRegister(4, Cr4.Pse);
        Cpu.WriteControlRegister(0, Cpu.ReadControlRegister(0) | Cr0.Pg);
        Load(code => Repeat(3, () => code.mov(eax, __dword_ptr[Machine.DataBase])));
        Watchpoint watched = new(Machine.DataBase + 0x100, 4, OnRead: true, OnWrite: true);
        Cpu.Stops.Set([], [watched]);
        Cpu.Run(1);
        ulong walks = Cpu.Statistics.PageWalks;
        Cpu.Stops.Set([], [watched]);
        Cpu.Run(1);
        Assert.Equal(walks, Cpu.Statistics.PageWalks);
        Cpu.Stops.Set([], [watched with { OnRead = false }]);
        Cpu.Run(1);
        Assert.NotEqual(walks, Cpu.Statistics.PageWalks);
    }

    [Fact]
    public void A_debugger_that_goes_leaves_blocks_as_long_as_they_would_be()
    {
        Load(code => Repeat(8, () => code.inc(eax)));
        Cpu.Stops.Set([Machine.CodeBase + 4], []);
        Assert.Equal(StopReason.Debug, Cpu.Run(8));
        Assert.True(Cpu.Blocks.EndsBefore((Machine.CodeBase + 4) & 0xfff));

        Cpu.Stops.Release();
        Assert.False(Cpu.Blocks.EndsBefore((Machine.CodeBase + 4) & 0xfff));
        Cpu.State.Eip = Machine.CodeBase;
        Assert.Equal(StopReason.InstructionLimit, Cpu.Run(8));
        Assert.Equal(12u, Cpu.State.Eax);
    }

    private static void Repeat(int count, Action action)
    {
        for (int i = 0; i < count; i++)
        {
            action();
        }
    }

    private void Load(Action<Assembler> program) => _machine.Assemble(program);

    private void Use(bool translated) =>
        Assert.SkipUnless(!translated || Cpu.TryTranslate(0), "This host doesn't let us execute what we write.");

    /// <summary>Goes on somewhere else, as a handler would.</summary>
    private sealed class Skipper : IExceptionHook
    {
        public const uint Handler = Machine.DataBase;

        public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
        {
            processor.State.Eip = Handler;
            return ExceptionDisposition.Resume;
        }
    }
}
