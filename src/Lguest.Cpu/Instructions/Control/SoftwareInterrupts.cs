using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>INT n, INT3, INTO and INT1 (SDM 2A, INT n).</summary>
internal static unsafe class SoftwareInterrupts
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Int:
                op->Immediate = instruction.Immediate8;
                op->Handler = &Interrupt;
                return Lowered.EndsBlock;
            case Mnemonic.Int3:
                op->Immediate = ExceptionVector.Breakpoint;
                op->Handler = &Interrupt;
                return Lowered.EndsBlock;
            case Mnemonic.Into:
                op->Handler = &InterruptOnOverflow;
                return Lowered.Continues;
            case Mnemonic.Int1:
                op->Handler = &Debug;
                return Lowered.EndsBlock;
            default:
                return Lowered.Undefined;
        }
    }

    private static Operation* Interrupt(ProcessorState* s, Operation* op) =>
        Fault.RaiseSoftware(s, op, (int)op->Immediate, ExceptionOrigin.Software);

    private static Operation* InterruptOnOverflow(ProcessorState* s, Operation* op) =>
        s->OverflowFlag
            ? Fault.RaiseSoftware(s, op, ExceptionVector.Overflow, ExceptionOrigin.Software)
            : Operation.Next(s, op);

    /// <summary>
    /// INT1 is a debug trap like the processor's own: the gate's DPL doesn't matter, and one that waited since MOV SS or POP SS
    /// doesn't come as well.
    /// </summary>
    private static Operation* Debug(ProcessorState* s, Operation* op)
    {
        s->PendingDebug = 0;
        return Fault.RaiseSoftware(s, op, ExceptionVector.Debug, ExceptionOrigin.Trap);
    }
}
