using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>IN, OUT, INS and OUTS (SDM 1, chapter 19).</summary>
internal static unsafe class Ports
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.In:
                op->Handler = Bits(instruction, 0) switch
                {
                    8 => SelectIn<Size8>(instruction, op, 1),
                    16 => SelectIn<Size16>(instruction, op, 1),
                    _ => SelectIn<Size32>(instruction, op, 1),
                };
                return Lowered.Continues;
            case Mnemonic.Out:
                op->Handler = Bits(instruction, 1) switch
                {
                    8 => SelectOut<Size8>(instruction, op, 0),
                    16 => SelectOut<Size16>(instruction, op, 0),
                    _ => SelectOut<Size32>(instruction, op, 0),
                };
                return Lowered.Continues;
            case Mnemonic.Insb:
                op->Handler = PortStrings<Size8>.Select(instruction, op);
                return Lowered.Continues;
            case Mnemonic.Insw:
                op->Handler = PortStrings<Size16>.Select(instruction, op);
                return Lowered.Continues;
            case Mnemonic.Insd:
                op->Handler = PortStrings<Size32>.Select(instruction, op);
                return Lowered.Continues;
            case Mnemonic.Outsb:
                op->Handler = PortStrings<Size8>.Select(instruction, op);
                return Lowered.Continues;
            case Mnemonic.Outsw:
                op->Handler = PortStrings<Size16>.Select(instruction, op);
                return Lowered.Continues;
            case Mnemonic.Outsd:
                op->Handler = PortStrings<Size32>.Select(instruction, op);
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    /// <summary>Whether the privilege level, IOPL and the TSS allow a port; raises if not.</summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="op">The instruction.</param>
    /// <param name="port">The first port.</param>
    /// <param name="size">How many ports.</param>
    /// <param name="hostAllows">Whether <see cref="Processor.PortPrivilege"/> counts.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool IsAllowed(ProcessorState* s, Operation* op, ushort port, uint size, bool hostAllows)
    {
        if (s->Cpl <= s->Iopl)
        {
            return true;
        }

        Processor processor = Processor.From(s);
        if (hostAllows && s->Cpl <= processor.PortPrivilege)
        {
            return true;
        }

        ExceptionInfo fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
        if (IsInBitmap(s, port, size, ref fault))
        {
            return true;
        }

        Fault.Raise(s, op, fault);
        return false;
    }

    private static int Bits(in Instruction instruction, int operand) => instruction.GetOpRegister(operand).GetSize() * 8;

    private static OperationHandler SelectIn<TSize>(in Instruction instruction, Operation* op, int portOperand)
        where TSize : struct, IOperandSize
    {
        if (Operands.IsRegister(instruction, portOperand))
        {
            return &InDx<TSize>;
        }

        op->Immediate = instruction.Immediate8;
        return &InImmediate<TSize>;
    }

    private static OperationHandler SelectOut<TSize>(in Instruction instruction, Operation* op, int portOperand)
        where TSize : struct, IOperandSize
    {
        if (Operands.IsRegister(instruction, portOperand))
        {
            return &OutDx<TSize>;
        }

        op->Immediate = instruction.Immediate8;
        return &OutImmediate<TSize>;
    }

    private static Operation* InDx<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize => In<TSize>(s, op, (ushort)s->Edx);

    private static Operation* InImmediate<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize => In<TSize>(s, op, (ushort)op->Immediate);

    private static Operation* OutDx<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize => Out<TSize>(s, op, (ushort)s->Edx);

    private static Operation* OutImmediate<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize => Out<TSize>(s, op, (ushort)op->Immediate);

    private static Operation* In<TSize>(ProcessorState* s, Operation* op, ushort port)
        where TSize : struct, IOperandSize
    {
        if (!IsAllowed(s, op, port, TSize.Bytes, hostAllows: true))
        {
            return null;
        }

        uint value = Processor.From(s).Ports.Read(port, (int)TSize.Bytes);
        TSize.Store(Operands.Register(s, StateOffset.Eax), value);
        return Continue(s, op);
    }

    private static Operation* Out<TSize>(ProcessorState* s, Operation* op, ushort port)
        where TSize : struct, IOperandSize
    {
        if (!IsAllowed(s, op, port, TSize.Bytes, hostAllows: true))
        {
            return null;
        }

        Processor.From(s).Ports.Write(port, (int)TSize.Bytes, TSize.Load(Operands.Register(s, StateOffset.Eax)));
        return Continue(s, op);
    }

    /// <summary>The handler may have asked for the run's end.</summary>
    private static Operation* Continue(ProcessorState* s, Operation* op) =>
        s->StopRequested == 0 ? Operation.Next(s, op) : BlockExit.Leave(s, op);

    /// <summary>
    /// The I/O permission bitmap (SDM 1, 19.5.2). Two bytes are read always, so the last one needs a byte of ones after it.
    /// </summary>
    private static bool IsInBitmap(ProcessorState* s, ushort port, uint size, ref ExceptionInfo fault)
    {
        const uint MapBaseOffset = 102;
        bool is32 = ((int)((uint)s->Tr.Access >> 8) & SystemDescriptorType.Is32Bit) != 0;
        if (!s->Tr.IsUsable || !is32 || s->Tr.Limit < MapBaseOffset + 1)
        {
            return false;
        }

        if (!LinearRange.TryMap(
            s, s->Tr.Base + MapBaseOffset, sizeof(ushort), AccessKind.Read, user: false, out LinearRange map, ref fault))
        {
            return false;
        }

        uint offset = map.ReadUInt16(0) + ((uint)port >> 3);
        if (offset + 1 > s->Tr.Limit
            || !LinearRange.TryMap(
                s, s->Tr.Base + offset, sizeof(ushort), AccessKind.Read, user: false, out LinearRange bits, ref fault))
        {
            return false;
        }

        uint mask = (1u << (int)size) - 1;
        return ((uint)(bits.ReadUInt16(0) >> (port & 7)) & mask) == 0;
    }
}
