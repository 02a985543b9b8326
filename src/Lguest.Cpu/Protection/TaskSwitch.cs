using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Protection;

/// <summary>What switches to a task, which decides about links, NT and busy bits (SDM 3A, table 7-2).</summary>
internal enum TaskSwitchKind
{
    /// <summary>JMP: the old task isn't busy any more.</summary>
    Jump,

    /// <summary>CALL: the new task is nested.</summary>
    Call,

    /// <summary>A task gate in the IDT: as CALL.</summary>
    Interrupt,

    /// <summary>IRET from a nested task.</summary>
    Return,
}

/// <summary>A task switch.</summary>
/// <param name="Selector">The new task's TSS.</param>
/// <param name="Kind">What asks for it.</param>
/// <param name="Eip">The EIP that the old task will go on at.</param>
/// <param name="Eflags">The EFLAGS that the old task will go on with.</param>
/// <param name="ErrorCode">What is pushed on the new task's stack, if anything.</param>
internal readonly record struct TaskSwitchRequest(
    ushort Selector, TaskSwitchKind Kind, uint Eip, uint Eflags, uint? ErrorCode);

/// <summary>Hardware task switches (SDM 3A, 7.3).</summary>
/// <remarks>
/// Until the old state has been saved, a fault belongs to the old task, and nothing has changed. After that it belongs to
/// the new one, which then has all its registers, but no segments beyond those already loaded.
/// </remarks>
internal static unsafe class TaskSwitch
{
    /// <summary>A 16-bit TSS has no upper halves: processors fill in ones.</summary>
    private const uint UpperHalf = 0xffff_0000;

    private const uint TrapBit = 1;

    /// <summary>Switches.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="request">To where, and why.</param>
    /// <param name="inNewTask">The fault belongs to the new task.</param>
    /// <param name="fault">The fault, when the answer is false.</param>
    public static bool TrySwitch(
        Processor processor, in TaskSwitchRequest request, out bool inNewTask, ref ExceptionInfo fault)
    {
        inNewTask = false;
        ProcessorState* s = processor.StatePointer;
        if (!TryFindTask(processor, request, out Descriptor descriptor, ref fault)
            || !TrySaveAndCommit(processor, request, ref descriptor, out TaskImage image, ref fault))
        {
            return false;
        }

        inNewTask = true;
        s->Tr = descriptor.ToRegister(request.Selector);
        s->Cr0 |= Cr0.Ts;
        s->SetDebug(7, s->GetDebug(7) & ~Debug.LocalEnables);
        bool isMapped = HasGoodPointers(processor, image, ref fault);
        LoadRegisters(processor, request, image, isMapped);
        bool done = isMapped
            && TryLoadSegments(processor, image, ref fault)
            && TryPushErrorCode(processor, request, image, ref fault)
            && IsEntryPointInCode(s, ref fault);
        processor.UpdateMode();
        if (done && image.Trap)
        {
            s->PendingDebug |= Debug.StatusTaskSwitch;
        }

        return done;
    }

    private static bool TryFindTask(
        Processor processor, in TaskSwitchRequest request, out Descriptor descriptor, ref ExceptionInfo fault)
    {
        descriptor = default;
        int vector = request.Kind == TaskSwitchKind.Return
            ? ExceptionVector.InvalidTss
            : ExceptionVector.GeneralProtection;
        bool isGlobal = (request.Selector & Selector.TableIndicator) == 0 && !Selector.IsNull(request.Selector);
        if (!isGlobal)
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(request.Selector));
            return false;
        }

        if (!DescriptorTables.TryRead(processor, request.Selector, vector, out descriptor, ref fault))
        {
            return false;
        }

        bool isRight = !descriptor.IsCodeOrData && (request.Kind == TaskSwitchKind.Return
            ? descriptor.SystemType is SystemDescriptorType.BusyTss16 or SystemDescriptorType.BusyTss32
            : descriptor.SystemType is SystemDescriptorType.AvailableTss16 or SystemDescriptorType.AvailableTss32);
        if (!isRight)
        {
            fault = ExceptionInfo.Of(vector, Selector.ErrorCode(request.Selector));
            return false;
        }

        if (!descriptor.IsPresent)
        {
            fault = ExceptionInfo.Of(ExceptionVector.SegmentNotPresent, Selector.ErrorCode(request.Selector));
            return false;
        }

        uint least = TaskState.Is32Bit(descriptor.Access) ? TaskState.MinLimit32 : TaskState.MinLimit16;
        if (descriptor.Limit < least)
        {
            fault = ExceptionInfo.Of(ExceptionVector.InvalidTss, Selector.ErrorCode(request.Selector));
            return false;
        }

        return true;
    }

    /// <summary>Reads the new task's state and saves the old one's, with links and busy bits. The last that can leave no trace.</summary>
    private static bool TrySaveAndCommit(
        Processor processor,
        in TaskSwitchRequest request,
        ref Descriptor descriptor,
        out TaskImage image,
        ref ExceptionInfo fault)
    {
        image = default;
        ProcessorState* s = processor.StatePointer;
        bool nests = request.Kind is TaskSwitchKind.Call or TaskSwitchKind.Interrupt;
        bool newIs32 = TaskState.Is32Bit(descriptor.Access);
        bool oldIs32 = TaskState.Is32Bit(s->Tr.Access);
        if (!s->Tr.IsUsable || s->Tr.Limit < (oldIs32 ? TaskState.MinLimit32 : TaskState.MinLimit16))
        {
            fault = ExceptionInfo.Of(ExceptionVector.InvalidTss, Selector.ErrorCode(s->Tr.Selector));
            return false;
        }

        if (!LinearRange.TryMap(
                s,
                descriptor.Base,
                1 + (newIs32 ? TaskState.MinLimit32 : TaskState.MinLimit16),
                nests ? AccessKind.Write : AccessKind.Read,
                user: false,
                out LinearRange to,
                ref fault)
            || !LinearRange.TryMap(
                s,
                s->Tr.Base,
                1 + (oldIs32 ? TaskState.MinLimit32 : TaskState.MinLimit16),
                AccessKind.Write,
                user: false,
                out LinearRange from,
                ref fault))
        {
            return false;
        }

        image = TaskImage.Read(to, newIs32);
        if ((image.Eflags & Eflags.Vm) != 0)
        {
            // There is no virtual-8086 mode to go to.
            fault = ExceptionInfo.Of(ExceptionVector.InvalidTss, Selector.ErrorCode(request.Selector));
            return false;
        }

        if (!TryChangeBusy(processor, request.Kind, request.Selector, ref descriptor, ref fault))
        {
            return false;
        }

        uint eflags = request.Kind == TaskSwitchKind.Return ? request.Eflags & ~Eflags.Nt : request.Eflags;
        TaskImage.Save(s, from, oldIs32, request.Eip, eflags);
        from.Complete(processor);
        if (nests)
        {
            to.WriteUInt16(TaskState.Link, s->Tr.Selector);
            to.Complete(processor);
        }

        return true;
    }

    /// <summary>Neither descriptor changes unless both can.</summary>
    private static bool TryChangeBusy(
        Processor processor, TaskSwitchKind kind, ushort selector, ref Descriptor descriptor, ref ExceptionInfo fault)
    {
        bool marksNew = kind != TaskSwitchKind.Return;
        if (marksNew && !DescriptorTables.IsWritable(processor, selector, ref fault))
        {
            return false;
        }

        if (kind is TaskSwitchKind.Jump or TaskSwitchKind.Return)
        {
            ushort old = processor.StatePointer->Tr.Selector;
            if (!DescriptorTables.TryRead(processor, old, ExceptionVector.InvalidTss, out Descriptor oldDescriptor, ref fault)
                || !DescriptorTables.TryMarkBusy(processor, old, busy: false, ref oldDescriptor, ref fault))
            {
                return false;
            }
        }

        return !marksNew || DescriptorTables.TryMarkBusy(processor, selector, busy: true, ref descriptor, ref fault);
    }

    /// <summary>With PAE paging the new CR3's table is read, and none of it may have a reserved bit (SDM 3A, 4.4.1).</summary>
    private static bool HasGoodPointers(Processor processor, in TaskImage image, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        if (!image.Is32Bit || !PaePaging.LoadsPointers(s, 3, image.Cr3) || PaePaging.TryReadPointers(processor.Memory, image.Cr3, out _))
        {
            return true;
        }

        fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
        return false;
    }

    private static void LoadRegisters(Processor processor, in TaskSwitchRequest request, in TaskImage image, bool isMapped)
    {
        ProcessorState* s = processor.StatePointer;
        if (image.Is32Bit && isMapped && (s->Cr0 & Cr0.Pg) != 0)
        {
            processor.WriteControlRegister(3, image.Cr3);
        }

        bool nests = request.Kind is TaskSwitchKind.Call or TaskSwitchKind.Interrupt;
        uint before = s->SystemFlags;
        s->Eflags = (image.Eflags & ~Eflags.Vm) | (nests ? Eflags.Nt : 0);
        uint loaded = s->SystemFlags;
        s->SystemFlags = before;
        InterruptShadow.SetSystemFlags(s, loaded);
        s->Eip = image.Eip;
        for (int i = 0; i < TaskImage.GeneralCount; i++)
        {
            s->SetGeneral(i, image.General[i]);
        }

        // Until each is loaded there is only its selector; CS's says what the privilege level is.
        for (int i = 0; i < TaskImage.SegmentCount; i++)
        {
            s->Segment(i) = new SegmentRegister { Selector = image.Segments[i] };
        }

        s->Ldtr = new SegmentRegister { Selector = image.Ldt };
    }

    private static bool TryLoadSegments(Processor processor, in TaskImage image, ref ExceptionInfo fault)
    {
        const int Vector = ExceptionVector.InvalidTss;
        ProcessorState* s = processor.StatePointer;
        if (!DescriptorTableRegisters.TryReadLocal(processor, image.Ldt, Vector, out SegmentRegister ldtr, ref fault))
        {
            return false;
        }

        s->Ldtr = ldtr;
        int cpl = image.Segments[(int)SegmentName.Cs] & Selector.RplMask;
        if (!TryLoadCode(processor, image.Segments[(int)SegmentName.Cs], cpl, out SegmentRegister code, ref fault))
        {
            return false;
        }

        s->Cs = code;
        if (!SegmentLoader.TryLoadStack(
            processor, image.Segments[(int)SegmentName.Ss], cpl, Vector, out SegmentRegister stack, ref fault))
        {
            return false;
        }

        s->Ss = stack;
        ReadOnlySpan<int> data = [(int)SegmentName.Ds, (int)SegmentName.Es, (int)SegmentName.Fs, (int)SegmentName.Gs];
        foreach (int number in data)
        {
            if (!SegmentLoader.TryLoadData(
                processor, image.Segments[number], cpl, Vector, out SegmentRegister register, ref fault))
            {
                return false;
            }

            s->Segment(number) = register;
        }

        return true;
    }

    /// <summary>The last check of all, after the error code was pushed (SDM 2A, INT n, TASK-GATE).</summary>
    private static bool IsEntryPointInCode(ProcessorState* s, ref ExceptionInfo fault)
    {
        if (s->Eip <= s->Cs.Limit)
        {
            return true;
        }

        fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
        return false;
    }

    /// <summary>All that would be #GP elsewhere is #TS here.</summary>
    private static bool TryLoadCode(
        Processor processor, ushort selector, int cpl, out SegmentRegister code, ref ExceptionInfo fault)
    {
        bool done = CodeSegmentLoader.TryLoadAt(processor, selector, cpl, out code, ref fault);
        if (!done && fault.Vector == ExceptionVector.GeneralProtection)
        {
            fault.Vector = ExceptionVector.InvalidTss;
        }

        return done;
    }

    private static bool TryPushErrorCode(
        Processor processor, in TaskSwitchRequest request, in TaskImage image, ref ExceptionInfo fault)
    {
        if (request.ErrorCode is not { } errorCode)
        {
            return true;
        }

        ProcessorState* s = processor.StatePointer;
        uint esp = s->Esp;
        uint size = image.Is32Bit ? 4u : 2u;
        if (!SystemStack.TryPush(processor, s->Ss, ref esp, [errorCode], size, s->Cpl == 3, 0, ref fault))
        {
            return false;
        }

        s->Esp = esp;
        return true;
    }

    /// <summary>A task's state, as read from its TSS.</summary>
    private struct TaskImage
    {
        public const int GeneralCount = 8;
        public const int SegmentCount = 6;
        private const int SegmentCount16 = 4;

        public fixed uint General[GeneralCount];
        public fixed ushort Segments[SegmentCount];
        public uint Eip;
        public uint Eflags;
        public uint Cr3;
        public ushort Ldt;
        public bool Trap;
        public bool Is32Bit;

        public static TaskImage Read(in LinearRange tss, bool is32)
        {
            TaskImage image = default;
            image.Is32Bit = is32;
            image.Eip = is32 ? tss.ReadUInt32(TaskState.Eip32) : tss.ReadUInt16(TaskState.Ip16);
            image.Eflags = is32 ? tss.ReadUInt32(TaskState.Eflags32) : tss.ReadUInt16(TaskState.Flags16);
            image.Cr3 = is32 ? tss.ReadUInt32(TaskState.Cr3) : 0;
            image.Ldt = tss.ReadUInt16(is32 ? TaskState.Ldt32 : TaskState.Ldt16);
            image.Trap = is32 && (tss.ReadUInt16(TaskState.Trap) & TrapBit) != 0;
            for (uint i = 0; i < GeneralCount; i++)
            {
                image.General[i] = is32
                    ? tss.ReadUInt32(TaskState.General32 + (4 * i))
                    : tss.ReadUInt16(TaskState.General16 + (2 * i)) | UpperHalf;
            }

            for (uint i = 0; i < (is32 ? SegmentCount : SegmentCount16); i++)
            {
                image.Segments[i] = tss.ReadUInt16(
                    is32 ? TaskState.Segments32 + (4 * i) : TaskState.Segments16 + (2 * i));
            }

            return image;
        }

        public static void Save(ProcessorState* s, in LinearRange tss, bool is32, uint eip, uint eflags)
        {
            if (is32)
            {
                tss.WriteUInt32(TaskState.Eip32, eip);
                tss.WriteUInt32(TaskState.Eflags32, eflags);
            }
            else
            {
                tss.WriteUInt16(TaskState.Ip16, (ushort)eip);
                tss.WriteUInt16(TaskState.Flags16, (ushort)eflags);
            }

            for (int i = 0; i < GeneralCount; i++)
            {
                if (is32)
                {
                    tss.WriteUInt32(TaskState.General32 + (4 * (uint)i), s->GetGeneral(i));
                }
                else
                {
                    tss.WriteUInt16(TaskState.General16 + (2 * (uint)i), (ushort)s->GetGeneral(i));
                }
            }

            for (int i = 0; i < (is32 ? SegmentCount : SegmentCount16); i++)
            {
                uint offset = is32 ? TaskState.Segments32 + (4 * (uint)i) : TaskState.Segments16 + (2 * (uint)i);
                tss.WriteUInt16(offset, s->Segment(i).Selector);
            }
        }
    }
}
