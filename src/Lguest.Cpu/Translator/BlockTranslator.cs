using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <summary>
/// Translates a block: each instruction into the host's of the same meaning. Those that aren't on the list
/// (<see cref="TranslatedForms"/>) are the interpreter's; where enough that are follow, it comes back.
/// </summary>
/// <remarks>
/// Flags stay in the host's until something destroys them, which is a look at the TLB as a rule. Then they are kept in their slot,
/// unless nobody can see them any more, or everybody who could can compute them again.
/// </remarks>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>The most that a block's translation can take, stubs included.</summary>
    public const int MostBytes = 1 << 15;

    /// <summary>The fewest instructions that the interpreter comes back for: coming back costs as much as it takes for a few.</summary>
    private const int FewestToComeBackFor = 3;

    private readonly HostEmitter _emitter;
    private readonly byte* _wayOut;
    private readonly byte* _unitLoader;
    private readonly byte* _functionCaller;
    private readonly List<TranslatedExit> _exits;
    private readonly ByteWindow _bytes = new();
    private readonly Decoder _decoder;
    private readonly GrowingArray<GuestInstruction> _instructions = new();
    private readonly GrowingArray<Stub> _stubs = new();
    private readonly GrowingArray<JumpDistance> _misses = new();

    private Translation _translation = null!;
    private int _tables;
    private int _jumpCache;
    private FlagPlace _place;
    private FlagRecipe _recipe;
    private FlagCorrection? _correction;
    private RflagsBits _open;

    public BlockTranslator(HostEmitter emitter, byte* wayOut, byte* unitLoader, byte* functionCaller, List<TranslatedExit> exits)
    {
        _emitter = emitter;
        _wayOut = wayOut;
        _unitLoader = unitLoader;
        _functionCaller = functionCaller;
        _exits = exits;
        _decoder = Decoder.Create(32, _bytes);
    }

    /// <summary>Whether emitted code marks what it executes: see <see cref="ExecutionMarks"/>.</summary>
    public bool MarksExecuted { get; init; }

    /// <summary>Translates a block of flat 32-bit code that lies in one page.</summary>
    /// <param name="block">The block.</param>
    /// <param name="eip">EIP of its first instruction.</param>
    /// <param name="code">Host address of its code.</param>
    /// <param name="isGrouped">Whether accesses that are near each other may be looked up together.</param>
    /// <returns>The translation, or null if too little of the block is on the list.</returns>
    public Translation? Translate(CodeBlock* block, uint eip, byte* code, bool isGrouped)
    {
        Decode(block, eip, code);
        if (isGrouped)
        {
            FindGroups();
        }

        if (_instructions[0].Form == TranslatedForm.None && NextToComeBackFor(1) == block->InstructionCount)
        {
            return null;
        }

        bool user = (block->Mode & ExecutionMode.User) != 0;
        _tables = TranslationBuffer.StateOffset
            + (user ? TranslationBuffer.EntriesPerPrivilege * sizeof(TlbEntry) : 0);
        _jumpCache = TranslationBuffer.StateOffset + TranslationBuffer.Bytes;
        _stubs.Clear();
        _loads.Clear();
        _emitter.Align();
        _translation = new Translation(block, eip, _emitter.Position, AreFlagsNeeded(0));
        byte* exhausted = _emitter.TakeFromCountdown(block->InstructionCount);
        EmitAll();
        EmitStubs();
        EmitLoads();
        HostEmitter.SetDistance(exhausted, _emitter.Position);
        _emitter.Bytes(0x41, 0x83, 0xC5, (byte)block->InstructionCount); // add r13d, count
        LeaveFor(new TranslatedExit(_translation, TranslatedExit.Head) { Source = FlagSource.Entry });
        return _translation;
    }

    /// <summary>Decodes the block, and decides what of it is translated.</summary>
    private void Decode(CodeBlock* block, uint eip, byte* code)
    {
        _instructions.Clear();
        _bytes.Reset(code, (int)block->Length);
        _decoder.IP = eip;
        for (int i = 0; i < block->InstructionCount; i++)
        {
            _decoder.Decode(out Instruction instruction);
            TranslatedForm form = instruction.IsInvalid ? TranslatedForm.None : TranslatedForms.Of(instruction);
            _instructions.Add(new GuestInstruction(instruction, form, FlagUse.Of(instruction)));
        }

        LeaveFewX87();
    }

    private void EmitAll()
    {
        int count = _instructions.Count;
        Begin();
        SeeToUnits(0);
        int next = 0;
        while (next < count)
        {
            if (_instructions[next].Form == TranslatedForm.None)
            {
                EmitLeave(next);
                next = NextToComeBackFor(next + 1);
                if (next == count)
                {
                    return;
                }

                Begin();
                _translation.AddReturn(next, _emitter.Position, AreFlagsNeeded(next));
                SeeToUnits(next);
            }

            ref readonly GuestInstruction emitted = ref _instructions[next];
            bool goesElsewhere = emitted.Instruction.FlowControl != FlowControl.Next;
            if (MarksExecuted && goesElsewhere)
            {
                _emitter.Mark(emitted.Instruction.Code);
            }

            if (!Emit(next))
            {
                return;
            }

            if (MarksExecuted && !goesElsewhere)
            {
                _emitter.Mark(emitted.Instruction.Code);
            }

            if (!emitted.Flags.Writes && _place == FlagPlace.Host && ChangesRecipe(emitted.Instruction, emitted.Form))
            {
                _recipe = default;
            }

            next++;
        }

        NoteX87Pointer();
        EmitJump(count, _translation.Eip + _translation.Block->Length);
    }

    /// <summary>Translated code is entered here: nothing but what an entry brings is known.</summary>
    private void Begin()
    {
        _place = FlagPlace.Entry;
        _recipe = default;
        _correction = FlagCorrection.None;
        _open = RflagsBits.None;
        _x87Pointer = null;
    }

    /// <summary>The first of the next instructions that are on the list and enough for the interpreter to come back; their count if there are none.</summary>
    private int NextToComeBackFor(int from)
    {
        int first = from;
        for (int i = from; i < _instructions.Count; i++)
        {
            if (_instructions[i].Form == TranslatedForm.None)
            {
                first = i + 1;
            }
            else if (i - first + 1 == FewestToComeBackFor)
            {
                return first;
            }
        }

        return _instructions.Count;
    }

    /// <summary>Whether anyone could see the flags that there are before an instruction.</summary>
    private bool AreFlagsNeeded(int from)
    {
        for (int i = from; i < _instructions.Count; i++)
        {
            ref readonly GuestInstruction instruction = ref _instructions[i];
            if (instruction.MayLeave || instruction.Flags.Reads || (instruction.Flags.Writes && !instruction.Flags.WritesAll))
            {
                return true;
            }

            if (instruction.Flags.WritesAll)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Emits an instruction. False if nothing follows it.</summary>
    private bool Emit(int index)
    {
        Instruction instruction = _instructions[index].Instruction;
        switch (_instructions[index].Form)
        {
            case TranslatedForm.AsIs:
                EmitAsIs(index, instruction);
                return true;
            case TranslatedForm.Shift:
                EmitShift(index, instruction);
                return true;
            case TranslatedForm.Divide:
                EmitDivision(index, instruction);
                return true;
            case TranslatedForm.BitTest:
                EmitBitTest(index, instruction);
                return true;
            case TranslatedForm.BitScan:
                EmitBitScan(index, instruction);
                return true;
            case TranslatedForm.SelectorRead:
                EmitSelectorRead(index, instruction);
                return true;
            case TranslatedForm.PushSelector:
                EmitPushSelector(index, instruction);
                return true;
            case TranslatedForm.PushAll:
                EmitPushAll(index);
                return true;
            case TranslatedForm.PopAll:
                EmitPopAll(index);
                return true;
            case TranslatedForm.Lookup:
                EmitLookup(index, instruction);
                return true;
            case TranslatedForm.String:
                EmitString(index, instruction);
                return true;
            case TranslatedForm.Repeat:
                EmitRepeat(index, instruction);
                return true;
            case TranslatedForm.PushFlags:
                EmitPushFlags(index);
                return true;
            case TranslatedForm.Direction:
                KeepFlags(index);
                _emitter.SetDirection(instruction.Mnemonic == Mnemonic.Std);
                return true;
            case TranslatedForm.InterruptFlag:
                EmitInterruptFlag(index, instruction);
                return true;
            case TranslatedForm.Address:
                EmitAddress(instruction, HostRegisters.Of(instruction.Op0Register));
                return true;
            case TranslatedForm.Push:
                EmitPush(index, instruction);
                return true;
            case TranslatedForm.Pop:
                Move(Register.R8D, Register.R12D);
                Check(index, sizeof(uint), isWrite: false);
                bool isStackPointer = instruction.Op0Register == Register.ESP;
                Load(HostRegisters.Of(instruction.Op0Register));
                if (!isStackPointer)
                {
                    AdjustStack(sizeof(uint));
                }

                return true;
            case TranslatedForm.Leave:
                Move(Register.R8D, Register.EBP);
                Check(index, sizeof(uint), isWrite: false);
                Load(Register.EBP);
                _emitter.Instruction(Instruction.Create(
                    Code.Lea_r32_m, Register.R12D, new MemoryOperand(Register.R8, sizeof(uint))));
                return true;
            case TranslatedForm.X87:
                EmitAsIs(index, instruction);
                _x87Pointer = instruction.IP32;
                return true;
            case TranslatedForm.X87Function:
                EmitX87Function(index, instruction);
                return true;
            case TranslatedForm.LoadX87Control:
                EmitLoadX87Control(index, instruction);
                return true;
            case TranslatedForm.ResetX87:
                _emitter.ResetX87();
                _x87Pointer = null;
                return true;
            case TranslatedForm.LoadMxcsr:
                EmitLoadMxcsr(index, instruction);
                return true;
            case TranslatedForm.Nothing:
                return true;
            default:
                // It leads elsewhere.
                NoteX87Pointer();
                return EmitTransfer(index, instruction);
        }
    }

    /// <summary>Emits an instruction after which something else may come than what follows. False if nothing follows it.</summary>
    private bool EmitTransfer(int index, in Instruction instruction)
    {
        switch (_instructions[index].Form)
        {
            case TranslatedForm.JumpIf:
                EmitJumpIf(index, instruction);
                return true;
            case TranslatedForm.Jump:
                EmitJump(index, instruction.NearBranch32);
                return false;
            case TranslatedForm.JumpIndirect:
                LoadTarget(index, instruction);
                SaveFlagsIfHost();
                FindTarget(index);
                _emitter.JumpToTarget();
                return false;
            case TranslatedForm.Call:
                SaveFlagsIfHost();
                FindTarget(index, instruction.NearBranch32);
                EmitCall(index, instruction);
                return false;
            case TranslatedForm.CallIndirect:
                LoadTarget(index, instruction);
                SaveFlagsIfHost();
                FindTarget(index);
                EmitCall(index, instruction);
                return false;
            default:
                EmitReturn(index, instruction);
                return false;
        }
    }

    private void EmitAsIs(int index, in Instruction guest)
    {
        FlagUse use = _instructions[index].Flags;
        bool isNeeded = use.Writes && AreFlagsNeeded(index + 1);
        bool readsThem = use.Reads && (isNeeded || !FlagUse.ReadsOnlyToKeep(guest.Mnemonic));
        bool needsOld = readsThem || (use.Writes && !use.WritesAll && isNeeded);
        if (needsOld && ((use.Read & _open) != 0 || (!use.WritesAll && use.Writes && _open != RflagsBits.None)))
        {
            SaveFlagsIfHost();
        }

        Instruction host = HostForm(index, guest);
        bool isCramped = host.MemoryBase == Register.R10 && HasHighByte(guest);
        if (isCramped)
        {
            // No prefix goes with AH to BH: RSI has the host address meanwhile.
            _emitter.Instruction(Instruction.Create(Code.Lea_r64_m, Register.R10, HostOperand));
            _emitter.Instruction(Instruction.Create(Code.Xchg_rm64_r64, Register.RSI, Register.R10));
            host.MemoryBase = Register.RSI;
            host.MemoryIndex = Register.None;
        }

        if (needsOld)
        {
            LoadFlagsUnlessHost();
        }

        _emitter.Instruction(host);
        if (isCramped)
        {
            _emitter.Instruction(Instruction.Create(Code.Xchg_rm64_r64, Register.RSI, Register.R10));
        }

        if (!use.Writes)
        {
            return;
        }

        FlagsAreHosts(isNeeded, FlagUse.RecipeOf(guest), FlagUse.CorrectionOf(guest), use.Open);
        if (isNeeded && IsProduct(guest))
        {
            _emitter.SaveProductFlags(ProductOf(guest));
            _place = FlagPlace.Slot;
            _open = RflagsBits.None;
        }
    }

    /// <summary>The host's form of a guest's instruction. Where it has an operand in memory, emits what finds that.</summary>
    private Instruction HostForm(int index, in Instruction guest)
    {
        Instruction host = guest;
        host.Code = TranslatedForms.HostCode(guest.Code);
        host.HasRepPrefix = false;
        host.HasRepnePrefix = false;
        host.SegmentPrefix = Register.None;
        host.CodeSize = CodeSize.Code64;
        int memory = -1;
        for (int i = 0; i < guest.OpCount; i++)
        {
            if (guest.GetOpKind(i) == OpKind.Memory)
            {
                memory = i;
            }
            else if (guest.GetOpKind(i) == OpKind.Register)
            {
                host.SetOpRegister(i, HostRegisters.Of(guest.GetOpRegister(i)));
            }
        }

        if (memory >= 0)
        {
            EmitAddress(guest, Register.R8D);
            CheckOperand(index, guest, memory == 0 && TranslatedForms.WritesFirst(guest));
            host.MemoryBase = Register.R10;
            host.MemoryIndex = Register.R8;
            host.MemoryIndexScale = 1;
            host.MemoryDisplacement64 = 0;
            host.MemoryDisplSize = 0;
        }

        return host;
    }

    private static bool HasHighByte(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register && HostRegisters.IsHighByte(instruction.GetOpRegister(i)))
            {
                return true;
            }
        }

        return false;
    }

    private void EmitPush(int index, in Instruction instruction)
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            EmitAddress(instruction, Register.R8D);
            Check(index, sizeof(uint), isWrite: false, instruction.MemorySegment);
            Load(Register.R11D);
        }

        bool isMemory = instruction.Op0Kind == OpKind.Memory;
        LowerAddress(Register.R8D);
        Check(index, sizeof(uint), isWrite: true);
        var top = HostOperand;
        _emitter.Instruction(
            isMemory ? Instruction.Create(Code.Mov_rm32_r32, top, Register.R11D)
            : instruction.Op0Kind == OpKind.Register
                ? Instruction.Create(Code.Mov_rm32_r32, top, HostRegisters.Of(instruction.Op0Register))
                : Instruction.Create(Code.Mov_rm32_imm32, top, (uint)instruction.GetImmediate(0)));
        Move(Register.R12D, Register.R8D);
    }

    private void EmitJumpIf(int index, in Instruction instruction)
    {
        if ((_instructions[index].Flags.Read & _open) != 0)
        {
            SaveFlagsIfHost();
        }

        ConditionCode condition = instruction.ConditionCode;
        if (_place is FlagPlace.Slot or FlagPlace.Entry && HostEmitter.IsInSlot(condition))
        {
            condition = _emitter.TestSlot(condition);
        }
        else
        {
            LoadFlagsUnlessHost();
        }

        uint target = instruction.NearBranch32;
        int skipped = _translation.Block->InstructionCount - index - 1;
        byte* distance = _emitter.JumpIf(condition);
        _stubs.Add(new Stub(index, (nint)distance, CurrentFlags(), IsLink: true, target, skipped));
    }

    private void EmitJump(int index, uint target)
    {
        byte* distance = _emitter.Jump(_emitter.Position);
        int skipped = _translation.Block->InstructionCount - index - 1;
        _stubs.Add(new Stub(index, (nint)distance, CurrentFlags(), IsLink: true, target, Math.Max(skipped, 0)));
    }

    /// <summary>Has the interpreter execute an instruction.</summary>
    private void EmitLeave(int index)
    {
        NoteX87Pointer();
        SaveFlagsIfHost();
        LeaveFor(new TranslatedExit(_translation, index)
        {
            Source = SourceOf(_place),
            Recipe = _recipe,
            Reason = _instructions[index].Instruction.Mnemonic,
        });
    }

    /// <summary>From the jump cache's find in R11 to the target, with the return address on the stack.</summary>
    private void EmitCall(int index, in Instruction instruction)
    {
        LowerAddress(Register.R8D);
        Check(index, sizeof(uint), isWrite: true);
        _emitter.Instruction(Instruction.Create(
            Code.Mov_rm32_imm32, HostOperand, instruction.NextIP32));
        Move(Register.R12D, Register.R8D);
        _emitter.JumpToTarget();
    }

    private void EmitReturn(int index, in Instruction instruction)
    {
        int popped = sizeof(uint) + (instruction.Code == Code.Retnd_imm16 ? instruction.Immediate16 : 0);
        SaveFlagsIfHost();
        Move(Register.R8D, Register.R12D);
        Check(index, sizeof(uint), isWrite: false);
        Load(Register.R11D);
        FindTarget(index);
        AdjustStack(popped);
        _emitter.JumpToTarget();
    }

    /// <summary>Brings the target of an indirect jump or call into R11D.</summary>
    private void LoadTarget(int index, in Instruction instruction)
    {
        if (instruction.Op0Kind == OpKind.Register)
        {
            SaveFlagsIfHost();
            Move(Register.R11D, HostRegisters.Of(instruction.Op0Register));
            return;
        }

        EmitAddress(instruction, Register.R8D);
        SaveFlagsIfHost();
        Check(index, sizeof(uint), isWrite: false, instruction.MemorySegment);
        Load(Register.R11D);
    }

    private void FindTarget(int index)
    {
        _misses.Clear();
        _emitter.FindTarget(_jumpCache, _misses);
        AddMisses(index);
    }

    private void FindTarget(int index, uint target)
    {
        _misses.Clear();
        _emitter.FindTarget(target, _jumpCache + JumpCacheEntry.OffsetOf(target), _misses);
        AddMisses(index);
    }

    private void AddMisses(int index)
    {
        for (int i = 0; i < _misses.Count; i++)
        {
            AddMiss(index, (byte*)_misses[i].Address);
        }
    }

    /// <summary>A jump, by where its distance is, to the interpreter, which executes the instruction.</summary>
    private void AddMiss(int index, byte* distance) =>
        _stubs.Add(new Stub(index, (nint)distance, CurrentFlags(), IsLink: false, 0, 0));

    /// <summary>From the offset in R8D, in a segment that isn't flat if it is FS or GS, to [R10 + R8], or out to the interpreter.</summary>
    private void Check(int index, int size, bool isWrite, Register segment = Register.DS, bool isAligned = false)
    {
        GuestInstruction one = _instructions[index];
        if (one.IsCovered)
        {
            _emitter.Instruction(Instruction.Create(Code.Mov_r64_rm64, Register.R10, Register.R15));
            return;
        }

        KeepFlags(index);
        if (one.Group is { } group && group.First == index)
        {
            CheckGroup(index, group);
            return;
        }

        AddBase(index, segment);
        if (isAligned)
        {
            AddMiss(index, _emitter.JumpUnlessAligned(size));
        }

        AddMiss(index, _emitter.Translate(size, TableOf(isWrite)));
    }

    /// <summary>From an offset in R8D to a linear address.</summary>
    private void AddBase(int index, Register segment)
    {
        if (segment is Register.FS or Register.GS)
        {
            _misses.Clear();
            _emitter.AddSegmentBase(HostEmitter.SegmentSlot(segment), _misses);
            AddMisses(index);
        }
    }

    private int TableOf(bool isWrite) => _tables + (isWrite ? TranslationBuffer.Entries * sizeof(TlbEntry) : 0);

    /// <summary>Before what destroys the host's flags: keeps them, where anyone may see them again.</summary>
    private void KeepFlags(int index)
    {
        if (_place == FlagPlace.Host && _recipe.Kind != FlagRecipeKind.None && LastsForAll(index))
        {
            _place = FlagPlace.Recipe;
        }
        else
        {
            SaveFlagsIfHost();
        }
    }

    /// <summary>
    /// Whether everybody who could see the flags from an instruction on finds the recipe's operands as they were, and nobody wants
    /// them in the host's.
    /// </summary>
    private bool LastsForAll(int index)
    {
        for (int i = index; i < _instructions.Count; i++)
        {
            ref readonly GuestInstruction instruction = ref _instructions[i];
            if (i > index && instruction.MayLeave && instruction.Form is not (TranslatedForm.AsIs or TranslatedForm.Push
                or TranslatedForm.Pop or TranslatedForm.Leave or TranslatedForm.X87 or TranslatedForm.X87Function))
            {
                return false;
            }

            if (instruction.Form == TranslatedForm.None || instruction.Flags.Reads
                || (instruction.Flags.Writes && !instruction.Flags.WritesAll))
            {
                return false;
            }

            if (instruction.Flags.WritesAll)
            {
                return true;
            }

            if (ChangesRecipe(instruction.Instruction, instruction.Form))
            {
                return !AreFlagsNeeded(i + 1);
            }
        }

        return false;
    }

    private bool ChangesRecipe(in Instruction instruction, TranslatedForm form) =>
        _recipe.Kind != FlagRecipeKind.None && (RegisterChanges.Of(instruction, form) & _recipe.Registers) != 0;

    private void SaveFlagsIfHost()
    {
        if (_place == FlagPlace.Host)
        {
            _emitter.SaveFlags(_correction!.Value);
            _place = FlagPlace.Slot;
            _open = RflagsBits.None;
        }
        else if (_place == FlagPlace.HostAndSlot)
        {
            _place = FlagPlace.Slot;
        }
    }

    private void LoadFlagsUnlessHost()
    {
        if (_place is FlagPlace.Slot or FlagPlace.Entry)
        {
            _emitter.LoadFlags();
            _place = FlagPlace.HostAndSlot;
        }
    }

    /// <summary>An instruction has set the host's flags.</summary>
    private void FlagsAreHosts(bool areNeeded, FlagRecipe recipe, FlagCorrection? correction, RflagsBits open)
    {
        _place = areNeeded ? FlagPlace.Host : FlagPlace.Nowhere;
        _recipe = recipe;
        _correction = correction;
        _open = open;
    }

    /// <summary>They are all in their slot now, whatever the host's are.</summary>
    private void FlagsAreInSlot()
    {
        _place = FlagPlace.Slot;
        _recipe = default;
        _correction = FlagCorrection.None;
        _open = RflagsBits.None;
    }

    private FlagKnowledge CurrentFlags() => new(_place, _recipe, _correction, _x87Pointer);

    private void EmitStubs()
    {
        for (int i = 0; i < _stubs.Count; i++)
        {
            ref readonly Stub stub = ref _stubs[i];
            byte* start = _emitter.Position;
            HostEmitter.SetDistance((byte*)stub.Distance, start);
            bool isInHost = stub.Flags.Place == FlagPlace.Host;
            bool isWithinPage = ((stub.Target ^ _translation.Eip) & ~PhysicalMemory.PageOffsetMask) == 0;
            if (isInHost)
            {
                _emitter.SaveFlags(stub.Flags.Correction!.Value);
            }

            if (stub.Flags.X87Pointer is { } pointer)
            {
                _emitter.NoteX87Pointer(pointer);
            }

            _misses.Clear();
            if (stub.IsLink && !isWithinPage)
            {
                _emitter.FindTarget(stub.Target, _jumpCache + JumpCacheEntry.OffsetOf(stub.Target), _misses);
                if (stub.Skipped != 0)
                {
                    _emitter.GiveBack(stub.Skipped);
                }

                _emitter.JumpToTarget();
            }

            for (int miss = 0; miss < _misses.Count; miss++)
            {
                HostEmitter.SetDistance((byte*)_misses[miss].Address, _emitter.Position);
            }

            LeaveFor(new TranslatedExit(_translation, stub.Index)
            {
                Source = SourceOf(isInHost ? FlagPlace.Slot : stub.Flags.Place),
                Recipe = stub.Flags.Recipe,
                Distance = stub.IsLink && isWithinPage ? (byte*)stub.Distance : null,
                Unlinked = start,
                Target = stub.Target,
                Skipped = stub.Skipped,
                FlagsInHost = isInHost,
                Correction = stub.Flags.Correction ?? FlagCorrection.None,
                Group = stub.Group is { } group ? AddressOf(group) : null,
            });
        }
    }

    private void LeaveFor(TranslatedExit exit)
    {
        _exits.Add(exit);
        _emitter.Leave(_exits.Count - 1, _wayOut);
    }

    private static FlagSource SourceOf(FlagPlace place) => place switch
    {
        FlagPlace.Recipe => FlagSource.Recipe,
        FlagPlace.Entry => FlagSource.Entry,
        _ => FlagSource.Slot,
    };

    private void EmitAddress(in Instruction instruction, Register to)
    {
        Register index = HostRegisters.OfAddress(instruction.MemoryIndex);
        Register first = HostRegisters.OfAddress(instruction.MemoryBase);
        int displacement = (int)instruction.MemoryDisplacement32;
        if (first == Register.None && index == Register.None && to.IsGPR32())
        {
            _emitter.Instruction(Instruction.Create(Code.Mov_r32_imm32, to, displacement));
            return;
        }

        var operand = new MemoryOperand(first, index, instruction.MemoryIndexScale, displacement, DisplacementSize(first, displacement));
        _emitter.Instruction(Instruction.Create(to.GetSize() == 2 ? Code.Lea_r16_m : Code.Lea_r32_m, to, operand));
    }

    private static int DisplacementSize(Register first, int displacement) => displacement == 0 && first != Register.None ? 0 : 8;

    private void Load(Register to) => _emitter.Instruction(
        Instruction.Create(Code.Mov_r32_rm32, to, HostOperand));

    private void Move(Register to, Register from) => _emitter.Instruction(Instruction.Create(Code.Mov_r32_rm32, to, from));

    private void AdjustStack(int bytes) => _emitter.Instruction(
        Instruction.Create(Code.Lea_r32_m, Register.R12D, new MemoryOperand(Register.R12, bytes)));

    private void LowerAddress(Register to) => _emitter.Instruction(
        Instruction.Create(Code.Lea_r32_m, to, new MemoryOperand(Register.R12, -sizeof(uint))));

    private static bool IsProduct(in Instruction instruction) => instruction.Mnemonic is Mnemonic.Mul or Mnemonic.Imul;

    /// <summary>The register that has a product's low half.</summary>
    private static Register ProductOf(in Instruction instruction)
    {
        if (instruction.OpCount > 1)
        {
            return HostRegisters.Of(instruction.Op0Register);
        }

        int size = instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize();
        return AccumulatorOf(size);
    }

    /// <summary>Where the flags are.</summary>
    private enum FlagPlace
    {
        /// <summary>Where they were on entry: in their slot, if anyone can see them.</summary>
        Entry,

        /// <summary>In the host's.</summary>
        Host,

        /// <summary>In the host's and in their slot.</summary>
        HostAndSlot,

        /// <summary>In their slot.</summary>
        Slot,

        /// <summary>They can be computed again.</summary>
        Recipe,

        /// <summary>Nowhere: nobody can see them.</summary>
        Nowhere,
    }

    private readonly record struct FlagKnowledge(FlagPlace Place, FlagRecipe Recipe, FlagCorrection? Correction, uint? X87Pointer);

    private readonly record struct Stub(int Index, nint Distance, FlagKnowledge Flags, bool IsLink, uint Target, int Skipped)
    {
        /// <summary>The group, if it is a look at the TLB for one.</summary>
        public AccessGroup? Group { get; init; }
    }

    private readonly record struct GuestInstruction(Instruction Instruction, TranslatedForm Form, FlagUse Flags)
    {
        /// <summary>The group of accesses that is in R15 here.</summary>
        public AccessGroup? Group { get; init; }

        /// <summary>Whether the group's first member has looked its operand up.</summary>
        public bool IsCovered { get; init; }

        /// <summary>Whether it can leave the translation before it is done: it uses memory, or goes elsewhere.</summary>
        public bool MayLeave => Form switch
        {
            TranslatedForm.AsIs or TranslatedForm.X87 or TranslatedForm.Shift or TranslatedForm.BitTest or TranslatedForm.BitScan
                or TranslatedForm.SelectorRead => HasMemory && !IsCovered,
            TranslatedForm.Push or TranslatedForm.PushSelector or TranslatedForm.PushFlags or TranslatedForm.Pop
                or TranslatedForm.Leave => !IsCovered,
            TranslatedForm.Address or TranslatedForm.Nothing or TranslatedForm.ResetX87 or TranslatedForm.Direction => false,
            _ => true,
        };

        /// <summary>Whether an operand is in memory.</summary>
        public bool HasMemory
        {
            get
            {
                for (int i = 0; i < Instruction.OpCount; i++)
                {
                    if (Instruction.GetOpKind(i) == OpKind.Memory)
                    {
                        return true;
                    }
                }

                return false;
            }
        }
    }
}
