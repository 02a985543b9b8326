using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Integers;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// Chooses integer instructions for a <see cref="CompatibilityComparison"/> at random, and prepares what they need: an address where
/// there are data, a stack, a selector, an address to go to.
/// </summary>
internal sealed class RandomInstructions(CompatibilityComparison comparison, Random random)
{
    private const int LongestInstruction = 15;
    private const int Patience = 64;
    private const byte OperandSize = 0x66;
    private const byte AddressSize = 0x67;
    private const byte TwoBytes = 0x0F;

    /// <summary>What only 32-bit code has, and what is about segments; chosen more often than the rest.</summary>
    private static readonly byte[][] Legacy =
    [
        [0x27], [0x2F], [0x37], [0x3F], [0xD4], [0xD5], [0x60], [0x61], [0x62], [0xCE], [0x63], [0xC4], [0xC5], [0x06], [0x0E], [0x16],
        [0x1E], [0x07], [0x17], [0x1F], [0x0F, 0xA0], [0x0F, 0xA8], [0x0F, 0xA1], [0x0F, 0xA9], [0x0F, 0xB2], [0x0F, 0xB4], [0x0F, 0xB5],
        [0x82], [0x8E], [0x8C], [0x9A], [0xEA], [0xCA], [0xCB], [0xCF], [0xFF], [0xC8], [0xC9], [0x9C], [0x9D], [0x0F, 0x02], [0x0F, 0x03],
        [0x0F, 0x00], [0xC2], [0xC3], [0xE3], [0xE2], [0xE1], [0xE0], [0xA4], [0xA5], [0xA6], [0xA7], [0xAE], [0xAF], [0xD7],
    ];

    /// <summary>
    /// What makes system calls or tells about the host; and INT1, which arrives as a fault where a hypervisor has a hand in it.
    /// </summary>
    private static readonly HashSet<Mnemonic> Excluded =
    [
        Mnemonic.Int, Mnemonic.Int1, Mnemonic.Sysenter, Mnemonic.Sysexit, Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Rdpmc, Mnemonic.Rsm,
        Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Sldt, Mnemonic.Str, Mnemonic.Smsw, Mnemonic.Ud0, Mnemonic.Ud1,
    ];

    private static readonly HashSet<CpuidFeature> Features =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486,
        CpuidFeature.CX8, CpuidFeature.CMOV, CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE, CpuidFeature.CLFSH,
    ];

    /// <summary>Executes one more instruction on our side, after others that prepare it.</summary>
    /// <returns>False when there is no more room, or none was found.</returns>
    public bool Step() => Step(() => Choose());

    /// <summary>The same, of an instruction that is tried until its operands suit.</summary>
    public bool Step(Func<byte[]> choose)
    {
        for (int attempt = 0; attempt < Patience && comparison.HasRoom; attempt++)
        {
            byte[] bytes = choose();
            Instruction instruction = Decode(bytes);
            if (!IsAllowed(instruction))
            {
                continue;
            }

            bytes = Arrange(bytes[..instruction.Length], instruction);
            if (!comparison.HasRoom)
            {
                return false;
            }

            // What prepares it may have changed the size of code, or its flags.
            instruction = Decode(bytes);
            if (instruction.Length == bytes.Length && IsAllowed(instruction) && !UsesForeignSelector(instruction))
            {
                comparison.Step(bytes);
                if (instruction.Mnemonic == Mnemonic.Push && MovesSelectorAsDword(instruction))
                {
                    SettleSegmentPush();
                }

                return true;
            }
        }

        return false;
    }

    /// <summary>Gives what vendors treat differently, the upper half of a segment register on the stack, one value.</summary>
    private void SettleSegmentPush()
    {
        // mov word [esp + 2], 0
        byte[] code = [OperandSize, 0xC7, 0x44, 0x24, 2, 0, 0];
        if (comparison.Machine.Exception is { Origin: ExceptionOrigin.Fault })
        {
            return;
        }

        if (comparison.HasRoom && comparison.Is32 && comparison.Machine.Cpu.State.Ss.IsDefault32)
        {
            comparison.Step(code);
            if (!comparison.HasEnded)
            {
                return;
            }
        }

        comparison.Abandon();
    }

    private bool IsAllowed(in Instruction instruction) => !instruction.IsInvalid
        && !Excluded.Contains(instruction.Mnemonic)
        && !IntegerForm.IsVendorSpecific(instruction.Code)
        && instruction.CpuidFeatures.All(Features.Contains)
        && instruction.Encoding == EncodingKind.Legacy
        && ClaimedEncodings.OlderMeaning(instruction.Code) is null
        && !(instruction.Mnemonic is Mnemonic.Iret or Mnemonic.Iretd && (comparison.Machine.Cpu.Eflags & Eflags.Nt) != 0)
        && !IsLeftToVendors(instruction)
        && !WrapsAround(instruction)
        && !ReadsNullSelector(instruction)
        && comparison.IsDefined(instruction);

    /// <summary>Where vendors differ (docs/undefined-behaviour.md), or the operating system has a word to say.</summary>
    private bool IsLeftToVendors(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Loope or Mnemonic.Loopne => instruction.HasRepPrefix || instruction.HasRepnePrefix,
        Mnemonic.Push or Mnemonic.Pop when MovesSelectorAsDword(instruction) => (comparison.Machine.Cpu.State.Esp & 3) != 0,
        _ => IsSplitLock(instruction),
    };

    /// <summary>Whether it locks memory in two lines of a cache, for which Linux punishes a process on Intel's processors.</summary>
    private bool IsSplitLock(in Instruction instruction)
    {
        const uint line = 64;
        bool locks = instruction.HasLockPrefix || instruction.Mnemonic == Mnemonic.Xchg;
        for (int i = 0; locks && i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                uint linear = SegmentBase(instruction.MemorySegment) + Address(instruction);
                return linear % line > line - sizeof(ulong);
            }
        }

        return false;
    }

    private static bool MovesSelectorAsDword(in Instruction instruction) =>
        instruction.Op0Register.IsSegmentRegister() && instruction.StackPointerIncrement is -4 or 4;

    /// <summary>
    /// Whether it reads which of the four null selectors a segment register holds. An interrupt of the host's may have made it 0 by
    /// then: the return from it clears segment registers (IRET, SDM 2A, RETURN-TO-OUTER-PRIVILEGE-LEVEL).
    /// </summary>
    private bool ReadsNullSelector(in Instruction instruction)
    {
        Register register = instruction.Mnemonic == Mnemonic.Mov ? instruction.Op1Register : instruction.Op0Register;
        return instruction.Mnemonic is Mnemonic.Mov or Mnemonic.Push
            && register is Register.DS or Register.ES or Register.FS or Register.GS
            && comparison.Machine.Segment((SegmentName)(register - Register.ES)).Selector is 1 or 2 or 3;
    }

    /// <summary>Whether an operand reaches, or nearly, from the end of 4 GiB to the start, as a processor may or may not let it.</summary>
    private bool WrapsAround(in Instruction instruction)
    {
        const uint margin = 0x200;
        bool usesFrame = instruction.Mnemonic is Mnemonic.Enter or Mnemonic.Leave;
        if ((instruction.IsStackInstruction && IsNear(comparison.Machine.Cpu.State.Esp)) || (usesFrame && IsNear(Get(Register.EBP))))
        {
            return true;
        }

        for (int i = 0; i < instruction.OpCount; i++)
        {
            bool isNear = instruction.GetOpKind(i) switch
            {
                OpKind.MemorySegESI => IsNear(Get(Register.ESI)),
                OpKind.MemoryESEDI => IsNear(Get(Register.EDI)),
                OpKind.Memory => IsNear(Address(instruction)),
                _ => false,
            };
            if (isNear)
            {
                return true;
            }
        }

        return false;

        static bool IsNear(uint offset) => offset + margin < 2 * margin;
    }

    private Instruction Decode(byte[] bytes) => Decoder.Create(comparison.Is32 ? 32 : 16, bytes).Decode();

    private byte[] Choose()
    {
        List<byte> bytes = [];
        while (random.Next(4) == 0 && bytes.Count < 4)
        {
            bytes.Add(random.Next(8) switch
            {
                0 or 1 => OperandSize,
                2 or 3 => AddressSize,
                4 => random.Next(4) == 0 ? (byte)0xF0 : (byte)0xF3,
                5 => (byte)(0xF2 + random.Next(2)),
                _ => ((byte[])[0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65])[random.Next(6)],
            });
        }

        switch (random.Next(8))
        {
            case 0 or 1 or 2:
                bytes.AddRange(Legacy[random.Next(Legacy.Length)]);
                break;
            case 3:
                bytes.Add(TwoBytes);
                break;
        }

        while (bytes.Count < LongestInstruction + 2)
        {
            bytes.Add(random.Next(4) == 0 ? IntegerValues.NextByte(random) : (byte)random.Next(256));
        }

        return [.. bytes];
    }

    /// <summary>Prepares an instruction's operands by instructions before it, as a rule, or changes its bytes.</summary>
    private byte[] Arrange(byte[] bytes, in Instruction instruction)
    {
        if (random.Next(16) == 0)
        {
            return bytes;
        }

        if (instruction.IsStackInstruction && !IsInData(StackAddress()))
        {
            Set(Register.ESP, LowMemory.Data + 5 * LowMemory.PageSize - (uint)random.Next(0x100) * 4 - comparison.Machine.Cpu.State.Ss.Base);
        }

        switch (instruction.Mnemonic)
        {
            case Mnemonic.Leave:
                Set(Register.EBP, comparison.Machine.Cpu.State.Esp + (uint)random.Next(64) * 4);
                break;
            case Mnemonic.Retf or Mnemonic.Iret or Mnemonic.Iretd:
                PushReturn(instruction);
                break;
            case Mnemonic.Ret:
                Push(Target());
                break;
            case Mnemonic.Mov when instruction.Op0Register.IsSegmentRegister() && instruction.Op1Kind == OpKind.Register:
                Set(instruction.Op1Register.GetFullRegister32(), CompatibilityComparison.NextSelector(random));
                break;
            case Mnemonic.Pop when instruction.Op0Register.IsSegmentRegister():
                Push(CompatibilityComparison.NextSelector(random));
                break;
            case Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Arpl or Mnemonic.Verr or Mnemonic.Verw:
                SetRegisters(instruction);
                break;
        }

        if (instruction.HasRepPrefix || instruction.HasRepnePrefix)
        {
            Set(Register.ECX, (uint)random.Next(random.Next(4) == 0 ? 0x1000 : 32));
        }

        bytes = ArrangeBranch(bytes, instruction);
        return ArrangeMemory(bytes, instruction);
    }

    private void SetRegisters(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register)
            {
                Set(instruction.GetOpRegister(i).GetFullRegister32(), CompatibilityComparison.NextSelector(random));
            }
        }
    }

    private void PushReturn(in Instruction instruction)
    {
        bool is16 = instruction.Code is Code.Retfw or Code.Retfw_imm16 or Code.Iretw;
        if (instruction.Mnemonic != Mnemonic.Retf)
        {
            uint flags = (uint)random.Next() & (Eflags.Arithmetic | Eflags.Df | Eflags.Ac | Eflags.Id | Eflags.Iopl | Eflags.If);
            Push(flags | (random.Next(16) == 0 ? Eflags.Tf : 0), is16);
        }

        ushort selector = NextCode();
        uint target = Target() + comparison.Machine.Cpu.State.Cs.Base - BaseOf(selector);
        Push(selector, is16);
        Push(target, is16);
    }

    private ushort NextCode() => random.Next(4) switch
    {
        0 => CompatibilityComparison.NextSelector(random),
        1 => CompatibilityEntry.FlatCode,
        _ => LocalDescriptors.UsableCode[random.Next(LocalDescriptors.UsableCode.Length)],
    };

    private static uint BaseOf(ushort selector) => selector == CompatibilityEntry.FlatCode || selector == LocalDescriptors.UsableCode[^1]
        ? 0
        : LowMemory.Code;

    /// <summary>A little further on in the code, as an offset in CS.</summary>
    private uint Target() => comparison.Machine.Cpu.State.Eip + 0x20 + (uint)random.Next(0x40);

    private byte[] ArrangeBranch(byte[] bytes, in Instruction instruction)
    {
        switch (instruction.Op0Kind)
        {
            case OpKind.NearBranch16 or OpKind.NearBranch32:
                ConstantOffsets offsets = Offsets(bytes);
                bytes.AsSpan(offsets.ImmediateOffset, offsets.ImmediateSize).Clear();
                bytes[offsets.ImmediateOffset] = (byte)random.Next(0x40);
                break;
            case OpKind.FarBranch16 or OpKind.FarBranch32:
                ushort selector = NextCode();
                uint target = Target() + comparison.Machine.Cpu.State.Cs.Base - BaseOf(selector);
                ConstantOffsets far = Offsets(bytes);
                BitConverter.GetBytes(target).AsSpan(0, far.ImmediateSize).CopyTo(bytes.AsSpan(far.ImmediateOffset));
                BitConverter.TryWriteBytes(bytes.AsSpan(far.ImmediateOffset2), selector);
                break;
            case OpKind.Register when instruction.FlowControl is FlowControl.IndirectBranch or FlowControl.IndirectCall:
                Set(instruction.Op0Register.GetFullRegister32(), Target());
                break;
        }

        return bytes;
    }

    private byte[] ArrangeMemory(byte[] bytes, in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            switch (instruction.GetOpKind(i))
            {
                case OpKind.MemorySegSI or OpKind.MemorySegESI:
                    Point(Register.ESI, instruction.MemorySegment);
                    break;
                case OpKind.MemoryESDI or OpKind.MemoryESEDI:
                    Point(Register.EDI, Register.ES);
                    break;
                case OpKind.Memory:
                    bytes = ArrangeOperand(bytes, instruction);
                    break;
            }
        }

        return bytes;
    }

    private byte[] ArrangeOperand(byte[] bytes, in Instruction instruction)
    {
        uint start = SegmentBase(instruction.MemorySegment);
        uint address = Address(instruction);
        if (!IsInData(address + start))
        {
            uint delta = CompatibilityComparison.NextPointer(random) - start - address;
            Register register = instruction.MemoryBase != Register.None ? instruction.MemoryBase : instruction.MemoryIndex;
            if (register != Register.None && (register == instruction.MemoryBase || instruction.MemoryIndexScale == 1))
            {
                Set(register.GetFullRegister32(), Get(register.GetFullRegister32()) + delta);
            }
            else if (register == Register.None && instruction.MemoryDisplSize >= 2)
            {
                ConstantOffsets offsets = Offsets(bytes);
                BitConverter.GetBytes(address + delta).AsSpan(0, offsets.DisplacementSize).CopyTo(bytes.AsSpan(offsets.DisplacementOffset));
            }
        }

        if (instruction.FlowControl is FlowControl.IndirectBranch or FlowControl.IndirectCall || IsFarLoad(instruction))
        {
            StorePointer(Decode(bytes));
        }

        return bytes;
    }

    /// <summary>An offset and a selector, by instructions that store them.</summary>
    private void StorePointer(in Instruction instruction)
    {
        const ushort storeDword = 0x05C7;
        SegmentRegister ds = comparison.Machine.Segment(SegmentName.Ds);
        uint address = SegmentBase(instruction.MemorySegment) + Address(instruction) - ds.Base;
        ushort selector = IsFarLoad(instruction) ? CompatibilityComparison.NextSelector(random) : NextCode();
        bool is16 = instruction.MemorySize is MemorySize.SegPtr16 or MemorySize.UInt16;
        uint target = Target() + (instruction.MemorySize is MemorySize.SegPtr16 or MemorySize.SegPtr32
            ? comparison.Machine.Cpu.State.Cs.Base - BaseOf(selector)
            : 0);
        uint low = is16 ? target & 0xFFFF | (uint)selector << 16 : target;
        foreach ((uint offset, uint value) in ((uint, uint)[])[(0, low), (4, selector)])
        {
            if (comparison.HasRoom)
            {
                byte[] code = [.. BitConverter.GetBytes(storeDword), .. BitConverter.GetBytes(address + offset), .. BitConverter.GetBytes(value)];
                comparison.Step(comparison.Is32 ? code : [OperandSize, AddressSize, .. code]);
            }
        }
    }

    private static bool IsFarLoad(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Les or Mnemonic.Lds or Mnemonic.Lss or Mnemonic.Lfs or Mnemonic.Lgs;

    private void Point(Register register, Register segment)
    {
        if (!IsInData(Get(register) + SegmentBase(segment)))
        {
            Set(register, CompatibilityComparison.NextPointer(random) - SegmentBase(segment));
        }
    }

    /// <summary>The offset of a memory operand, as the instruction finds it.</summary>
    private uint Address(in Instruction instruction)
    {
        bool is16 = instruction.MemoryBase.IsGPR16() || instruction.MemoryIndex.IsGPR16()
            || (instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None && instruction.MemoryDisplSize == 2);
        uint address = instruction.MemoryDisplacement32;
        if (instruction.MemoryBase != Register.None)
        {
            address += Get(instruction.MemoryBase);
        }

        if (instruction.MemoryIndex != Register.None)
        {
            address += Get(instruction.MemoryIndex) * (uint)instruction.MemoryIndexScale;
        }

        return is16 ? address & 0xFFFF : address;
    }

    private uint StackAddress()
    {
        SegmentRegister ss = comparison.Machine.Segment(SegmentName.Ss);
        uint esp = comparison.Machine.Cpu.State.Esp;
        return ss.Base + (ss.IsDefault32 ? esp : esp & 0xFFFF);
    }

    private static bool IsInData(uint linear) =>
        linear - LowMemory.Data is < LowMemory.PageSize * 2 or >= LowMemory.PageSize * 4 and < LowMemory.PageSize * LowMemory.DataPages;

    private uint SegmentBase(Register segment) => segment == Register.None ? 0 : comparison.Machine.Segment(Name(segment)).Base;

    private static SegmentName Name(Register segment) => (SegmentName)(segment - Register.ES);

    private uint Get(Register register) => comparison.Machine.Cpu.State.GetGeneral(register.GetFullRegister32() - Register.EAX)
        & (register.IsGPR16() ? 0xFFFFu : uint.MaxValue);

    private void Set(Register register, uint value)
    {
        const byte moveImmediate = 0xB8;
        if (comparison.HasRoom)
        {
            byte[] code = [(byte)(moveImmediate + (register - Register.EAX)), .. BitConverter.GetBytes(value)];
            comparison.Step(comparison.Is32 ? code : [OperandSize, .. code]);
        }
    }

    private void Push(uint value, bool is16 = false)
    {
        const byte pushImmediate = 0x68;
        if (comparison.HasRoom)
        {
            byte[] code = [pushImmediate, .. BitConverter.GetBytes(value).AsSpan(0, is16 ? 2 : 4)];
            comparison.Step(is16 != comparison.Is32 ? code : [OperandSize, .. code]);
        }
    }

    private ConstantOffsets Offsets(byte[] bytes)
    {
        var decoder = Decoder.Create(comparison.Is32 ? 32 : 16, bytes);
        Instruction instruction = decoder.Decode();
        return decoder.GetConstantOffsets(instruction);
    }

    /// <summary>Whether it asks about, or loads, a descriptor that only the host has.</summary>
    private bool UsesForeignSelector(in Instruction instruction)
    {
        if (instruction.Mnemonic is not (Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Verr or Mnemonic.Verw))
        {
            return false;
        }

        int operand = instruction.OpCount - 1;
        if (instruction.GetOpKind(operand) == OpKind.Register)
        {
            return CompatibilityMachine.IsForeign(Get(instruction.GetOpRegister(operand)));
        }

        Span<byte> selector = stackalloc byte[sizeof(ushort)];
        uint linear = SegmentBase(instruction.MemorySegment) + Address(instruction);
        return comparison.Machine.Cpu.TryReadLinear(linear, selector, out _)
            && CompatibilityMachine.IsForeign(BitConverter.ToUInt16(selector));
    }
}
