using Iced.Intel;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <content>The guest's floating-point state, into the host's units and back.</content>
internal sealed unsafe partial class HostEmitter
{
    /// <summary>On the host's stack: an area for FXSAVE, the host's x87 control word, and what aligns them.</summary>
    private const int FrameBytes = 520;
    private const int Registers = 8;
    private const int RegisterBytes = 16;
    private const int X87Slot = 128;
    private const int ControlInArea = 0;
    private const int StatusInArea = 2;
    private const int ValidInArea = 4;
    private const int PointerInArea = 8;
    private const int DataPointerInArea = 16;
    private const int MxcsrInArea = 24;
    private const int X87RegistersInArea = 32;
    private const int XmmInArea = 160;

    /// <summary>Behind the area.</summary>
    private const int HostControlInFrame = 512;

    private const int Cr0Slot = 784;
    private const int Cr4Slot = 796;
    private const int MissingUnitsSlot = 984;
    private const int HostMxcsrSlot = 988;
    private const int FirstOperandSlot = 992;
    private const int ResultSlot = FirstOperandSlot + (2 * RegisterBytes);
    private const int RestSlot = ResultSlot + RegisterBytes;

    /// <summary>In the frame, while the x87 is loaded and the area free: where a call goes back to.</summary>
    private const int ReturnInFrame = 8;
    private const uint MxcsrMasks = 0x1F80;
    private const byte ControlMasks = 0x3F;
    private const uint ErrorSummary = 1 << 7;

    /// <summary>test byte [r14 + missing], units; jnz. Answers where the jump's distance is.</summary>
    public byte* JumpIfMissing(HostUnits units)
    {
        OnState([0x41, 0xF6], 0, MissingUnitsSlot);
        Bytes((byte)units);
        return JumpIf(ConditionCode.ne);
    }

    /// <summary>
    /// Goes to the loader of units, which goes on at a place. Answers the distance of where it goes on if the guest's state is such that
    /// they can't be loaded: as <see cref="SetDistance"/> takes it.
    /// </summary>
    public byte* LoadUnits(HostUnits units, byte* loaded, byte* loader)
    {
        Bytes(0x41, 0xB9); // mov r9d, units
        UInt32((uint)units);
        Bytes(0x4C, 0x8D, 0x1D); // lea r11, [rip + loaded]
        UInt32(0);
        SetDistance(_at - sizeof(int), loaded);
        Bytes(0x4C, 0x8D, 0x15); // lea r10, [rip + unavailable]
        UInt32(0);
        byte* unavailable = _at - sizeof(int);
        Jump(loader);
        return unavailable;
    }

    /// <summary>mov dword [r14 + pointer], eip: flags stay.</summary>
    public void NoteX87Pointer(uint eip)
    {
        OnState([0x41, 0xC7], 0, X87Slot + PointerInArea);
        UInt32(eip);
    }

    /// <summary>FNINIT. What of the state isn't in the host's is cleared there.</summary>
    public void ResetX87()
    {
        Bytes(0xDB, 0xE3); // fninit
        foreach (int field in (ReadOnlySpan<int>)[ValidInArea, PointerInArea, DataPointerInArea])
        {
            OnState([0x41, 0xC7], 0, X87Slot + field); // mov dword [r14 + field], 0
            UInt32(0);
        }
    }

    /// <summary>
    /// FLDCW of [R10 + R8]. R11 and the flags are lost. Answers where the distance of the jump is that is taken if it would unmask an exception.
    /// </summary>
    /// <remarks>The state's place for it is free while the x87 is loaded. Memory is read once: others may write there.</remarks>
    public byte* LoadX87Control()
    {
        Bytes(0x47, 0x0F, 0xB7, 0x1C, 0x02); // movzx r11d, word [r10 + r8]
        Bytes(0x41, 0x81, 0xE3); // and r11d, kept
        UInt32(X87Control.Kept);
        Bytes(0x41, 0x83, 0xCB, (byte)X87Control.AlwaysSet); // or r11d, always
        OnState([0x66, 0x45, 0x89], 3, X87Slot + ControlInArea); // mov [r14 + control], r11w
        Bytes(0x41, 0xF7, 0xD3); // not r11d
        Bytes(0x41, 0xF6, 0xC3, ControlMasks); // test r11b, masks
        byte* unmasks = JumpIf(ConditionCode.ne);
        OnState([0x41, 0xD9], 5, X87Slot + ControlInArea); // fldcw [r14 + control]
        return unmasks;
    }

    /// <summary>LDMXCSR of [R10 + R8], as <see cref="LoadX87Control"/>.</summary>
    public byte* LoadMxcsrOfGuest()
    {
        Bytes(0x47, 0x8B, 0x1C, 0x02); // mov r11d, [r10 + r8]
        OnState([0x45, 0x89], 3, X87Slot + MxcsrInArea); // mov [r14 + mxcsr], r11d
        Bytes(0x41, 0x81, 0xE3); // and r11d, masks | reserved
        UInt32(MxcsrMasks | ~SseControl.MxcsrMask);
        Bytes(0x41, 0x81, 0xFB); // cmp r11d, masks
        UInt32(MxcsrMasks);
        byte* unmasks = JumpIf(ConditionCode.ne);
        OnState([0x41, 0x0F, 0xAE], 2, X87Slot + MxcsrInArea); // ldmxcsr [r14 + mxcsr]
        return unmasks;
    }

    /// <summary>Answers where the distance of the jump is that is taken if one of some bits of the x87's status is set.</summary>
    public byte* JumpIfStatus(uint bits)
    {
        TestStatus(bits);
        return JumpIf(ConditionCode.ne);
    }

    private void TestStatus(uint bits)
    {
        OnState([0x41, 0xDD], 7, X87Slot + StatusInArea); // fnstsw [r14 + status], which is free
        OnState([0x45, 0x0F, 0xB7], 0, X87Slot + StatusInArea); // movzx r8d, word [r14 + status]
        Bytes(0x41, 0xF7, 0xC0); // test r8d, bits
        UInt32(bits);
    }

    /// <summary>Pops operands for a function.</summary>
    public void TakeOperands(int count)
    {
        for (int i = 0; i < count; i++)
        {
            OnState([0x41, 0xDB], 7, FirstOperandSlot + (i * RegisterBytes)); // fstp tword [r14 + operand]
        }
    }

    /// <summary>
    /// If there was nothing to pop, goes back to where the stack was. Answers where the distance of the jump is that follows.
    /// </summary>
    /// <remarks>The exception has been reported, as it is by the instruction; and what was there is empty now, as it is after it.</remarks>
    public byte* ReturnIfEmpty(int operands)
    {
        TestStatus(X87Status.Sf);
        byte* isFine = JumpIf(ConditionCode.e);
        for (int i = 0; i < operands; i++)
        {
            Bytes(0xD9, 0xF6); // fdecstp
        }

        byte* leaves = Jump(_at);
        SetDistance(isFine, _at);
        return leaves;
    }

    /// <summary>
    /// Calls a function; if the interpreter has to, loads the operands again. Answers where the distance of the jump is that follows.
    /// </summary>
    public byte* CallFunction(X87Function function, int operands, byte* caller)
    {
        Bytes(0x41, 0xB9); // mov r9d, function
        UInt32((uint)function);
        Bytes(0x4C, 0x8D, 0x1D); // lea r11, [rip + back]
        UInt32(0);
        byte* back = _at - sizeof(int);
        Jump(caller);
        SetDistance(back, _at);
        Bytes(0x45, 0x85, 0xC0); // test r8d, r8d
        byte* isFine = JumpIf(ConditionCode.ne);
        for (int i = operands - 1; i >= 0; i--)
        {
            OnState([0x41, 0xDB], 5, FirstOperandSlot + (i * RegisterBytes)); // fld tword [r14 + operand]
        }

        byte* leaves = Jump(_at);
        SetDistance(isFine, _at);
        return leaves;
    }

    /// <summary>Loads a function's result, and has the host round it once more, to the same.</summary>
    public void LoadResult()
    {
        OnState([0x41, 0xDB], 5, ResultSlot); // fld tword [r14 + result]
        OnState([0x41, 0xDC], 0, RestSlot); // fadd qword [r14 + rest]
    }

    /// <summary>
    /// Calls the function whose number is in R9D, and goes on at R11 with what it answers in R8D. R8 to R11 and the flags are lost. The x87
    /// stays loaded, as managed code doesn't use it; the rest that a callee may change is kept.
    /// </summary>
    public void FunctionCaller()
    {
        OnFrame([0x4C, 0x89], 3, ReturnInFrame); // mov [rsp + return], r11
        Bytes(0x41, 0x89, 0x06); // mov [r14], eax
        Bytes(0x41, 0x89, 0x4E, 4); // mov [r14 + 4], ecx
        Bytes(0x41, 0x89, 0x56, 8); // mov [r14 + 8], edx
        Bytes(0x41, 0x89, 0x76, 24); // mov [r14 + 24], esi
        Bytes(0x41, 0x89, 0x7E, 28); // mov [r14 + 28], edi
        Bytes(0x44, 0x89, 0xCE); // mov esi, r9d
        FindLoadedUnits();
        StoreMxcsr();
        StoreXmm();
        OnState([0x41, 0xD9], 7, X87Slot + ControlInArea); // fnstcw [r14 + control]
        Bytes(0x4C, 0x89, 0xF7); // mov rdi, r14
        Bytes(0x48, 0xB8); // mov rax, function
        UInt64((ulong)(nint)(delegate* unmanaged<ProcessorState*, X87Function, int>)&X87Call.Execute);
        Bytes(0xFF, 0xD0); // call rax
        Bytes(0x41, 0x89, 0xC0); // mov r8d, eax
        FindLoadedUnits();
        LoadMxcsr();
        LoadXmm();
        Bytes(0x41, 0x8B, 0x06); // mov eax, [r14]
        Bytes(0x41, 0x8B, 0x4E, 4); // mov ecx, [r14 + 4]
        Bytes(0x41, 0x8B, 0x56, 8); // mov edx, [r14 + 8]
        Bytes(0x41, 0x8B, 0x76, 24); // mov esi, [r14 + 24]
        Bytes(0x41, 0x8B, 0x7E, 28); // mov edi, [r14 + 28]
        OnFrame([0x4C, 0x8B], 3, ReturnInFrame); // mov r11, [rsp + return]
        Bytes(0x41, 0xFF, 0xE3); // jmp r11
    }

    /// <summary>
    /// Loads what is missing of the units in R9D, and goes on at R11; or at R10 where the guest's state is such that an instruction
    /// could fault. R8 to R11 and the flags are lost.
    /// </summary>
    public void UnitLoader()
    {
        GrowingArray<JumpDistance> unavailable = new();
        OnState([0x41, 0xF7], 0, Cr0Slot); // test dword [r14 + cr0], EM | TS
        UInt32(Cr0.Em | Cr0.Ts);
        unavailable.Add(new((nint)JumpIf(ConditionCode.ne)));
        OnState([0x45, 0x23], 1, MissingUnitsSlot); // and r9d, [r14 + missing]
        byte* noSse = JumpUnlessWanted(HostUnits.Xmm | HostUnits.Mxcsr);
        OnState([0x41, 0xF7], 0, Cr4Slot); // test dword [r14 + cr4], OSFXSR
        UInt32(Cr4.Osfxsr);
        unavailable.Add(new((nint)JumpIf(ConditionCode.e)));
        SetDistance(noSse, _at);

        byte* noMxcsr = JumpUnlessWanted(HostUnits.Mxcsr);
        OnState([0x45, 0x8B], 0, X87Slot + MxcsrInArea); // mov r8d, [r14 + mxcsr]
        Bytes(0x41, 0xF7, 0xD0); // not r8d
        Bytes(0x41, 0xF7, 0xC0); // test r8d, masks
        UInt32(MxcsrMasks);
        unavailable.Add(new((nint)JumpIf(ConditionCode.ne)));
        SetDistance(noMxcsr, _at);

        byte* noX87 = JumpUnlessWanted(HostUnits.X87);
        OnState([0x45, 0x8B], 0, X87Slot + ControlInArea); // mov r8d, [r14 + control and status]
        Bytes(0x41, 0x81, 0xF0); // xor r8d, masks
        UInt32(ControlMasks);
        Bytes(0x41, 0xF7, 0xC0); // test r8d, masks | ES
        UInt32(ControlMasks | (ErrorSummary << 16));
        unavailable.Add(new((nint)JumpIf(ConditionCode.ne)));
        SetDistance(noX87, _at);

        OnState([0x45, 0x31], 1, MissingUnitsSlot); // xor [r14 + missing], r9d
        LoadXmm();
        LoadMxcsr();
        LoadX87();
        Bytes(0x41, 0xFF, 0xE3); // jmp r11
        for (int i = 0; i < unavailable.Count; i++)
        {
            SetDistance((byte*)unavailable[i].Address, _at);
        }

        Bytes(0x41, 0xFF, 0xE2); // jmp r10
    }

    private void LoadXmm()
    {
        byte* skip = JumpUnlessWanted(HostUnits.Xmm);
        for (int i = 0; i < Registers; i++)
        {
            OnState([0x41, 0x0F, 0x28], i, X87Slot + XmmInArea + (i * RegisterBytes)); // movaps xmm, [r14 + register]
        }

        SetDistance(skip, _at);
    }

    private void LoadMxcsr()
    {
        byte* skip = JumpUnlessWanted(HostUnits.Mxcsr);
        OnState([0x41, 0x0F, 0xAE], 3, HostMxcsrSlot); // stmxcsr [r14 + host's]
        OnState([0x41, 0x0F, 0xAE], 2, X87Slot + MxcsrInArea); // ldmxcsr [r14 + guest's]
        SetDistance(skip, _at);
    }

    /// <summary>By FXRSTOR, which wants the registers in the stack's order, and brings XMM and MXCSR: those that there are.</summary>
    private void LoadX87()
    {
        byte* skip = JumpUnlessWanted(HostUnits.X87);
        OnFrame([0xD9], 7, HostControlInFrame); // fnstcw [rsp + host's]
        OnState([0x45, 0x0F, 0xB7], 2, X87Slot + StatusInArea); // movzx r10d, word [r14 + status]
        MakeTopAnOffset();
        for (int i = 0; i < Registers; i++)
        {
            Bytes(0x47, 0x0F, 0x10, 0x84, 0x16); // movups xmm8, [r14 + r10 + registers]
            UInt32(X87Slot + X87RegistersInArea);
            OnFrame([0x44, 0x0F, 0x29], 0, X87RegistersInArea + (i * RegisterBytes)); // movaps [rsp + register], xmm8
            GoToNextRegister();
        }

        OnState([0x45, 0x8B], 0, X87Slot + ControlInArea); // mov r8d, [r14 + control and status]
        OnFrame([0x44, 0x89], 0, ControlInArea); // mov [rsp], r8d
        OnState([0x45, 0x0F, 0xB6], 0, X87Slot + ValidInArea); // movzx r8d, byte [r14 + valid]
        OnFrame([0x44, 0x89], 0, ValidInArea); // mov [rsp + valid], r8d
        OnFrame([0x0F, 0xAE], 3, MxcsrInArea); // stmxcsr [rsp + mxcsr]
        for (int i = 0; i < Registers; i++)
        {
            OnFrame([0x0F, 0x29], i, XmmInArea + (i * RegisterBytes)); // movaps [rsp + register], xmm
        }

        OnFrame([0x0F, 0xAE], 1, 0); // fxrstor [rsp]
        SetDistance(skip, _at);
    }

    /// <summary>On the way out: gives back what was loaded, if anything was. R9 to R11 and the flags are lost.</summary>
    private void StoreUnits()
    {
        FindLoadedUnits();
        byte* none = JumpIf(ConditionCode.e);
        StoreX87();
        StoreMxcsr();
        StoreXmm();
        OnState([0x41, 0xC7], 0, MissingUnitsSlot); // mov dword [r14 + missing], all
        UInt32((uint)HostUnits.All);
        SetDistance(none, _at);
    }

    /// <summary>The pointers to the last instruction and its operand aren't the host's: they stay as they are in the state.</summary>
    private void StoreX87()
    {
        byte* skip = JumpUnlessWanted(HostUnits.X87);
        OnFrame([0x0F, 0xAE], 0, 0); // fxsave [rsp]
        Bytes(0x0F, 0x77); // emms
        OnFrame([0x44, 0x0F, 0xB7], 2, HostControlInFrame); // movzx r10d, word [rsp + host's]
        OnFrame([0x66, 0x44, 0x3B], 2, ControlInArea); // cmp r10w, [rsp]
        byte* sameControl = JumpIf(ConditionCode.e);
        OnFrame([0xD9], 5, HostControlInFrame); // fldcw [rsp + host's]
        SetDistance(sameControl, _at);
        OnFrame([0x44, 0x8B], 2, ControlInArea); // mov r10d, [rsp]
        OnState([0x45, 0x89], 2, X87Slot + ControlInArea); // mov [r14 + control and status], r10d
        OnFrame([0x44, 0x0F, 0xB6], 2, ValidInArea); // movzx r10d, byte [rsp + valid]
        OnState([0x45, 0x88], 2, X87Slot + ValidInArea); // mov [r14 + valid], r10b
        OnFrame([0x44, 0x0F, 0xB7], 2, StatusInArea); // movzx r10d, word [rsp + status]
        MakeTopAnOffset();
        for (int i = 0; i < Registers; i++)
        {
            OnFrame([0x44, 0x0F, 0x28], 0, X87RegistersInArea + (i * RegisterBytes)); // movaps xmm8, [rsp + register]
            Bytes(0x47, 0x0F, 0x11, 0x84, 0x16); // movups [r14 + r10 + registers], xmm8
            UInt32(X87Slot + X87RegistersInArea);
            GoToNextRegister();
        }

        SetDistance(skip, _at);
    }

    private void StoreMxcsr()
    {
        byte* skip = JumpUnlessWanted(HostUnits.Mxcsr);
        OnState([0x41, 0x0F, 0xAE], 3, X87Slot + MxcsrInArea); // stmxcsr [r14 + guest's]
        OnState([0x41, 0x0F, 0xAE], 2, HostMxcsrSlot); // ldmxcsr [r14 + host's]
        SetDistance(skip, _at);
    }

    private void StoreXmm()
    {
        byte* skip = JumpUnlessWanted(HostUnits.Xmm);
        for (int i = 0; i < Registers; i++)
        {
            OnState([0x41, 0x0F, 0x29], i, X87Slot + XmmInArea + (i * RegisterBytes)); // movaps [r14 + register], xmm
        }

        SetDistance(skip, _at);
    }

    /// <summary>Brings what is loaded into R9D; ZF says that nothing is.</summary>
    private void FindLoadedUnits()
    {
        OnState([0x45, 0x8B], 1, MissingUnitsSlot); // mov r9d, [r14 + missing]
        Bytes(0x41, 0x83, 0xF1, (byte)HostUnits.All); // xor r9d, all
    }

    /// <summary>shr r10d, 7; and r10d, 7 * 16: from the status word to where ST(0) is among the registers in physical order.</summary>
    private void MakeTopAnOffset() => Bytes(0x41, 0xC1, 0xEA, 7, 0x41, 0x83, 0xE2, (Registers - 1) * RegisterBytes);

    /// <summary>add r10d, 16; and r10d, 7 * 16.</summary>
    private void GoToNextRegister() =>
        Bytes(0x41, 0x83, 0xC2, RegisterBytes, 0x41, 0x83, 0xE2, (Registers - 1) * RegisterBytes);

    /// <summary>test r9b, units; jz.</summary>
    private byte* JumpUnlessWanted(HostUnits units)
    {
        Bytes(0x41, 0xF6, 0xC1, (byte)units);
        return JumpIf(ConditionCode.e);
    }

    private void AdjustHostStack(int bytes)
    {
        Bytes(0x48, 0x81, 0xC4); // add rsp, bytes
        UInt32((uint)bytes);
    }

    /// <summary>An opcode with its prefixes, and ModRM for a register (or more of the opcode) and [r14 + offset].</summary>
    private void OnState(ReadOnlySpan<byte> opcode, int register, int offset)
    {
        Bytes(opcode);
        Bytes((byte)(0x86 | (register << 3)));
        UInt32((uint)offset);
    }

    /// <summary>The same for [rsp + offset].</summary>
    private void OnFrame(ReadOnlySpan<byte> opcode, int register, int offset)
    {
        Bytes(opcode);
        Bytes((byte)(0x84 | (register << 3)), 0x24);
        UInt32((uint)offset);
    }
}
