using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;
using Lguest.Cpu.Tests.Simd;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>Operands of 16 bytes that needn't be aligned, while alignment is checked.</summary>
internal static unsafe class AlignmentCases
{
    private static readonly Code[] Codes =
    [
        Code.Movups_xmm_xmmm128, Code.Movups_xmmm128_xmm, Code.Movupd_xmm_xmmm128, Code.Movupd_xmmm128_xmm,
        Code.Movdqu_xmm_xmmm128, Code.Movdqu_xmmm128_xmm, Code.Lddqu_xmm_m128,
    ];

    /// <summary>All cases.</summary>
    public static IEnumerable<VendorCase> All =>
        from code in Codes
        let form = SimdForm.Of(code).First(form => form.HasMemory)
        from offset in (uint[])[0, 1, 2, 4, 8, 12]
        select new VendorCase("unaligned move", $"{form.Decoded} at +{offset}", () => OnHost(form, offset), () => OnOurs(form, offset));

    private static string? OnHost(SimdForm form, uint offset)
    {
        if (!NativeProcessor.CatchesFaults)
        {
            return null;
        }

        using var native = new NativeProcessor();
        native.State->Flags |= Eflags.Ac;
        native.State->General[6] = native.ScratchAddress + offset;
        native.Execute(form.Bytes);
        return Describe(native.State->Signal == 0 ? -1 : (int)native.State->Vector);
    }

    private static string OnOurs(SimdForm form, uint offset)
    {
        using var machine = new Machine();
        SegmentRegister code = machine.Cpu.State.Cs;
        code.Selector = 3;
        machine.Cpu.SetSegment(SegmentName.Cs, code);
        machine.Cpu.WriteControlRegister(0, machine.Cpu.ReadControlRegister(0) | Cr0.Am);
        machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        machine.Cpu.Eflags |= Eflags.Ac;
        machine.Cpu.State.Esi = Machine.DataBase + offset;
        machine.Execute(form.Bytes);
        return Describe(machine.Exceptions.Count == 0 ? -1 : machine.Exceptions[0].Vector);
    }

    private static string Describe(int vector) => vector switch
    {
        -1 => "executes",
        ExceptionVector.AlignmentCheck => "#AC",
        _ => $"exception {vector}",
    };
}
