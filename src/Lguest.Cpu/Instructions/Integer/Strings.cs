using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>MOVS, STOS, LODS, CMPS and SCAS (SDM 1, 7.3.9); INS and OUTS are in <see cref="PortStrings"/>.</summary>
internal static unsafe class Strings
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Movsb_m8_m8:
                return StringLowering<Movs, Size8>.Lower(instruction, context, op);
            case Code.Movsw_m16_m16:
                return StringLowering<Movs, Size16>.Lower(instruction, context, op);
            case Code.Movsd_m32_m32:
                return StringLowering<Movs, Size32>.Lower(instruction, context, op);
            case Code.Stosb_m8_AL:
                return StringLowering<Stos, Size8>.Lower(instruction, context, op);
            case Code.Stosw_m16_AX:
                return StringLowering<Stos, Size16>.Lower(instruction, context, op);
            case Code.Stosd_m32_EAX:
                return StringLowering<Stos, Size32>.Lower(instruction, context, op);
            case Code.Lodsb_AL_m8:
                return StringLowering<Lods, Size8>.Lower(instruction, context, op);
            case Code.Lodsw_AX_m16:
                return StringLowering<Lods, Size16>.Lower(instruction, context, op);
            case Code.Lodsd_EAX_m32:
                return StringLowering<Lods, Size32>.Lower(instruction, context, op);
            case Code.Cmpsb_m8_m8:
                return StringLowering<Cmps, Size8>.Lower(instruction, context, op);
            case Code.Cmpsw_m16_m16:
                return StringLowering<Cmps, Size16>.Lower(instruction, context, op);
            case Code.Cmpsd_m32_m32:
                return StringLowering<Cmps, Size32>.Lower(instruction, context, op);
            case Code.Scasb_AL_m8:
                return StringLowering<Scas, Size8>.Lower(instruction, context, op);
            case Code.Scasw_AX_m16:
                return StringLowering<Scas, Size16>.Lower(instruction, context, op);
            case Code.Scasd_EAX_m32:
                return StringLowering<Scas, Size32>.Lower(instruction, context, op);
            default:
                return Lowered.Undefined;
        }
    }

    /// <summary>Copies from the source to the destination.</summary>
    private readonly struct Movs : IStringOperation
    {
        public static bool UsesSource => true;

        public static bool UsesDestination => true;

        public static bool Compares => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryOne<TSize, TAddressing>(ProcessorState* s, Operation* op)
            where TSize : struct, IOperandSize
            where TAddressing : struct, IAddressing
        {
            byte* source = StringAddress.ReadSource<TSize, TAddressing>(s, op);
            return source != null && StringAddress.TryWriteDestination<TSize, TAddressing>(s, op, TSize.Load(source));
        }

        public static uint Many<TSize>(ProcessorState* s, in StringRun run)
            where TSize : struct, IOperandSize
        {
            // A destination a little ahead of the source is filled from what was just copied there.
            nuint length = run.Count * TSize.Bytes;
            nuint ahead = (nuint)(run.Backward ? run.Source - run.Destination : run.Destination - run.Source);
            if (ahead - 1 >= length - 1)
            {
                Buffer.MemoryCopy(run.Source, run.Destination, length, length);
                return run.Count;
            }

            nint stride = run.Backward ? -(nint)TSize.Bytes : (nint)TSize.Bytes;
            nuint first = run.Backward ? length - TSize.Bytes : 0;
            byte* source = run.Source + first;
            byte* destination = run.Destination + first;
            for (uint i = 0; i < run.Count; i++)
            {
                TSize.Store(destination, TSize.Load(source));
                source += stride;
                destination += stride;
            }

            return run.Count;
        }
    }

    /// <summary>Fills the destination with the accumulator.</summary>
    private readonly struct Stos : IStringOperation
    {
        public static bool UsesSource => false;

        public static bool UsesDestination => true;

        public static bool Compares => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryOne<TSize, TAddressing>(ProcessorState* s, Operation* op)
            where TSize : struct, IOperandSize
            where TAddressing : struct, IAddressing =>
            StringAddress.TryWriteDestination<TSize, TAddressing>(s, op, s->Eax);

        public static uint Many<TSize>(ProcessorState* s, in StringRun run)
            where TSize : struct, IOperandSize
        {
            int count = (int)run.Count;
            switch (TSize.Bits)
            {
                case 8:
                    new Span<byte>(run.Destination, count).Fill((byte)s->Eax);
                    break;
                case 16:
                    new Span<ushort>(run.Destination, count).Fill((ushort)s->Eax);
                    break;
                default:
                    new Span<uint>(run.Destination, count).Fill(s->Eax);
                    break;
            }

            return run.Count;
        }
    }

    /// <summary>Loads the accumulator from the source.</summary>
    private readonly struct Lods : IStringOperation
    {
        public static bool UsesSource => true;

        public static bool UsesDestination => false;

        public static bool Compares => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryOne<TSize, TAddressing>(ProcessorState* s, Operation* op)
            where TSize : struct, IOperandSize
            where TAddressing : struct, IAddressing
        {
            byte* source = StringAddress.ReadSource<TSize, TAddressing>(s, op);
            if (source == null)
            {
                return false;
            }

            TSize.Store(Operands.Register(s, StateOffset.Eax), TSize.Load(source));
            return true;
        }

        public static uint Many<TSize>(ProcessorState* s, in StringRun run)
            where TSize : struct, IOperandSize
        {
            byte* last = run.Backward ? run.Source : run.Source + ((run.Count - 1) * TSize.Bytes);
            TSize.Store(Operands.Register(s, StateOffset.Eax), TSize.Load(last));
            return run.Count;
        }
    }

    /// <summary>Compares the source with the destination.</summary>
    private readonly struct Cmps : IStringOperation
    {
        public static bool UsesSource => true;

        public static bool UsesDestination => true;

        public static bool Compares => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryOne<TSize, TAddressing>(ProcessorState* s, Operation* op)
            where TSize : struct, IOperandSize
            where TAddressing : struct, IAddressing
        {
            byte* source = StringAddress.ReadSource<TSize, TAddressing>(s, op);
            if (source == null)
            {
                return false;
            }

            uint value = TSize.Load(source);
            byte* destination = StringAddress.ReadDestination<TSize, TAddressing>(s, op);
            if (destination == null)
            {
                return false;
            }

            Arithmetic.Cmp.Execute<TSize>(s, value, TSize.Load(destination));
            return true;
        }

        public static uint Many<TSize>(ProcessorState* s, in StringRun run)
            where TSize : struct, IOperandSize
        {
            uint done = 0;
            if (!run.Backward && run.Repetition == Repetition.WhileEqual)
            {
                int length = (int)(run.Count * TSize.Bytes);
                int equal = new ReadOnlySpan<byte>(run.Source, length)
                    .CommonPrefixLength(new ReadOnlySpan<byte>(run.Destination, length));
                done = Math.Min(((uint)equal / TSize.Bytes) + 1, run.Count) - 1;
            }

            // From here on one by one, at least the last one: its flags stay.
            uint source;
            uint destination;
            do
            {
                uint distance = (run.Backward ? run.Count - 1 - done : done) * TSize.Bytes;
                source = TSize.Load(run.Source + distance);
                destination = TSize.Load(run.Destination + distance);
                done++;
            }
            while (done < run.Count && (source == destination) == (run.Repetition == Repetition.WhileEqual));

            Arithmetic.Cmp.Execute<TSize>(s, source, destination);
            return done;
        }
    }

    /// <summary>Compares the accumulator with the destination.</summary>
    private readonly struct Scas : IStringOperation
    {
        public static bool UsesSource => false;

        public static bool UsesDestination => true;

        public static bool Compares => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryOne<TSize, TAddressing>(ProcessorState* s, Operation* op)
            where TSize : struct, IOperandSize
            where TAddressing : struct, IAddressing
        {
            byte* destination = StringAddress.ReadDestination<TSize, TAddressing>(s, op);
            if (destination == null)
            {
                return false;
            }

            uint accumulator = TSize.Load(Operands.Register(s, StateOffset.Eax));
            Arithmetic.Cmp.Execute<TSize>(s, accumulator, TSize.Load(destination));
            return true;
        }

        public static uint Many<TSize>(ProcessorState* s, in StringRun run)
            where TSize : struct, IOperandSize
        {
            uint accumulator = TSize.Load(Operands.Register(s, StateOffset.Eax));
            uint done = 0;
            if (!run.Backward && TSize.Bits == 8 && run.Repetition == Repetition.WhileNotEqual)
            {
                int found = new ReadOnlySpan<byte>(run.Destination, (int)run.Count).IndexOf((byte)accumulator);
                done = found < 0 ? run.Count - 1 : (uint)found;
            }

            uint element;
            do
            {
                uint distance = (run.Backward ? run.Count - 1 - done : done) * TSize.Bytes;
                element = TSize.Load(run.Destination + distance);
                done++;
            }
            while (done < run.Count && (accumulator == element) == (run.Repetition == Repetition.WhileEqual));

            Arithmetic.Cmp.Execute<TSize>(s, accumulator, element);
            return done;
        }
    }
}
