using System.Runtime.CompilerServices;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// The size of an operand, as a type: an operation is written once and the JIT makes three of it. Values
/// travel zero-extended in a <see cref="uint"/>.
/// </summary>
internal unsafe interface IOperandSize
{
    /// <summary>8, 16 or 32.</summary>
    static abstract int Bits { get; }

    /// <summary>1, 2 or 4.</summary>
    static abstract uint Bytes { get; }

    /// <summary>All bits of the operand.</summary>
    static abstract uint Mask { get; }

    /// <summary>Reads an operand.</summary>
    static abstract uint Load(void* address);

    /// <summary>Writes an operand, and nothing beside it.</summary>
    static abstract void Store(void* address, uint value);

    /// <summary>Extends the operand's sign to 32 bits.</summary>
    static abstract uint SignExtend(uint value);
}

internal readonly unsafe struct Size8 : IOperandSize
{
    public static int Bits => 8;

    public static uint Bytes => 1;

    public static uint Mask => byte.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Load(void* address) => *(byte*)address;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* address, uint value) => *(byte*)address = (byte)value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint SignExtend(uint value) => (uint)(sbyte)value;
}

internal readonly unsafe struct Size16 : IOperandSize
{
    public static int Bits => 16;

    public static uint Bytes => 2;

    public static uint Mask => ushort.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Load(void* address) => *(ushort*)address;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* address, uint value) => *(ushort*)address = (ushort)value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint SignExtend(uint value) => (uint)(short)value;
}

internal readonly unsafe struct Size32 : IOperandSize
{
    public static int Bits => 32;

    public static uint Bytes => 4;

    public static uint Mask => uint.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Load(void* address) => *(uint*)address;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* address, uint value) => *(uint*)address = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint SignExtend(uint value) => value;
}
