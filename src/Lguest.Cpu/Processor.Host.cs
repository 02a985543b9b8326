using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <content>What a machine does to its processor between runs and in hooks: everything raw, nothing checked twice.</content>
public sealed unsafe partial class Processor
{
    /// <summary>
    /// Descriptors that segment loads use instead of the GDT in memory, while it isn't null: for hosts that keep
    /// their guest's table. Entry n belongs to selectors 8n to 8n + 7; nothing is written back.
    /// </summary>
    public ulong[]? HostGdt { get; set; }

    /// <summary>Bytes of the floating-point state: FXSAVE's area up to the end of XMM7 (SDM 1, table 10-2).</summary>
    public const int FloatingPointBytes = SimdSave.UsedBytes;

    /// <summary>EFLAGS, all of it.</summary>
    public uint Eflags
    {
        get => _state->Eflags;
        set
        {
            _state->Eflags = value;
            UpdateMode();
        }
    }

    /// <summary>Puts every register into its state after RESET (SDM 3A, table 9-1), in flat 32-bit protected mode at CPL 0.</summary>
    /// <remarks>There is no real mode here, so the segments start as flat ones and CR0.PE as 1.</remarks>
    public void Reset()
    {
        ProcessorState* s = _state;
        for (int i = 0; i < 8; i++)
        {
            s->SetGeneral(i, 0);
            s->SetDebug(i, 0);
            s->X87.Registers[i] = default;
            s->Sse.Registers[i] = default;
        }

        s->SetDebug(6, 0xffff_0ff0);
        s->SetDebug(7, 0x400);
        s->Eip = 0;
        s->Eflags = Cpu.State.Eflags.Fixed;
        const SegmentAccess Data = SegmentAccess.Accessed | SegmentAccess.WritableOrReadable | SegmentAccess.CodeOrData
            | SegmentAccess.Present | SegmentAccess.Default32 | SegmentAccess.Granularity;
        var data = new SegmentRegister { Limit = uint.MaxValue, Access = Data };
        s->Es = s->Ss = s->Ds = s->Fs = s->Gs = data;
        s->Cs = data with { Access = Data | SegmentAccess.Code };
        s->Ldtr = s->Tr = default;
        s->Gdtr = s->Idtr = default;
        s->Cr0 = Cpu.State.Cr0.Pe | Cpu.State.Cr0.Et;
        s->Cr2 = s->Cr3 = s->Cr4 = 0;
        s->PageDirectoryPointers = default;
        s->X87.Control = 0x37f;
        s->X87.Status = 0;
        s->X87.Valid = 0;
        s->Mxcsr = 0x1f80;
        s->Msrs = new ModelSpecificRegisters
        {
            ApicBase = ModelSpecificRegisters.BootProcessor,
            Pat = ModelSpecificRegisters.ResetPat,
            MiscEnable = ModelSpecificRegisters.FastStrings,
        };
        s->RetiredLimit = 0;
        s->Countdown = 0;
        s->ShadowUntil = 0;
        s->DebugShadowUntil = 0;
        s->RepetitionGoesOnAt = 0;
        s->PendingDebug = 0;
        s->Halted = 0;
        Translation.FlushAll();
        UpdateMode();
    }

    /// <summary>CR0, CR2, CR3 or CR4.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such register.</exception>
    public uint ReadControlRegister(int number) => number switch
    {
        0 => _state->Cr0,
        2 => _state->Cr2,
        3 => _state->Cr3,
        4 => _state->Cr4,
        _ => throw new ArgumentOutOfRangeException(nameof(number), number, "There is CR0, CR2, CR3 and CR4."),
    };

    /// <summary>Writes CR0, CR2, CR3 or CR4 with all that follows from it, but without checks.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such register.</exception>
    public void WriteControlRegister(int number, uint value)
    {
        ProcessorState* s = _state;
        if (PaePaging.LoadsPointers(s, number, value))
        {
            LoadPageDirectoryPointers(number == 3 ? value : s->Cr3);
        }

        switch (number)
        {
            case 0:
                bool flush = ((s->Cr0 ^ value) & (Cpu.State.Cr0.Pg | Cpu.State.Cr0.Wp | Cpu.State.Cr0.Pe)) != 0;
                s->Cr0 = value | Cpu.State.Cr0.Et;
                if (flush)
                {
                    Translation.FlushAll();
                }

                UpdateMode();
                break;
            case 2:
                s->Cr2 = value;
                break;
            case 3:
                s->Cr3 = value;
                Translation.FlushNonGlobal();
                break;
            case 4:
                s->Cr4 = value;
                Translation.FlushAll();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(number), number, "There is CR0, CR2, CR3 and CR4.");
        }
    }

    private void LoadPageDirectoryPointers(uint cr3) =>
        PaePaging.TryReadPointers(Memory, cr3, out _state->PageDirectoryPointers);

    /// <summary>Loads a segment register with its hidden part, unchecked.</summary>
    public void SetSegment(SegmentName name, in SegmentRegister value)
    {
        _state->Segment((int)name) = value;
        UpdateMode();
    }

    /// <summary>
    /// Writes CR3, and drops only the cached translations of linear addresses below a limit: for a host that knows the rest of the two
    /// address spaces to be the same.
    /// </summary>
    public void ChangeLowerAddressSpace(uint cr3, uint limit)
    {
        if (PaePaging.IsSelected(_state->Cr0, _state->Cr4))
        {
            LoadPageDirectoryPointers(cr3);
        }

        _state->Cr3 = cr3;
        Translation.FlushBelow(limit);
    }

    /// <summary>Reads the x87's registers, MXCSR and the XMM registers as FXSAVE would save them.</summary>
    /// <param name="image">The first <see cref="FloatingPointBytes"/> are written.</param>
    public void ReadFloatingPoint(Span<byte> image)
    {
        fixed (byte* start = image[..FloatingPointBytes])
        {
            SimdSave.Fill(_state, start);
        }
    }

    /// <summary>Writes them, but for bits that can't be set.</summary>
    /// <param name="image">The first <see cref="FloatingPointBytes"/> count.</param>
    public void WriteFloatingPoint(ReadOnlySpan<byte> image)
    {
        fixed (byte* start = image[..FloatingPointBytes])
        {
            SimdSave.Take(_state, start);
        }
    }

    /// <summary>Drops all cached translations, the global ones too.</summary>
    public void FlushTlb() => Translation.FlushAll();

    /// <summary>Drops the cached translation of one page.</summary>
    public void FlushTlbPage(uint linear) => Translation.FlushPage(linear);

    /// <summary>Drops the cached translations of all linear addresses below a limit.</summary>
    public void FlushTlbBelow(uint linear) => Translation.FlushBelow(linear);

    /// <summary>Translates without any effect: for messages and debuggers.</summary>
    public bool TryTranslate(uint linear, out ulong physical) => PageWalker.TryPeek(this, linear, out physical);

    /// <summary>Reads linear memory as the processor does for itself (at supervisor privilege).</summary>
    /// <param name="linear">The first byte.</param>
    /// <param name="destination">Filled whole, or up to the fault.</param>
    /// <param name="fault">The page fault, when the answer is false.</param>
    public bool TryReadLinear(uint linear, Span<byte> destination, out ExceptionInfo fault)
    {
        while (!destination.IsEmpty)
        {
            int length = ChunkLength(linear, destination.Length);
            byte* host = MemoryAccess.Translate(
                _state, linear, AccessKind.Read, user: false, out _, out ExceptionInfo pending);
            if (host == null)
            {
                fault = Describe(pending);
                return false;
            }

            if (host == MemoryAccess.NoMemory)
            {
                destination[..length].Fill(byte.MaxValue);
            }
            else
            {
                new ReadOnlySpan<byte>(host, length).CopyTo(destination);
            }

            destination = destination[length..];
            linear += (uint)length;
        }

        fault = default;
        return true;
    }

    private static int ChunkLength(uint linear, int length) =>
        (int)Math.Min((uint)length, PhysicalMemory.PageSize - (linear & PhysicalMemory.PageOffsetMask));

    private ExceptionInfo Describe(in ExceptionInfo pending) => pending with { InstructionEip = _state->Eip };
}
