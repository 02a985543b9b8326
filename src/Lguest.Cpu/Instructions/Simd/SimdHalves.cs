using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>The two quadwords of a packed value.</summary>
internal static class SimdHalves
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Low(Vector128<byte> value) => value.AsUInt64().ToScalar();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong High(Vector128<byte> value) => value.AsUInt64().GetElement(1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Join(ulong low, ulong high) => Vector128.Create(low, high).AsByte();
}
