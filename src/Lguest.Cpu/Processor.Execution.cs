using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <content>The engine's loop: from block to block until something ends the run.</content>
public sealed unsafe partial class Processor
{
    /// <summary>The most that the countdown may hold: less than what entering a dropped block costs.</summary>
    private const ulong LongestStretch = CodeBlock.Dead - 1;

    /// <summary>Exceptions in a row without an instruction that retires, after which the machine gets its turn.</summary>
    private const int MostFruitlessDeliveries = 10_000;

    /// <summary>Executes instructions until a limit or until something needs the machine.</summary>
    /// <param name="limit">The most instructions to retire.</param>
    /// <returns>Why it stopped; the state is exactly that after the last retired instruction.</returns>
    public StopReason Run(ulong limit)
    {
        ulong start = Retired;
        while (true)
        {
            ulong rest = limit - (Retired - start);
            StopReason reason = RunStretch(Math.Min(rest, LongestStretch));
            if (reason != StopReason.InstructionLimit || rest <= LongestStretch)
            {
                return reason;
            }
        }
    }

    private StopReason RunStretch(ulong limit)
    {
        ProcessorState* s = _state;
        s->RetiredLimit = Retired + limit;
        s->Countdown = (long)limit;
        s->StopRequested = 0;
        s->StopsAfter = 0;
        ForgetLink();
        bool windowMayOpen = s->InterruptLine != 0 && (s->SystemFlags & Cpu.State.Eflags.If) != 0 && InterruptsShadowed;
        s->WindowWanted = windowMayOpen ? 1u : 0;
        PageTableViolation = null;
        bool isAlone = false;
        int deliveries = 0;
        ulong retired = Retired;
        if (_endOfNextRun is { } end)
        {
            _endOfNextRun = null;
            return end;
        }

        while (true)
        {
            if (s->StopsAfter != 0)
            {
                return StopReason.Debug;
            }

            // What MOV SS or POP SS has hit waits for the next instruction (SDM 3A, 6.8.3).
            if (s->PendingDebug != 0 && Retired >= s->DebugShadowUntil)
            {
                RaiseDebugTrap();
                if (Deliver() is { } reason)
                {
                    return reason;
                }
            }

            if (s->StopRequested != 0)
            {
                return StopReason.Requested;
            }

            if (s->Halted != 0)
            {
                return StopReason.Halted;
            }

            if (s->Countdown == 0)
            {
                return StopReason.InstructionLimit;
            }

            bool windowWanted = s->WindowWanted != 0 && (s->SystemFlags & Cpu.State.Eflags.If) != 0;
            if (windowWanted && !InterruptsShadowed)
            {
                return StopReason.InterruptWindow;
            }

            uint flags = s->SystemFlags & (Cpu.State.Eflags.Tf | Cpu.State.Eflags.Rf);
            s->Exit = ExitReason.Continue;
            if (flags == 0 && !isAlone && !windowWanted && Tracer is null && s->Breakpoints == Breakpoints.None && s->PendingDebug == 0)
            {
                Execute();
            }
            else
            {
                ExecuteOne(flags);
            }

            isAlone = s->Exit == ExitReason.Alone;
            switch (s->Exit)
            {
                case ExitReason.Continue:
                    break;
                case ExitReason.Alone:
                    ForgetWatched();
                    break;
                case ExitReason.Exception:
                    ExceptionInfo exception = s->Exception;
                    if (exception.Origin == ExceptionOrigin.Fault)
                    {
                        ForgetWatched();
                    }

                    if (Deliver() is { } reason)
                    {
                        return reason;
                    }

                    if (Stops.StopsAt(exception))
                    {
                        return StopReason.Debug;
                    }

                    // A handler that faults at its first instruction, on a stack that wraps, would keep us here for ever.
                    deliveries = Retired == retired ? deliveries + 1 : 0;
                    retired = Retired;
                    if (deliveries == MostFruitlessDeliveries)
                    {
                        return StopReason.Requested;
                    }

                    break;
                case ExitReason.PageTableViolation:
                    return StopReason.PageTableViolation;
                case ExitReason.Debug:
                    return StopReason.Debug;
                default:
                    throw new InvalidOperationException($"The engine met exit reason {s->Exit}.");
            }
        }
    }

    /// <summary>An access that the debugger watches comes again, with its instruction.</summary>
    private void ForgetWatched()
    {
        if (_state->StopsAfter != 0)
        {
            Stops.Forget();
        }
    }

    private void Execute()
    {
        ProcessorState* s = _state;
        Operation* op = Prepare();
        while (op != null)
        {
            op = op->Handler(s, op);
        }
    }

    /// <summary>
    /// Executes one instruction, or one step of a REP, because something happens around it: a breakpoint, a single step's trap,
    /// the end of RF (SDM 3B, 17.3.1.1), an interrupt, a device's answer.
    /// </summary>
    /// <param name="flags">TF and RF as they are before it.</param>
    private void ExecuteOne(uint flags)
    {
        // The countdown stops every way into another block, linked ones too.
        ProcessorState* s = _state;
        if (flags < Cpu.State.Eflags.Rf && s->Breakpoints != Breakpoints.None && !IsWithinRepetition && RaiseBreakpoint())
        {
            return;
        }

        s->SystemFlags &= ~Cpu.State.Eflags.Rf;
        long rest = s->Countdown - 1;
        s->Countdown -= rest;
        s->RetiredLimit -= (ulong)rest;
        s->Mode |= ExecutionMode.Single;
        s->JumpKey |= (uint)ExecutionMode.Single;
        Execute();
        s->Mode &= ~ExecutionMode.Single;
        s->JumpKey &= ~(uint)ExecutionMode.Single;
        bool retired = s->Countdown == 0;
        s->Countdown += rest;
        s->RetiredLimit += (ulong)rest;
        if (!retired)
        {
            // It comes again.
            s->SystemFlags |= flags & Cpu.State.Eflags.Rf;
        }
        else if (s->Exit == ExitReason.Continue && (flags & Cpu.State.Eflags.Tf) != 0 && Retired >= s->DebugShadowUntil)
        {
            s->PendingDebug |= Debug.StatusSingleStep;
        }
    }

    /// <summary>
    /// Recomputes what follows from segments, privilege and flags. Whoever changes CS, SS, DS, ES, CPL, CR0, DR7 or AC calls this.
    /// </summary>
    internal void UpdateMode()
    {
        ProcessorState* s = _state;
        ExecutionMode mode = s->Cs.IsDefault32 ? ExecutionMode.Code32 : ExecutionMode.None;
        if (IsFlat(s))
        {
            mode |= ExecutionMode.Flat;
        }

        bool user = s->Cpl == 3;
        if (user)
        {
            mode |= ExecutionMode.User;
        }

        s->Mode = mode;
        s->JumpKey = Translation.JumpKey(mode);
        s->Breakpoints = Debug.KindsOf(s->GetDebug(7));
        bool looksAtEach = s->ChecksAlignment || (s->Breakpoints & Breakpoints.Data) != 0;
        s->Tlb = looksAtEach ? s->EmptyTlb : user ? s->UserTlb : s->SupervisorTlb;
    }

    /// <summary>
    /// Whether an offset is its own linear address, for reading and for writing, on a stack of 32 bits too: then blocks leave out all of
    /// segmentation. All four segments are looked at together, as every interrupt and every return from one comes here.
    /// </summary>
    private static bool IsFlat(ProcessorState* s)
    {
        const SegmentAccess All = SegmentAccess.Present | SegmentAccess.WritableOrReadable;
        const SegmentAccess Data = SegmentAccess.Code | SegmentAccess.ExpandDownOrConforming;
        uint bases = s->Cs.Base | s->Ss.Base | s->Ds.Base | s->Es.Base;
        uint limits = s->Cs.Limit & s->Ss.Limit & s->Ds.Limit & s->Es.Limit;
        SegmentAccess all = s->Cs.Access & s->Ss.Access & s->Ds.Access & s->Es.Access & All;
        SegmentAccess data = (s->Ss.Access | s->Ds.Access | s->Es.Access) & Data;
        SegmentAccess wide = s->Cs.Access & s->Ss.Access & SegmentAccess.Default32;
        return (bases | ~limits) == 0 && all == All && data == SegmentAccess.None && wide != SegmentAccess.None
            && (s->Cs.Access & Data) != SegmentAccess.ExpandDownOrConforming;
    }

    /// <summary>Finds, or builds, the block at CS:EIP and enters it. Null when fetching it raised a fault.</summary>
    private Operation* Prepare()
    {
        ProcessorState* s = _state;
        uint eip = s->Eip;
        Operation* from = s->LinkFrom;
        s->LinkFrom = null;
        bool mayStop = Blocks.EndsBefore((s->Cs.Base + eip) & PhysicalMemory.PageOffsetMask);
        if (mayStop && Stops.StopsHere())
        {
            s->Exit = ExitReason.Debug;
            return null;
        }

        CodeBlock* block = Find(eip);
        if (block == null)
        {
            return null;
        }

        int limit = (int)Math.Min(s->Countdown, block->InstructionCount);
        bool isFlat = (s->Mode & ExecutionMode.Flat) != 0;
        if (!isFlat && block->Length - 1 > s->Cs.Limit - eip)
        {
            limit = Math.Min(limit, InstructionsWithin(block, s->Cs.Limit - eip));
            if (limit == 0)
            {
                return RaiseFetchFault(new ExceptionInfo { Vector = ExceptionVector.GeneralProtection });
            }
        }

        if (Tracer is not null)
        {
            Trace(block);
        }

        if (limit < block->InstructionCount)
        {
            block = Blocks.Partial(block, limit);
        }
        else if (from != null && isFlat && !mayStop && s->Block->IsAlive && s->Block->Mode == block->Mode && block->SecondPage == CodeBlock.NoPage
            && s->Block->SecondPage == CodeBlock.NoPage && !Blocks.IsPartial(s->Block))
        {
            from->Link = block;
        }

        return BlockExit.Enter(s, block, eip);
    }

    private CodeBlock* Find(uint eip)
    {
        ProcessorState* s = _state;
        JumpCacheEntry* entry = JumpCacheEntry.Of(s, eip);
        if (entry->Eip == eip && entry->Key == s->JumpKey && entry->Block->IsAlive)
        {
            return entry->Block;
        }

        uint linear = s->Cs.Base + eip;
        bool user = s->Cpl == 3;
        if (eip > s->Cs.Limit && (s->Mode & ExecutionMode.Flat) == 0)
        {
            RaiseFetchFault(new ExceptionInfo { Vector = ExceptionVector.GeneralProtection });
            return null;
        }

        byte* host = MemoryAccess.Translate(
            s, linear, AccessKind.Execute, user, out ulong physical, out ExceptionInfo fault);
        if (host == null)
        {
            RaiseFetchFault(fault);
            return null;
        }

        if (host == MemoryAccess.NoMemory)
        {
            // Nothing answers: the bus floats, and all ones are no instruction.
            RaiseFetchFault(new ExceptionInfo { Vector = ExceptionVector.InvalidOpcode });
            return null;
        }

        uint nextPage = (linear & ~PhysicalMemory.PageOffsetMask) + PhysicalMemory.PageSize;
        var second = new SecondPageSource(s, nextPage, user);
        CodeBlock* block = Blocks.GetOrBuild(
            (uint)(physical >> PhysicalMemory.PageShift), linear & PhysicalMemory.PageOffsetMask, host, s->Mode, ref second);
        if (block == null)
        {
            RaiseFetchFault(second.Fault);
            return null;
        }

        // In flat code EIP is the linear address; elsewhere it means something only together with CS, and isn't cached.
        if (block->SecondPage == CodeBlock.NoPage && (s->Mode & ExecutionMode.Flat) != 0 && !Blocks.EndsBefore(block->Offset))
        {
            if (!user)
            {
                Translation.NoteSupervisorCode(eip);
            }

            entry->Eip = eip;
            entry->Key = s->JumpKey;
            entry->Block = block;
            entry->Host = null;
        }

        return block;
    }

    private static int InstructionsWithin(CodeBlock* block, uint lastOffset)
    {
        Operation* operations = CodeBlock.Operations(block);
        int count = 0;
        while (count < block->InstructionCount && operations[count + 1].EipOffset - 1u <= lastOffset)
        {
            count++;
        }

        return count;
    }

    /// <summary>EIP is about to be somebody else's: the jump that waits to be linked doesn't lead there.</summary>
    private void ForgetLink() => _state->LinkFrom = null;

    private Operation* RaiseFetchFault(in ExceptionInfo fault)
    {
        ProcessorState* s = _state;
        s->PendingDebug = 0;
        s->Exception = fault;
        s->Exception.Origin = ExceptionOrigin.Fault;
        s->Exception.InstructionEip = s->Eip;
        s->Exit = fault.Exit;
        return null;
    }

    /// <summary>#DB before an instruction with a breakpoint, unless it comes after MOV SS or POP SS: a fault.</summary>
    private bool RaiseBreakpoint()
    {
        ProcessorState* s = _state;
        uint status = Debug.MatchInstruction(s, s->Cs.Base + s->Eip);
        if (status == 0 || Retired < s->DebugShadowUntil)
        {
            return false;
        }

        Debug.Report(s, status);
        RaiseFetchFault(ExceptionInfo.Of(ExceptionVector.Debug, 0));
        return true;
    }

    /// <summary>#DB after an instruction: a trap, with its reasons in DR6. It ends a HLT.</summary>
    private void RaiseDebugTrap()
    {
        ProcessorState* s = _state;
        Debug.Report(s, s->PendingDebug);
        s->PendingDebug = 0;
        s->Halted = 0;
        s->Exception = default;
        s->Exception.Vector = ExceptionVector.Debug;
        s->Exception.Origin = ExceptionOrigin.Trap;
        s->Exception.InstructionEip = s->Eip;
    }

    /// <summary>Shows the tracer the instruction that begins the block, fetched as the processor has: data isn't touched.</summary>
    private void Trace(CodeBlock* block)
    {
        ProcessorState* s = _state;
        Span<byte> code = stackalloc byte[15];
        int length = 0;
        while (length < code.Length && length < block->Length)
        {
            byte* host = MemoryAccess.Translate(
                s, s->Cs.Base + s->Eip + (uint)length, AccessKind.Execute, s->Cpl == 3, out _, out _);
            if (host == null || host == MemoryAccess.NoMemory)
            {
                break;
            }

            code[length++] = *host;
        }

        Tracer?.OnInstruction(this, code[..length]);
    }
}
