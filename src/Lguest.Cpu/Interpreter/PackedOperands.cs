using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// Where a packed value comes from or goes to, as a type. Values travel as 128 bits; what is smaller is in the
/// low bits, with zeros above.
/// </summary>
internal unsafe interface IPackedOperand
{
    /// <summary>Address of the source operand, or null once the fault is raised.</summary>
    static abstract byte* Source(ProcessorState* s, Operation* op);

    /// <summary>Address of the destination operand, or null once the fault is raised.</summary>
    static abstract byte* Destination(ProcessorState* s, Operation* op);

    /// <summary>Reads an operand.</summary>
    static abstract Vector128<byte> Load(byte* location);

    /// <summary>Writes an operand, and nothing beside it.</summary>
    static abstract void Store(ProcessorState* s, byte* location, Vector128<byte> value);
}

/// <summary>An operand in a register.</summary>
internal interface IPackedRegister : IPackedOperand
{
    /// <summary>What goes into <see cref="Operation.Register"/> or <see cref="Operation.Register2"/>.</summary>
    static abstract byte Encode(Register register);
}

/// <summary>An XMM register, by number.</summary>
internal readonly unsafe struct XmmOperand : IPackedRegister
{
    public static byte Encode(Register register) => (byte)(register - Register.XMM0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Source(ProcessorState* s, Operation* op) => Locate(s, op->Register2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Destination(ProcessorState* s, Operation* op) => Locate(s, op->Register);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => *(Vector128<byte>*)location;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(ProcessorState* s, byte* location, Vector128<byte> value) => *(Vector128<byte>*)location = value;

    /// <summary>Address of a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Locate(ProcessorState* s, int number) => (byte*)((XmmRegister*)&s->Sse.Registers + number);
}

/// <summary>An MMX register, by number: the significand of an x87 register, whose other bits become ones.</summary>
internal readonly unsafe struct MmxOperand : IPackedRegister
{
    private const ushort SignExponentOfMmx = ushort.MaxValue;

    public static byte Encode(Register register) => (byte)(register - Register.MM0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Source(ProcessorState* s, Operation* op) => Locate(s, op->Register2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Destination(ProcessorState* s, Operation* op) => Locate(s, op->Register);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) =>
        Vector128.CreateScalar(((Float80*)location)->Significand).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(ProcessorState* s, byte* location, Vector128<byte> value)
    {
        *(Float80*)location = new Float80(SignExponentOfMmx, value.AsUInt64().ToScalar());
    }

    /// <summary>Address of a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Locate(ProcessorState* s, int number) => (byte*)((Float80*)&s->X87.Registers + number);
}

/// <summary>A 32-bit general register, by its offset in the state.</summary>
internal readonly unsafe struct GeneralOperand : IPackedRegister
{
    public static byte Encode(Register register) => StateOffset.Of(register);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Source(ProcessorState* s, Operation* op) => Operands.Register(s, op->Register2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Destination(ProcessorState* s, Operation* op) => Operands.Register(s, op->Register);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => Vector128.CreateScalar(*(uint*)location).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(ProcessorState* s, byte* location, Vector128<byte> value) =>
        *(uint*)location = value.AsUInt32().ToScalar();
}

/// <summary>How a packed memory operand is read and written, as a type.</summary>
internal unsafe interface IPackedMemory
{
    /// <summary>Bytes of the operand, 16 at most.</summary>
    static abstract uint Bytes { get; }

    /// <summary>Whether an address that isn't a multiple of the size is a general protection fault.</summary>
    static abstract bool IsAligned { get; }

    /// <summary>Reads an operand.</summary>
    static abstract Vector128<byte> Load(byte* location);

    /// <summary>Writes an operand.</summary>
    static abstract void Store(byte* location, Vector128<byte> value);
}

/// <summary>A word.</summary>
internal readonly unsafe struct Memory16 : IPackedMemory
{
    public static uint Bytes => sizeof(ushort);

    public static bool IsAligned => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => Vector128.CreateScalar(*(ushort*)location).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* location, Vector128<byte> value) => *(ushort*)location = value.AsUInt16().ToScalar();
}

/// <summary>A doubleword, or a single.</summary>
internal readonly unsafe struct Memory32 : IPackedMemory
{
    public static uint Bytes => sizeof(uint);

    public static bool IsAligned => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => Vector128.CreateScalar(*(uint*)location).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* location, Vector128<byte> value) => *(uint*)location = value.AsUInt32().ToScalar();
}

/// <summary>A quadword, or a double.</summary>
internal readonly unsafe struct Memory64 : IPackedMemory
{
    public static uint Bytes => sizeof(ulong);

    public static bool IsAligned => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => Vector128.CreateScalar(*(ulong*)location).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* location, Vector128<byte> value) => *(ulong*)location = value.AsUInt64().ToScalar();
}

/// <summary>128 bits that must be aligned, as nearly all are (SDM 1, 10.4.1.1).</summary>
internal readonly unsafe struct AlignedMemory128 : IPackedMemory
{
    public static uint Bytes => 16;

    public static bool IsAligned => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => *(Vector128<byte>*)location;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* location, Vector128<byte> value) => *(Vector128<byte>*)location = value;
}

/// <summary>128 bits anywhere: MOVUPS, MOVUPD, MOVDQU and LDDQU.</summary>
internal readonly unsafe struct UnalignedMemory128 : IPackedMemory
{
    public static uint Bytes => 16;

    public static bool IsAligned => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => *(Vector128<byte>*)location;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* location, Vector128<byte> value) => *(Vector128<byte>*)location = value;
}

/// <summary>An operand in memory.</summary>
internal readonly unsafe struct MemoryOperand<TMemory, TAddressing> : IPackedOperand
    where TMemory : struct, IPackedMemory
    where TAddressing : struct, IAddressing
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Source(ProcessorState* s, Operation* op) =>
        TMemory.IsAligned ? TAddressing.ReadAligned(s, op, TMemory.Bytes) : TAddressing.Read(s, op, TMemory.Bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Destination(ProcessorState* s, Operation* op) =>
        TMemory.IsAligned ? TAddressing.WriteAligned(s, op, TMemory.Bytes) : TAddressing.Write(s, op, TMemory.Bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* location) => TMemory.Load(location);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(ProcessorState* s, byte* location, Vector128<byte> value)
    {
        TMemory.Store(location, value);
        MemoryAccess.Complete(s, location);
    }
}
