using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests;

/// <summary>
/// A processor with a little memory, flat segments and paging off: what a test of instructions needs. Code is
/// assembled at <see cref="CodeBase"/>, the stack grows down from <see cref="StackTop"/>.
/// </summary>
public sealed class Machine : IExceptionHook, IDisposable
{
    public const uint CodeBase = 0x1000;
    public const uint DataBase = 0x4000;
    public const uint StackTop = 0x8000;
    public const uint MemorySize = 0x40_0000;

    private readonly PhysicalMemory _memory = new();

    public Machine()
    {
        _memory.AddRam(0, MemorySize);
        Cpu = TestEngine.Create(_memory);
        Cpu.ExceptionHook = this;
        Cpu.State.Esp = StackTop;
        Cpu.State.Eip = CodeBase;
    }

    public Processor Cpu { get; }

    public PhysicalMemory Memory => _memory;

    /// <summary>The exceptions that were raised, in order; the run stops at each.</summary>
    public List<ExceptionInfo> Exceptions { get; } = [];

    /// <summary>False to let the processor deliver exceptions through its IDT.</summary>
    public bool StopAtExceptions { get; set; } = true;

    /// <summary>Assembles at an address and points EIP there.</summary>
    /// <returns>How many instructions that were.</returns>
    public int Assemble(Action<Assembler> program, uint address = CodeBase)
    {
        var assembler = new Assembler(32);
        program(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        _memory.Write(address, stream.ToArray());
        Cpu.State.Eip = address;
        return assembler.Instructions.Count;
    }

    /// <summary>Assembles and executes every instruction once, in order of execution.</summary>
    public StopReason Execute(Action<Assembler> program) => Cpu.Run((ulong)Assemble(program));

    /// <summary>Puts bytes at <see cref="CodeBase"/> and executes as many instructions.</summary>
    public StopReason Execute(ReadOnlySpan<byte> code, ulong instructions = 1)
    {
        _memory.Write(CodeBase, code);
        Cpu.State.Eip = CodeBase;
        return Cpu.Run(instructions);
    }

    /// <summary>
    /// Puts an instruction at the end of <see cref="CodeBase"/>'s page, so that nothing follows it in its block. The
    /// translator has whole blocks only: of a longer one a run of one instruction would be the interpreter's.
    /// </summary>
    /// <returns>Its address.</returns>
    public uint WriteAlone(ReadOnlySpan<byte> instruction)
    {
        uint address = CodeBase + PhysicalMemory.PageSize - (uint)instruction.Length;
        _memory.Write(address, instruction);
        return address;
    }

    public uint ReadUInt32(uint address) => BitConverter.ToUInt32(_memory.Span(address, 4));

    public void WriteUInt32(uint address, uint value) => _memory.Write(address, BitConverter.GetBytes(value));

    /// <summary>The one exception that was raised.</summary>
    public ExceptionInfo SingleException() => Assert.Single(Exceptions);

    public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
    {
        Exceptions.Add(exception);

        // Whatever a fault is about, its instruction is the next.
        if (exception.Origin == ExceptionOrigin.Fault)
        {
            Assert.Equal(exception.InstructionEip, Cpu.State.Eip);
        }

        return StopAtExceptions ? ExceptionDisposition.Stop : ExceptionDisposition.Deliver;
    }

    public void Dispose()
    {
        TestEngine.Finish(Cpu);
        Cpu.Dispose();
        _memory.Dispose();
    }
}
