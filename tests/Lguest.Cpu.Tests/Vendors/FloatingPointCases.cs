using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>x87 instructions with denormals, and exceptions that aren't masked.</summary>
internal static unsafe class FloatingPointCases
{
    private const ushort UnderflowUnmasked = 0x36F;
    private const ushort DenormalUnmasked = 0x37D;
    private const byte FirstTwo = 3;
    private const byte None = 0;

    private static readonly Float80[] Denormals =
    [
        new() { Significand = 1 }, new() { Significand = 1, SignExponent = Float80.SignBit },
        new() { Significand = 0x0000_0001_2345_0000 }, new() { Significand = 0x7FFF_FFFF_FFFF_FFFF, SignExponent = Float80.SignBit },
    ];

    /// <summary>All cases.</summary>
    public static IEnumerable<VendorCase> All =>
    [
        .. Denormals.SelectMany(st0 => Kept(st0)),
        .. Denormals.Take(2).Select(st0 => Make("sine of a denormal", "fsin", [0xD9, 0xFE], UnderflowUnmasked, FirstTwo, st0, default)),
        Make("load of a denormal", "fld dword", [0xD9, 0x06], DenormalUnmasked, None, default, default, 1),
        Make("load of a denormal", "fld qword", [0xDD, 0x06], DenormalUnmasked, None, default, default, 1),
    ];

    private static IEnumerable<VendorCase> Kept(Float80 st0)
    {
        const string row = "denormal that stays";
        Float80 infinity = new() { Significand = 0x8000_0000_0000_0000, SignExponent = 0x7FFF };
        yield return Make(row, "fscale", [0xD9, 0xFD], UnderflowUnmasked, FirstTwo, st0, default);
        yield return Make(row, "fprem", [0xD9, 0xF8], UnderflowUnmasked, FirstTwo, st0, infinity);
        yield return Make(row, "fprem1", [0xD9, 0xF5], UnderflowUnmasked, FirstTwo, st0, infinity);
    }

    private static VendorCase Make(
        string row, string name, byte[] code, ushort control, byte valid, Float80 st0, Float80 st1, ulong memory = 0)
    {
        string operands = valid == None ? "of a denormal" : $"of {Describe(st0)} and {Describe(st1)}";
        return new VendorCase(row, $"{name} {operands}, FCW {control:X4}", OnHost, OnOurs);

        string? OnHost()
        {
            if (!NativeProcessor.IsSupported)
            {
                return null;
            }

            using var native = new NativeProcessor();
            native.State->Fx.Control = control;
            native.State->Fx.Valid = valid;
            native.State->Fx.St(0) = st0;
            native.State->Fx.St(1) = st1;
            native.State->General[6] = native.ScratchAddress;
            *(ulong*)native.State->Scratch = memory;
            native.Execute(code);
            return Result(native.State->Fx.St(0), native.State->Fx.Status);
        }

        string OnOurs()
        {
            using var machine = new Machine();
            ref X87State x87 = ref machine.Cpu.State.X87;
            x87.Control = control;
            x87.Valid = valid;
            x87.Registers[0] = st0;
            x87.Registers[1] = st1;
            machine.Cpu.State.Esi = Machine.DataBase;
            machine.Memory.Write(Machine.DataBase, BitConverter.GetBytes(memory));
            machine.Execute(code);
            return Result(x87.Registers[(x87.Status >> 11) & 7], x87.Status);
        }
    }

    private static string Result(Float80 st0, ushort status) => $"ST0 {Describe(st0)}, FSW {status:X4}";

    private static string Describe(Float80 value) => $"{value.SignExponent:X4} {value.Significand:X16}";
}
