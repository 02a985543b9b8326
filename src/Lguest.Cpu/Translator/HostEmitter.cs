using System.Buffers.Binary;
using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <summary>
/// Writes code for the host. What every block has many times is written as bytes, each with the instruction it is beside; guest
/// instructions that keep their meaning go through Iced's encoder.
/// </summary>
/// <remarks>See <see cref="HostRegisters"/> for who has which register. Distances within the state are those that its tests pin.</remarks>
internal sealed unsafe partial class HostEmitter
{
    /// <summary>State offset of the flags' slot: a saved image of AX after LAHF and SETO AL, and above it the recipe's number.</summary>
    public const byte FlagsSlot = 112;

    private const byte RecipeSlot = FlagsSlot + 4;
    private const byte SystemFlagsSlot = 48;
    private const byte CountdownSlot = 56;
    private const byte JumpKeySlot = 96;
    private const uint RetiredLimitSlot = 880;
    private const uint ShadowUntilSlot = 888;
    private const uint InterruptLineSlot = 1132;
    private const uint BaseInSegment = 4;
    private const uint LimitInSegment = 8;
    private const uint AccessInSegment = 12;

    /// <summary>State offset of ES; the other segment registers follow in Intel's order.</summary>
    private const int FirstSegment = 640;

    private readonly Encoder _encoder;
    private readonly byte* _start;
    private readonly int _size;
    private readonly long _executeOffset;
    private byte* _at;

    public HostEmitter(ExecutableMemory memory)
    {
        _start = memory.Writable;
        _size = memory.Size;
        _executeOffset = memory.ExecuteOffset;
        _at = _start;
        _encoder = Encoder.Create(64, new Writer(this));
    }

    /// <summary>State offset of a segment register.</summary>
    public static int SegmentSlot(Register segment) => FirstSegment + ((segment - Register.ES) * sizeof(SegmentRegister));

    /// <summary>Where the next byte goes. It executes at <see cref="ExecutableAddress"/>.</summary>
    public byte* Position => _at;

    /// <summary>Bytes that are left.</summary>
    public int Free => (int)(_start + _size - _at);

    /// <summary>Where what is written at an address executes.</summary>
    public byte* ExecutableAddress(byte* written) => written + _executeOffset;

    /// <summary>Goes on at an earlier position, over what was written since.</summary>
    public void Rewind(byte* position) => _at = position;

    /// <summary>Begins at a 16-byte boundary, behind INT3.</summary>
    public void Align()
    {
        while (((nuint)_at & 15) != 0)
        {
            Bytes(0xCC);
        }
    }

    /// <summary>
    /// Whether what the manual leaves open after an instruction is changed at once, as if another host had executed it: a test mode, in
    /// which nothing may come out that doesn't without it.
    /// </summary>
    public bool ScramblesOpen { get; init; }

    /// <summary>An instruction of the host's.</summary>
    public void Instruction(in Instruction instruction)
    {
        Encode(instruction);
        if (ScramblesOpen)
        {
            Scramble(instruction);
        }
    }

    /// <summary>The way in: (state, address in translated code), as the System V ABI calls it.</summary>
    public void Entry()
    {
        // push rbx, rbp, r12, r13, r14, r15
        Bytes(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57);
        AdjustHostStack(-FrameBytes);
        Bytes(0x49, 0x89, 0xFE); // mov r14, rdi
        Bytes(0x49, 0x89, 0xF0); // mov r8, rsi
        Bytes(0x41, 0x8B, 0x06); // mov eax, [r14]
        Bytes(0x41, 0x8B, 0x4E, 4); // mov ecx, [r14 + 4]
        Bytes(0x41, 0x8B, 0x56, 8); // mov edx, [r14 + 8]
        Bytes(0x41, 0x8B, 0x5E, 12); // mov ebx, [r14 + 12]
        Bytes(0x45, 0x8B, 0x66, 16); // mov r12d, [r14 + 16]
        Bytes(0x41, 0x8B, 0x6E, 20); // mov ebp, [r14 + 20]
        Bytes(0x41, 0x8B, 0x76, 24); // mov esi, [r14 + 24]
        Bytes(0x41, 0x8B, 0x7E, 28); // mov edi, [r14 + 28]
        Bytes(0x45, 0x8B, 0x6E, CountdownSlot); // mov r13d, [r14 + countdown]
        Bytes(0x41, 0xFF, 0xE0); // jmp r8
    }

    /// <summary>The way out: answers with R8D. Flags have been taken care of; DF, TF and AC were never set.</summary>
    public void Exit()
    {
        StoreUnits();
        Bytes(0x41, 0x89, 0x06); // mov [r14], eax
        Bytes(0x41, 0x89, 0x4E, 4); // mov [r14 + 4], ecx
        Bytes(0x41, 0x89, 0x56, 8); // mov [r14 + 8], edx
        Bytes(0x41, 0x89, 0x5E, 12); // mov [r14 + 12], ebx
        Bytes(0x45, 0x89, 0x66, 16); // mov [r14 + 16], r12d
        Bytes(0x41, 0x89, 0x6E, 20); // mov [r14 + 20], ebp
        Bytes(0x41, 0x89, 0x76, 24); // mov [r14 + 24], esi
        Bytes(0x41, 0x89, 0x7E, 28); // mov [r14 + 28], edi
        Bytes(0x4D, 0x89, 0x6E, CountdownSlot); // mov [r14 + countdown], r13
        Bytes(0x44, 0x89, 0xC0); // mov eax, r8d

        AdjustHostStack(FrameBytes);

        // pop r15, r14, r13, r12, rbp, rbx; ret
        Bytes(0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3);
    }

    /// <summary>mov r8d, number; jmp to the way out.</summary>
    public void Leave(int number, byte* wayOut)
    {
        Bytes(0x41, 0xB8);
        UInt32((uint)number);
        Jump(wayOut);
    }

    /// <summary>sub r13d, count; js: takes a block's instructions from the countdown. Answers where the jump's distance is.</summary>
    public byte* TakeFromCountdown(int count)
    {
        Bytes(0x41, 0x83, 0xED, (byte)count);
        return JumpIf(ConditionCode.s);
    }

    /// <summary>lea r13d, [r13 + count]: gives back to the countdown, and leaves flags alone.</summary>
    public void GiveBack(int count) => Bytes(0x45, 0x8D, 0x6D, (byte)count);

    /// <summary>test r8b, size - 1; jnz: answers where the distance of the jump is that is taken if R8D isn't a multiple of a size.</summary>
    public byte* JumpUnlessAligned(int size)
    {
        Bytes(0x41, 0xF6, 0xC0, (byte)(size - 1));
        return JumpIf(ConditionCode.ne);
    }

    /// <summary>
    /// From R8D, a linear address, to host memory at [R10 + R8]; R9 and the flags are lost. Answers where the distance of the
    /// jump is that is taken when the TLB doesn't have it.
    /// </summary>
    public byte* Translate(int size, int table)
    {
        if (size > 1)
        {
            Bytes(0x45, 0x8D, 0x48, (byte)(size - 1)); // lea r9d, [r8 + size - 1]
        }
        else
        {
            Bytes(0x45, 0x89, 0xC1); // mov r9d, r8d
        }

        return TranslateTo(table);
    }

    /// <summary>The same for as many elements as ECX says, a page of them at most.</summary>
    public byte* TranslateRun(int size, int table)
    {
        byte scale = size switch
        {
            1 => 0,
            2 => 0x40,
            _ => 0x80,
        };
        Bytes(0x45, 0x8D, 0x4C, (byte)(scale | 0x08), byte.MaxValue); // lea r9d, [r8 + rcx * size - 1]
        return TranslateTo(table);
    }

    /// <summary>jmp if ECX is 0. Answers where its distance is, as the others like it do.</summary>
    public byte* JumpIfCountIsZero()
    {
        Bytes(0x85, 0xC9); // test ecx, ecx
        return JumpIf(ConditionCode.e);
    }

    /// <summary>Jumps if ECX is above a number.</summary>
    public byte* JumpIfCountIsAbove(int most)
    {
        Bytes(0x81, 0xF9); // cmp ecx, most
        UInt32((uint)most);
        return JumpIf(ConditionCode.a);
    }

    /// <summary>Jumps if the guest's DF is set.</summary>
    public byte* JumpIfBackward()
    {
        Bytes(0x41, 0xF6, 0x46, SystemFlagsSlot + 1, (byte)(Eflags.Df >> 8)); // test byte [r14 + flags + 1], DF
        return JumpIf(ConditionCode.ne);
    }

    /// <summary>REP MOVS or REP STOS.</summary>
    public void Repeat(bool isMove, int size)
    {
        if (size == sizeof(ushort))
        {
            Bytes(0x66);
        }

        int opcode = (isMove ? 0xA4 : 0xAA) | (size == 1 ? 0 : 1);
        Bytes(0xF3, (byte)opcode);
    }

    /// <summary>Brings the image of EFLAGS that PUSHF pushes into R11D, from the flags' slot and the state. R9 is lost.</summary>
    public void LoadImage()
    {
        Bytes(0x45, 0x0F, 0xB6, 0x5E, FlagsSlot); // movzx r11d, byte [r14 + slot]: OF
        Bytes(0x41, 0xC1, 0xE3, 11); // shl r11d, 11
        Bytes(0x45, 0x0F, 0xB6, 0x4E, FlagsSlot + 1); // movzx r9d, byte [r14 + slot + 1]: the others
        Bytes(0x45, 0x09, 0xCB); // or r11d, r9d
        Bytes(0x45, 0x8B, 0x4E, SystemFlagsSlot); // mov r9d, [r14 + flags]
        Bytes(0x41, 0x81, 0xE1); // and r9d, ~(VM and RF)
        UInt32(~(Eflags.Vm | Eflags.Rf));
        Bytes(0x45, 0x09, 0xCB); // or r11d, r9d
    }

    private void Encode(in Instruction instruction) => _encoder.Encode(instruction, (ulong)(_at + _executeOffset));

    private void Scramble(in Instruction instruction)
    {
        if (instruction.Mnemonic is Mnemonic.Bsf or Mnemonic.Bsr)
        {
            // After a source of 0 the destination is open too: the state's address is as good as anything.
            bool isWord = instruction.Op0Register.GetSize() == sizeof(ushort);
            Encode(Iced.Intel.Instruction.Create(
                isWord ? Code.Cmove_r16_rm16 : Code.Cmove_r32_rm32, instruction.Op0Register, isWord ? Register.R14W : Register.R14D));
        }

        uint open = FlagUse.ImageOf(instruction.RflagsUndefined);
        if (open != 0)
        {
            Bytes(0x9C); // pushfq
            Bytes(0x81, 0x34, 0x24); // xor dword [rsp], open
            UInt32(open);
            Bytes(0x9D); // popfq
        }
    }

    private byte* TranslateTo(int table)
    {
        Bytes(0x45, 0x89, 0xC2); // mov r10d, r8d
        Bytes(0x41, 0xC1, 0xEA, PhysicalMemory.PageShift - 4); // shr r10d, 8
        Bytes(0x41, 0x81, 0xE1); // and r9d, page
        UInt32(~PhysicalMemory.PageOffsetMask);
        Bytes(0x41, 0x81, 0xE2); // and r10d, index
        UInt32((TranslationBuffer.Entries - 1) * 16);
        Bytes(0x4F, 0x3B, 0x8C, 0x16); // cmp r9, [r14 + r10 + table]
        UInt32((uint)table);
        byte* miss = JumpIf(ConditionCode.ne);
        Bytes(0x4F, 0x8B, 0x94, 0x16); // mov r10, [r14 + r10 + table + 8]
        UInt32((uint)table + 8);
        return miss;
    }

    /// <summary>
    /// Adds a segment's base to the offset in R8D, if it is a data segment that can be written and has no limit; R9 and the flags
    /// are lost. Adds where the distances of the jumps are that are taken if it is another.
    /// </summary>
    /// <param name="segment">State offset of the segment register.</param>
    /// <param name="misses">Gets the distances.</param>
    public void AddSegmentBase(int segment, GrowingArray<JumpDistance> misses)
    {
        const uint Checked = (uint)(SegmentAccess.Present | SegmentAccess.Code | SegmentAccess.WritableOrReadable | SegmentAccess.ExpandDownOrConforming);
        const uint Wanted = (uint)(SegmentAccess.Present | SegmentAccess.WritableOrReadable);
        Bytes(0x41, 0x83, 0xBE); // cmp dword [r14 + limit], -1
        UInt32((uint)segment + LimitInSegment);
        Bytes(0xFF);
        misses.Add(new((nint)JumpIf(ConditionCode.ne)));
        Bytes(0x45, 0x8B, 0x8E); // mov r9d, [r14 + access]
        UInt32((uint)segment + AccessInSegment);
        Bytes(0x41, 0x81, 0xE1); // and r9d, checked
        UInt32(Checked);
        Bytes(0x41, 0x81, 0xF9); // cmp r9d, wanted
        UInt32(Wanted);
        misses.Add(new((nint)JumpIf(ConditionCode.ne)));
        Bytes(0x45, 0x03, 0x86); // add r8d, [r14 + base]
        UInt32((uint)segment + BaseInSegment);
    }

    /// <summary>Keeps the flags in their slot, as LAHF and SETO give them, with what the manual leaves open made ours.</summary>
    public void SaveFlags(FlagCorrection correction)
    {
        Bytes(0x41, 0x89, 0xC3); // mov r11d, eax
        Bytes(0x9F); // lahf
        Bytes(0x0F, 0x90, 0xC0); // seto al
        if (correction != FlagCorrection.None)
        {
            Bytes(0x80, 0xE4, 0xEF); // and ah, ~AF
        }

        if (correction == FlagCorrection.ShiftLeft)
        {
            // OF is CF and SF together.
            Bytes(0x88, 0xE0, 0xC0, 0xE8, 7, 0x30, 0xE0, 0x24, 1); // mov al, ah; shr al, 7; xor al, ah; and al, 1
        }
        else if (correction == FlagCorrection.ShiftRight)
        {
            Bytes(0x30, 0xC0); // xor al, al
        }

        StoreFlags();
    }

    /// <summary>The same after a multiplication: CF and OF are its own, the rest its low half's.</summary>
    public void SaveProductFlags(Register product)
    {
        Bytes(0x41, 0x89, 0xC3); // mov r11d, eax
        Bytes(0x41, 0x0F, 0x90, 0xC1); // seto r9b
        Code test = product.GetSize() switch
        {
            1 => Code.Test_rm8_r8,
            2 => Code.Test_rm16_r16,
            _ => Code.Test_rm32_r32,
        };
        Instruction(Iced.Intel.Instruction.Create(test, product, product));
        Bytes(0x9F); // lahf
        Bytes(0x80, 0xE4, 0xEF); // and ah, ~AF
        Bytes(0x44, 0x88, 0xC8); // mov al, r9b
        Bytes(0x08, 0xC4); // or ah, al
        StoreFlags();
    }

    /// <summary>Brings the flags back from their slot. R11 is lost.</summary>
    public void LoadFlags()
    {
        Bytes(0x41, 0x89, 0xC3); // mov r11d, eax
        Bytes(0x41, 0x8B, 0x46, FlagsSlot); // mov eax, [r14 + slot]
        Bytes(0x04, 0x7F); // add al, 127: OF
        Bytes(0x9E); // sahf
        Bytes(0x44, 0x89, 0xD8); // mov eax, r11d
    }

    /// <summary>Whether what a condition asks for is in single bits of the flags' slot.</summary>
    public static bool IsInSlot(ConditionCode condition) =>
        condition is not (ConditionCode.None or ConditionCode.l or ConditionCode.ge or ConditionCode.le or ConditionCode.g);

    /// <summary>Looks at the flags in their slot. Answers the condition to ask for instead. The host's flags are lost.</summary>
    public ConditionCode TestSlot(ConditionCode condition)
    {
        (int place, uint bits) = condition switch
        {
            ConditionCode.o or ConditionCode.no => (0, 1u),
            ConditionCode.b or ConditionCode.ae => (1, Eflags.Cf),
            ConditionCode.e or ConditionCode.ne => (1, Eflags.Zf),
            ConditionCode.be or ConditionCode.a => (1, Eflags.Cf | Eflags.Zf),
            ConditionCode.s or ConditionCode.ns => (1, Eflags.Sf),
            _ => (1, (uint)Eflags.Pf),
        };
        Bytes(0x41, 0xF6, 0x46, (byte)(FlagsSlot + place), (byte)bits); // test byte [r14 + slot + place], bits
        bool isNegated = ((condition - ConditionCode.o) & 1) != 0;
        return isNegated ? ConditionCode.e : ConditionCode.ne;
    }

    /// <summary>Has the flags in their slot take over CF. R9 and the other flags are lost.</summary>
    public void MergeCarry()
    {
        Bytes(0x45, 0x19, 0xC9); // sbb r9d, r9d
        Bytes(0x45, 0x33, 0x4E, FlagsSlot); // xor r9d, [r14 + slot]
        Bytes(0x41, 0x81, 0xE1); // and r9d, CF in AH
        UInt32(Eflags.Cf << 8);
        Bytes(0x45, 0x31, 0x4E, FlagsSlot); // xor [r14 + slot], r9d
    }

    /// <summary>Keeps SHRD's flags in their slot. R9D is the result; it and R10 are lost.</summary>
    public void SaveFlagsOfRightFill(bool isWord)
    {
        Bytes(0x41, 0x89, 0xC3); // mov r11d, eax
        Bytes(0x9F); // lahf
        Bytes(0x80, 0xE4, 0xEF); // and ah, ~AF
        if (isWord)
        {
            Bytes(0x41, 0xC1, 0xE1, 16); // shl r9d, 16
        }

        Bytes(0x47, 0x8D, 0x14, 0x09); // lea r10d, [r9 + r9]
        Bytes(0x45, 0x31, 0xCA); // xor r10d, r9d
        Bytes(0x41, 0xC1, 0xEA, 31); // shr r10d, 31
        Bytes(0x44, 0x88, 0xD0); // mov al, r10b
        StoreFlags();
    }

    /// <summary>Jumps if a count in CL is 0. Answers where its distance is.</summary>
    public byte* JumpUnlessCount()
    {
        Bytes(0xF6, 0xC1, 31); // test cl, 31
        return JumpIf(ConditionCode.e);
    }

    /// <summary>Sets or clears EFLAGS.DF in the state; the host's is always 0. The host's other flags are lost.</summary>
    public void SetDirection(bool backward)
    {
        if (backward)
        {
            Bytes(0x41, 0x81, 0x4E, SystemFlagsSlot); // or dword [r14 + flags], DF
            UInt32(Eflags.Df);
        }
        else
        {
            Bytes(0x41, 0x81, 0x66, SystemFlagsSlot); // and dword [r14 + flags], ~DF
            UInt32(~(uint)Eflags.Df);
        }
    }

    /// <summary>Jumps if CPL isn't 0. The host's flags are lost.</summary>
    public byte* JumpUnlessRingZero()
    {
        Bytes(0x41, 0xF6, 0x86); // test byte [r14 + cs], 3
        UInt32((uint)SegmentSlot(Register.CS));
        Bytes(Selector.RplMask);
        return JumpIf(ConditionCode.ne);
    }

    /// <summary>Clears EFLAGS.IF in the state. The host's flags are lost.</summary>
    public void DisableInterrupts()
    {
        Bytes(0x41, 0x81, 0x66, SystemFlagsSlot); // and dword [r14 + flags], ~IF
        UInt32(~(uint)Eflags.If);
    }

    /// <summary>Jumps if EFLAGS.IF is set in the state.</summary>
    public byte* JumpIfInterruptsAreEnabled()
    {
        Bytes(0x41, 0xF6, 0x46, SystemFlagsSlot + 1, (byte)(Eflags.If >> 8)); // test byte [r14 + flags + 1], IF
        return JumpIf(ConditionCode.ne);
    }

    /// <summary>Jumps if the machine waits for interrupts to be enabled.</summary>
    public byte* JumpIfInterruptWaits()
    {
        Bytes(0x49, 0x83, 0xBE); // cmp qword [r14 + line, and window], 0
        UInt32(InterruptLineSlot);
        Bytes(0);
        return JumpIf(ConditionCode.ne);
    }

    /// <summary>Sets EFLAGS.IF in the state, and holds interrupts off for one instruction more. R9 is lost.</summary>
    /// <param name="rest">Instructions of the block from this one on.</param>
    public void EnableInterrupts(int rest)
    {
        const int Shadow = 2;
        Bytes(0x4D, 0x8B, 0x8E); // mov r9, [r14 + limit]
        UInt32(RetiredLimitSlot);
        Bytes(0x4D, 0x29, 0xE9); // sub r9, r13
        Bytes(0x49, 0x83, 0xE9, (byte)(rest - Shadow)); // sub r9, rest - 2
        Bytes(0x4D, 0x89, 0x8E); // mov [r14 + shadow], r9
        UInt32(ShadowUntilSlot);
        Bytes(0x41, 0x81, 0x4E, SystemFlagsSlot); // or dword [r14 + flags], IF
        UInt32(Eflags.If);
    }

    /// <summary>mov dword [r14 + slot + 4], number: says how the flags can be computed again.</summary>
    public void NameRecipe(int number)
    {
        Bytes(0x41, 0xC7, 0x46, RecipeSlot);
        UInt32((uint)number);
    }

    /// <summary>Marks an encoding as executed; no flag and no register changes.</summary>
    public void Mark(Code code)
    {
        Bytes(0x41, 0xC6, 0x86); // mov byte [r14 + distance], 1
        UInt32((uint)ExecutionMarks.OffsetOf(code));
        Bytes(1);
    }

    /// <summary>
    /// Looks for translated code at a fixed EIP in the jump cache: R11 is its address. R9 and flags are lost. Adds where the distances
    /// of the jumps are that are taken if there is none.
    /// </summary>
    public void FindTarget(uint eip, int entry, GrowingArray<JumpDistance> misses)
    {
        Bytes(0x41, 0x81, 0xBE); // cmp dword [r14 + entry], eip
        UInt32((uint)entry);
        UInt32(eip);
        misses.Add(new((nint)JumpIf(ConditionCode.ne)));
        Bytes(0x45, 0x8B, 0x4E, JumpKeySlot); // mov r9d, [r14 + key]
        Bytes(0x45, 0x3B, 0x8E); // cmp r9d, [r14 + entry + 4]
        UInt32((uint)entry + 4);
        misses.Add(new((nint)JumpIf(ConditionCode.ne)));
        Bytes(0x4D, 0x8B, 0x9E); // mov r11, [r14 + entry + 16]
        UInt32((uint)entry + 16);
        Bytes(0x4D, 0x85, 0xDB); // test r11, r11
        misses.Add(new((nint)JumpIf(ConditionCode.e)));
    }

    /// <summary>The same for the EIP in R11D; R8 is lost too.</summary>
    public void FindTarget(int cache, GrowingArray<JumpDistance> misses)
    {
        Bytes(0x45, 0x89, 0xD8, 0x41, 0xC1, 0xE8, 12); // mov r8d, r11d; shr r8d, 12
        Bytes(0x45, 0x89, 0xD9, 0x41, 0xC1, 0xE9, 18); // mov r9d, r11d; shr r9d, 18
        Bytes(0x45, 0x31, 0xC8); // xor r8d, r9d
        Bytes(0x41, 0x83, 0xE0, 63, 0x41, 0xC1, 0xE0, 8); // and r8d, 63; shl r8d, 8
        Bytes(0x45, 0x89, 0xD9, 0x41, 0xC1, 0xE9, 8); // mov r9d, r11d; shr r9d, 8
        Bytes(0x45, 0x31, 0xD9, 0x45, 0x0F, 0xB6, 0xC9); // xor r9d, r11d; movzx r9d, r9b
        Bytes(0x45, 0x09, 0xC8, 0x41, 0xC1, 0xE0, 5); // or r8d, r9d; shl r8d, 5
        Bytes(0x47, 0x3B, 0x9C, 0x06); // cmp r11d, [r14 + r8 + cache]
        UInt32((uint)cache);
        misses.Add(new((nint)JumpIf(ConditionCode.ne)));
        Bytes(0x45, 0x8B, 0x4E, JumpKeySlot); // mov r9d, [r14 + key]
        Bytes(0x47, 0x3B, 0x8C, 0x06); // cmp r9d, [r14 + r8 + cache + 4]
        UInt32((uint)cache + 4);
        misses.Add(new((nint)JumpIf(ConditionCode.ne)));
        Bytes(0x4F, 0x8B, 0x9C, 0x06); // mov r11, [r14 + r8 + cache + 16]
        UInt32((uint)cache + 16);
        Bytes(0x4D, 0x85, 0xDB); // test r11, r11
        misses.Add(new((nint)JumpIf(ConditionCode.e)));
    }

    /// <summary>jmp r11.</summary>
    public void JumpToTarget() => Bytes(0x41, 0xFF, 0xE3);

    /// <summary>A conditional jump to a place that <see cref="SetDistance"/> names later. Answers where its distance is.</summary>
    public byte* JumpIf(ConditionCode condition)
    {
        Bytes(0x0F, (byte)(0x80 | (condition - ConditionCode.o)));
        UInt32(0);
        return _at - sizeof(int);
    }

    /// <summary>A jump; where its distance is.</summary>
    public byte* Jump(byte* target)
    {
        Bytes(0xE9);
        UInt32(0);
        SetDistance(_at - sizeof(int), target);
        return _at - sizeof(int);
    }

    /// <summary>Makes a jump lead to a target (both as they are written).</summary>
    public static void SetDistance(byte* distance, byte* target) =>
        *(int*)distance = (int)(target - (distance + sizeof(int)));

    /// <summary>Writes bytes.</summary>
    public void Bytes(params ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(new Span<byte>(_at, bytes.Length));
        _at += bytes.Length;
    }

    /// <summary>The same for one.</summary>
    public void Bytes(byte first) => *_at++ = first;

    /// <summary>The same for two.</summary>
    public void Bytes(byte first, byte second)
    {
        Bytes(first);
        Bytes(second);
    }

    /// <summary>The same for three.</summary>
    public void Bytes(byte first, byte second, byte third)
    {
        Bytes(first, second);
        Bytes(third);
    }

    /// <summary>The same for four.</summary>
    public void Bytes(byte first, byte second, byte third, byte fourth)
    {
        Bytes(first, second);
        Bytes(third, fourth);
    }

    /// <summary>The same for five.</summary>
    public void Bytes(byte first, byte second, byte third, byte fourth, byte fifth)
    {
        Bytes(first, second, third, fourth);
        Bytes(fifth);
    }

    /// <summary>Writes four bytes.</summary>
    public void UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(new Span<byte>(_at, sizeof(uint)), value);
        _at += sizeof(uint);
    }

    /// <summary>Writes eight bytes.</summary>
    private void UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(new Span<byte>(_at, sizeof(ulong)), value);
        _at += sizeof(ulong);
    }

    private void StoreFlags()
    {
        Bytes(0x0F, 0xB7, 0xC0); // movzx eax, ax
        Bytes(0x49, 0x89, 0x46, FlagsSlot); // mov [r14 + slot], rax: and no recipe
        Bytes(0x44, 0x89, 0xD8); // mov eax, r11d
    }

    private sealed class Writer(HostEmitter emitter) : CodeWriter
    {
        public override void WriteByte(byte value) => *emitter._at++ = value;
    }
}

/// <summary>What of an instruction's flags the manual leaves open, and has to be made as the interpreter has it.</summary>
internal enum FlagCorrection
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>AF is 0.</summary>
    Auxiliary,

    /// <summary>AF is 0; OF is as after the last of so many shifts to the left.</summary>
    ShiftLeft,

    /// <summary>AF is 0; OF is as after the last of two or more shifts to the right.</summary>
    ShiftRight,
}
