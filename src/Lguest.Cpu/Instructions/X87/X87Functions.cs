using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>
/// Instructions whose operands are ST(0), and ST(1) if there are two: basic functions and transcendental ones
/// (SDM 1, 8.3.5, 8.3.7 and 8.3.9).
/// </summary>
internal static unsafe class X87Functions
{
    private const uint AllConditions = X87Status.C0 | X87Status.C1 | X87Status.C2 | X87Status.C3;

    /// <summary>ST(0) becomes a function of itself.</summary>
    private interface IUnary
    {
        static abstract Float80 Execute(Float80 value, ref FloatingPointContext context);
    }

    /// <summary>ST(0) becomes a function of itself; or it is too large, and C2 says so.</summary>
    private interface IAngular
    {
        static abstract Float80 Execute(Float80 value, out bool inRange, ref FloatingPointContext context);
    }

    /// <summary>A function of ST(0) and ST(1).</summary>
    private interface IBinary
    {
        static abstract Float80 Execute(Float80 st0, Float80 st1, ref FloatingPointContext context);
    }

    /// <summary>A remainder of ST(0) over ST(1).</summary>
    private interface IRemainder
    {
        static abstract Float80 Execute(
            Float80 st0, Float80 st1, out uint quotient, out bool complete, ref FloatingPointContext context);
    }

    /// <summary>ST(0) becomes two values; C2 says that it is too large.</summary>
    private interface ISplitting
    {
        /// <summary>Whether C2 is set at all.</summary>
        static abstract bool HasRange { get; }

        static abstract Float80 Execute(
            Float80 value, out Float80 pushed, out bool inRange, ref FloatingPointContext context);
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fchs: return With(op, &Unary<ChangeSign>);
            case Mnemonic.Fabs: return With(op, &Unary<Absolute>);
            case Mnemonic.Fsqrt: return With(op, &Unary<SquareRoot>);
            case Mnemonic.Frndint: return With(op, &Unary<RoundToInteger>);
            case Mnemonic.F2xm1: return With(op, &Unary<TwoToXMinusOne>);
            case Mnemonic.Fsin: return With(op, &Angular<Sine>);
            case Mnemonic.Fcos: return With(op, &Angular<Cosine>);
            case Mnemonic.Fscale: return With(op, &ToTop<Scale>);
            case Mnemonic.Fprem: return With(op, &Remainder<Truncating>);
            case Mnemonic.Fprem1: return With(op, &Remainder<ToNearest>);
            case Mnemonic.Fyl2x: return With(op, &Popping<YLog2X>);
            case Mnemonic.Fyl2xp1: return With(op, &Popping<YLog2XPlus1>);
            case Mnemonic.Fpatan: return With(op, &Popping<InverseTangent>);
            case Mnemonic.Fxtract: return With(op, &Splitting<Extract>);
            case Mnemonic.Fptan: return With(op, &Splitting<Tangent>);
            case Mnemonic.Fsincos: return With(op, &Splitting<SineCosine>);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered With(Operation* op, delegate*<ProcessorState*, Operation*, Operation*> handler)
    {
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Operation* Unary<TUnary>(ProcessorState* s, Operation* op)
        where TUnary : struct, IUnary
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 result = Float80.Indefinite;
        bool delivers;
        if (X87Stack.IsEmpty(s, 0))
        {
            delivers = X87Stack.Underflow(s, op);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            result = TUnary.Execute(*X87Stack.At(s, 0), ref context);
            delivers = X87Stack.Complete(s, op, context);
        }

        if (delivers)
        {
            X87Stack.Set(s, 0, result);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* Angular<TAngular>(ProcessorState* s, Operation* op)
        where TAngular : struct, IAngular
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 result = Float80.Indefinite;
        bool delivers;
        if (X87Stack.IsEmpty(s, 0))
        {
            delivers = X87Stack.Underflow(s, op);
            s->X87.Status &= unchecked((ushort)~X87Status.C2);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            result = TAngular.Execute(*X87Stack.At(s, 0), out bool inRange, ref context);
            delivers = X87Stack.Complete(
                s, op, context, X87Status.C1 | X87Status.C2, inRange ? 0 : X87Status.C2);
        }

        if (delivers)
        {
            X87Stack.Set(s, 0, result);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* ToTop<TBinary>(ProcessorState* s, Operation* op)
        where TBinary : struct, IBinary
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (TryBinary<TBinary>(s, op, out Float80 result))
        {
            X87Stack.Set(s, 0, result);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* Popping<TBinary>(ProcessorState* s, Operation* op)
        where TBinary : struct, IBinary
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (TryBinary<TBinary>(s, op, out Float80 result))
        {
            X87Stack.Set(s, 1, result);
            X87Stack.Pop(s);
        }

        return X87Stack.Next(s, op);
    }

    private static bool TryBinary<TBinary>(ProcessorState* s, Operation* op, out Float80 result)
        where TBinary : struct, IBinary
    {
        result = Float80.Indefinite;
        if (X87Stack.IsEmpty(s, 0) || X87Stack.IsEmpty(s, 1))
        {
            return X87Stack.Underflow(s, op);
        }

        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        result = TBinary.Execute(*X87Stack.At(s, 0), *X87Stack.At(s, 1), ref context);
        return X87Stack.Complete(s, op, context);
    }

    private static Operation* Remainder<TRemainder>(ProcessorState* s, Operation* op)
        where TRemainder : struct, IRemainder
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 result = Float80.Indefinite;
        bool delivers;
        if (X87Stack.IsEmpty(s, 0) || X87Stack.IsEmpty(s, 1))
        {
            delivers = X87Stack.Underflow(s, op);
            s->X87.Status &= unchecked((ushort)~X87Status.C2);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            result = TRemainder.Execute(
                *X87Stack.At(s, 0), *X87Stack.At(s, 1), out uint quotient, out bool complete, ref context);
            uint conditions = !complete
                ? X87Status.C2
                : ((quotient & 4) != 0 ? X87Status.C0 : 0)
                    | ((quotient & 2) != 0 ? X87Status.C3 : 0)
                    | ((quotient & 1) != 0 ? X87Status.C1 : 0);

            // Without a quotient there are no bits of it: C0 and C3 stay.
            delivers = result.IsNan || context.StopsComputation
                ? X87Stack.Complete(s, op, context, X87Status.C1 | X87Status.C2, 0)
                : X87Stack.Complete(s, op, context, AllConditions, conditions);
        }

        if (delivers)
        {
            X87Stack.Set(s, 0, result);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* Splitting<TSplitting>(ProcessorState* s, Operation* op)
        where TSplitting : struct, ISplitting
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 result = Float80.Indefinite;
        Float80 pushed = Float80.Indefinite;
        bool inRange = true;
        bool delivers;
        if (X87Stack.IsEmpty(s, 0))
        {
            delivers = X87Stack.Underflow(s, op);
            ClearC2<TSplitting>(s);
        }
        else if (X87Stack.IsFull(s))
        {
            delivers = X87Stack.Overflow(s, op);
            ClearC2<TSplitting>(s);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            result = TSplitting.Execute(*X87Stack.At(s, 0), out pushed, out inRange, ref context);
            delivers = X87Stack.Complete(
                s,
                op,
                context,
                TSplitting.HasRange ? X87Status.C1 | X87Status.C2 : X87Status.C1,
                inRange ? 0 : X87Status.C2);
        }

        if (delivers && inRange)
        {
            X87Stack.Set(s, 0, result);
            X87Stack.Push(s, pushed);
        }

        return X87Stack.Next(s, op);
    }

    private static void ClearC2<TSplitting>(ProcessorState* s)
        where TSplitting : struct, ISplitting
    {
        if (TSplitting.HasRange)
        {
            s->X87.Status &= unchecked((ushort)~X87Status.C2);
        }
    }

    private readonly struct ChangeSign : IUnary
    {
        public static Float80 Execute(Float80 value, ref FloatingPointContext context) => value.Negate();
    }

    private readonly struct Absolute : IUnary
    {
        public static Float80 Execute(Float80 value, ref FloatingPointContext context) => value.Magnitude;
    }

    private readonly struct SquareRoot : IUnary
    {
        public static Float80 Execute(Float80 value, ref FloatingPointContext context) =>
            FloatArithmetic.SquareRoot(value, ref context);
    }

    private readonly struct RoundToInteger : IUnary
    {
        public static Float80 Execute(Float80 value, ref FloatingPointContext context) =>
            ExtendedFunctions.RoundToInteger(value, ref context);
    }

    private readonly struct TwoToXMinusOne : IUnary
    {
        public static Float80 Execute(Float80 value, ref FloatingPointContext context) =>
            Exponential.TwoToXMinusOne(value, ref context);
    }

    private readonly struct Sine : IAngular
    {
        public static Float80 Execute(Float80 value, out bool inRange, ref FloatingPointContext context) =>
            Trigonometry.Sine(value, out inRange, ref context);
    }

    private readonly struct Cosine : IAngular
    {
        public static Float80 Execute(Float80 value, out bool inRange, ref FloatingPointContext context) =>
            Trigonometry.Cosine(value, out inRange, ref context);
    }

    private readonly struct Scale : IBinary
    {
        public static Float80 Execute(Float80 st0, Float80 st1, ref FloatingPointContext context) =>
            ExtendedFunctions.Scale(st0, st1, ref context);
    }

    private readonly struct YLog2X : IBinary
    {
        public static Float80 Execute(Float80 st0, Float80 st1, ref FloatingPointContext context) =>
            Logarithm.YLog2X(st1, st0, ref context);
    }

    private readonly struct YLog2XPlus1 : IBinary
    {
        public static Float80 Execute(Float80 st0, Float80 st1, ref FloatingPointContext context) =>
            Logarithm.YLog2XPlus1(st1, st0, ref context);
    }

    private readonly struct InverseTangent : IBinary
    {
        public static Float80 Execute(Float80 st0, Float80 st1, ref FloatingPointContext context) =>
            ArcTangent.OfQuotient(st1, st0, ref context);
    }

    private readonly struct Truncating : IRemainder
    {
        public static Float80 Execute(
            Float80 st0, Float80 st1, out uint quotient, out bool complete, ref FloatingPointContext context) =>
            ExtendedFunctions.Remainder(st0, st1, out quotient, out complete, ref context);
    }

    private readonly struct ToNearest : IRemainder
    {
        public static Float80 Execute(
            Float80 st0, Float80 st1, out uint quotient, out bool complete, ref FloatingPointContext context) =>
            ExtendedFunctions.RemainderToNearest(st0, st1, out quotient, out complete, ref context);
    }

    private readonly struct Extract : ISplitting
    {
        public static bool HasRange => false;

        public static Float80 Execute(
            Float80 value, out Float80 pushed, out bool inRange, ref FloatingPointContext context)
        {
            inRange = true;
            pushed = ExtendedFunctions.Extract(value, out Float80 exponent, ref context);
            return exponent;
        }
    }

    private readonly struct Tangent : ISplitting
    {
        public static bool HasRange => true;

        public static Float80 Execute(
            Float80 value, out Float80 pushed, out bool inRange, ref FloatingPointContext context)
        {
            Float80 tangent = Trigonometry.Tangent(value, out inRange, ref context);

            // A NaN is pushed as well, where there is no number.
            pushed = tangent.IsNan ? tangent : Float80.One;
            return tangent;
        }
    }

    private readonly struct SineCosine : ISplitting
    {
        public static bool HasRange => true;

        public static Float80 Execute(
            Float80 value, out Float80 pushed, out bool inRange, ref FloatingPointContext context) =>
            Trigonometry.SineCosine(value, out pushed, out inRange, ref context);
    }
}
