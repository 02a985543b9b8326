using Iced.Intel;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Fuzz;

/// <summary>Which exceptions the manual lets an instruction raise, from what kind of instruction it is.</summary>
internal static class AllowedExceptions
{
    private const int LongestInstruction = 15;

    /// <summary>Whether an exception is one that these bytes may raise.</summary>
    /// <param name="code">The bytes at EIP.</param>
    /// <param name="is32">Whether the code segment is one of 32 bits.</param>
    /// <param name="vector">What was raised.</param>
    /// <param name="instruction">What the bytes are.</param>
    public static bool Contains(ReadOnlySpan<byte> code, bool is32, int vector, out Instruction instruction)
    {
        byte[] most = code[..Math.Min(code.Length, LongestInstruction)].ToArray();
        instruction = Decoder.Create(is32 ? 32 : 16, most).Decode();
        if (instruction.IsInvalid)
        {
            // What is longer than 15 bytes is #GP, whatever it would be.
            int length = InstructionLength.Measure(most, is32);
            return length <= most.Length
                ? vector == ExceptionVector.InvalidOpcode
                : vector == ExceptionVector.GeneralProtection && most.Length == LongestInstruction;
        }

        if (instruction.Code == Code.Int_imm8)
        {
            return vector == instruction.Immediate8 || vector == ExceptionVector.GeneralProtection;
        }

        return vector switch
        {
            ExceptionVector.DivideError => instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Aam,
            ExceptionVector.Debug => instruction.Mnemonic is Mnemonic.Int1 || IsSystem(instruction),
            ExceptionVector.Breakpoint => instruction.Mnemonic is Mnemonic.Int3,
            ExceptionVector.Overflow => instruction.Mnemonic is Mnemonic.Into,
            ExceptionVector.BoundRange => instruction.Mnemonic is Mnemonic.Bound,
            ExceptionVector.InvalidOpcode => MayBeUndefined(instruction),
            ExceptionVector.DeviceNotAvailable => IsFloatingPoint(instruction),
            ExceptionVector.InvalidTss or ExceptionVector.SegmentNotPresent => IsSystem(instruction),
            ExceptionVector.StackSegment or ExceptionVector.PageFault => TouchesMemory(instruction) || IsSystem(instruction),
            ExceptionVector.GeneralProtection => TouchesMemory(instruction) || IsSystem(instruction)
                || instruction.FlowControl != FlowControl.Next,
            ExceptionVector.X87Error => IsFloatingPoint(instruction),
            ExceptionVector.AlignmentCheck => TouchesMemory(instruction),
            ExceptionVector.SimdError => IsFloatingPoint(instruction),
            _ => false,
        };
    }

    /// <summary>Whether segments, privilege, ports or tables are involved.</summary>
    public static bool IsSystem(in Instruction instruction) =>
        instruction.IsPrivileged
        || instruction.FlowControl is FlowControl.Interrupt or FlowControl.Return or FlowControl.Call or FlowControl.IndirectCall
            or FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Exception
        || instruction.Mnemonic is Mnemonic.Cli or Mnemonic.Sti or Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Pushf or Mnemonic.Pushfd
            or Mnemonic.In or Mnemonic.Out or Mnemonic.Rdtsc or Mnemonic.Rdpmc or Mnemonic.Lar or Mnemonic.Lsl
            or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Lds or Mnemonic.Les or Mnemonic.Lss or Mnemonic.Lfs or Mnemonic.Lgs
        || IsSegment(instruction.Op0Register);

    private static bool IsSegment(Register register) => register.IsSegmentRegister();

    private static bool TouchesMemory(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) is OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI))
            {
                return true;
            }
        }

        return instruction.IsStackInstruction || instruction.IsStringInstruction
            || instruction.Mnemonic is Mnemonic.Maskmovq or Mnemonic.Maskmovdqu or Mnemonic.Xlatb;
    }

    private static bool IsFloatingPoint(in Instruction instruction) => instruction.Mnemonic == Mnemonic.Wait
        || instruction.CpuidFeatures.Any(feature => feature
            is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 or CpuidFeature.FXSR or CpuidFeature.MMX
            or CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.CMOV);

    // What is claimed needs no more than a valid encoding; the rest of what Iced knows came later, or is for other makers.
    private static bool MayBeUndefined(in Instruction instruction) => IsFloatingPoint(instruction)
        || IsSystem(instruction)
        || instruction.HasLockPrefix
        || instruction.Mnemonic is Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2
        || !instruction.CpuidFeatures.All(feature => feature
            is CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386
            or CpuidFeature.INTEL486 or CpuidFeature.CX8 or CpuidFeature.CPUID or CpuidFeature.TSC or CpuidFeature.MSR
            or CpuidFeature.CLFSH or CpuidFeature.MULTIBYTENOP or CpuidFeature.PAUSE);
}
