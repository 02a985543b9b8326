using System.Buffers.Binary;
using Lguest.Cpu;
using Lguest.Cpu.State;

namespace Lguest.Insight.Gdb;

/// <summary>The processor's registers in gdb's order and form.</summary>
/// <param name="processor">The processor. Only its thread may use this, between two runs.</param>
internal sealed class GdbRegisters(Processor processor)
{
    /// <summary>gdb's numbers of the registers that are told at each stop.</summary>
    public const int Esp = 4;
    public const int Ebp = 5;
    public const int Eip = 8;

    private const int Eflags = 9;
    private const int FirstSegment = 10;
    private const int FirstX87 = 16;
    private const int FirstX87Control = 24;
    private const int FirstXmm = 32;
    private const int Mxcsr = 40;
    private const int FirstControl = 41;
    private const int X87Registers = 8;
    private const int X87Bytes = 10;
    private const int XmmBytes = 16;
    private const int SlotBytes = 16;

    // In FXSAVE's area (SDM 1, table 10-2).
    private const int X87ControlOffset = 0;
    private const int X87StatusOffset = 2;
    private const int ValidOffset = 4;
    private const int OpcodeOffset = 6;
    private const int InstructionOffset = 8;
    private const int DataOffset = 16;
    private const int MxcsrOffset = 24;
    private const int X87Offset = 32;
    private const int XmmOffset = 160;

    // Bits of EFLAGS that a debugger may change: all but the reserved ones and VM, a mode that isn't there.
    private const uint EflagsWritable = 0x003d_7fd5;
    private const uint EflagsFixed = 2;

    private static readonly int[] ControlNumbers = [0, 2, 3, 4];

    // gdb's order: CS, SS, DS, ES, FS, GS.
    private static readonly SegmentName[] Segments =
        [SegmentName.Cs, SegmentName.Ss, SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs];

    /// <summary>All of them, each at its number.</summary>
    public static IReadOnlyList<GdbRegister> All { get; } =
    [
        .. new[] { "eax", "ecx", "edx", "ebx" }.Select(name => new GdbRegister(name, 4, "int32", GdbFeature.Core)),
        .. new[] { "esp", "ebp" }.Select(name => new GdbRegister(name, 4, "data_ptr", GdbFeature.Core)),
        .. new[] { "esi", "edi" }.Select(name => new GdbRegister(name, 4, "int32", GdbFeature.Core)),
        new GdbRegister("eip", 4, "code_ptr", GdbFeature.Core),
        new GdbRegister("eflags", 4, "i386_eflags", GdbFeature.Core),
        .. new[] { "cs", "ss", "ds", "es", "fs", "gs" }.Select(name => new GdbRegister(name, 4, "int32", GdbFeature.Core)),
        .. Enumerable.Range(0, X87Registers).Select(i => new GdbRegister($"st{i}", X87Bytes, "i387_ext", GdbFeature.Core)),
        .. new[] { "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop" }
            .Select(name => new GdbRegister(name, 4, "int", GdbFeature.Core)),
        .. Enumerable.Range(0, X87Registers).Select(i => new GdbRegister($"xmm{i}", XmmBytes, "vec128", GdbFeature.Sse)),
        new GdbRegister("mxcsr", 4, "i386_mxcsr", GdbFeature.Sse),
        .. ControlNumbers.Select(i => new GdbRegister($"cr{i}", 4, "int", GdbFeature.System)),
    ];

    /// <summary>Reads one: its bytes, the lowest first.</summary>
    /// <param name="number">Its number.</param>
    public byte[] Read(int number)
    {
        byte[] image = new byte[Processor.FloatingPointBytes];
        processor.ReadFloatingPoint(image);
        return number switch
        {
            >= FirstX87 and < FirstX87Control => image[X87Slot(number)..][..X87Bytes],
            >= FirstXmm and < Mxcsr => image[XmmSlot(number)..][..XmmBytes],
            _ => BitConverter.GetBytes(ReadWord(number, image)),
        };
    }

    /// <summary>Writes one.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="value">As many bytes as it has.</param>
    /// <returns>False for one that can't be written: a segment register has more than its selector, a control register more than its value.</returns>
    public bool TryWrite(int number, ReadOnlySpan<byte> value)
    {
        ref ProcessorState state = ref processor.State;
        uint word = BinaryPrimitives.ReadUInt32LittleEndian(value);
        switch (number)
        {
            case < Eip:
                state.SetGeneral(number, word);
                return true;
            case Eip:
                state.Eip = word;
                return true;
            case Eflags:
                processor.Eflags = (word & EflagsWritable) | EflagsFixed;
                return true;
            case < FirstX87 or >= FirstControl:
                return value.SequenceEqual(Read(number));
            default:
                return TryWriteFloatingPoint(number, value);
        }
    }

    private static int X87Slot(int number) => X87Offset + ((number - FirstX87) * SlotBytes);

    private static int XmmSlot(int number) => XmmOffset + ((number - FirstXmm) * SlotBytes);

    private uint ReadWord(int number, byte[] image)
    {
        ref ProcessorState state = ref processor.State;
        return number switch
        {
            < Eip => state.GetGeneral(number),
            Eip => state.Eip,
            Eflags => processor.Eflags,
            < FirstX87 => Segment(Segments[number - FirstSegment]),
            Mxcsr => BitConverter.ToUInt32(image, MxcsrOffset),
            >= FirstControl => processor.ReadControlRegister(ControlNumbers[number - FirstControl]),
            _ => (number - FirstX87Control) switch
            {
                0 => BitConverter.ToUInt16(image, X87ControlOffset),
                1 => BitConverter.ToUInt16(image, X87StatusOffset),
                2 => TagWord(image),
                4 => BitConverter.ToUInt32(image, InstructionOffset),
                6 => BitConverter.ToUInt32(image, DataOffset),
                7 => BitConverter.ToUInt16(image, OpcodeOffset),
                _ => 0, // The selectors of both pointers, which this processor doesn't keep.
            },
        };
    }

    private uint Segment(SegmentName name)
    {
        ref ProcessorState state = ref processor.State;
        return name switch
        {
            SegmentName.Es => state.Es.Selector,
            SegmentName.Cs => state.Cs.Selector,
            SegmentName.Ss => state.Ss.Selector,
            SegmentName.Ds => state.Ds.Selector,
            SegmentName.Fs => state.Fs.Selector,
            _ => state.Gs.Selector,
        };
    }

    private bool TryWriteFloatingPoint(int number, ReadOnlySpan<byte> value)
    {
        byte[] image = new byte[Processor.FloatingPointBytes];
        processor.ReadFloatingPoint(image);
        int? place = number switch
        {
            < FirstX87Control => X87Slot(number),
            >= FirstXmm and < Mxcsr => XmmSlot(number),
            Mxcsr => MxcsrOffset,
            _ => (number - FirstX87Control) switch
            {
                0 => X87ControlOffset,
                1 => X87StatusOffset,
                4 => InstructionOffset,
                6 => DataOffset,
                7 => OpcodeOffset,
                _ => null,
            },
        };
        if (place is null)
        {
            const int Tag = FirstX87Control + 2;
            if (number != Tag)
            {
                return value.SequenceEqual(Read(number));
            }

            image[ValidOffset] = ValidOf(BinaryPrimitives.ReadUInt16LittleEndian(value));
        }
        else
        {
            // Half a word of these is all there is.
            bool isHalf = number is FirstX87Control or FirstX87Control + 1 or FirstXmm - 1;
            value[..(isHalf ? sizeof(ushort) : value.Length)].CopyTo(image.AsSpan(place.Value));
        }

        processor.WriteFloatingPoint(image);
        return true;
    }

    /// <summary>Two bits for each physical register: valid, zero, special, empty (SDM 1, 8.1.7).</summary>
    private static uint TagWord(byte[] image)
    {
        const ulong IntegerBit = 1ul << 63;
        const int ExponentMask = 0x7fff;
        int top = (BitConverter.ToUInt16(image, X87StatusOffset) >> 11) & 7;
        uint tags = 0;
        for (int physical = 0; physical < X87Registers; physical++)
        {
            int slot = X87Offset + (((physical - top) & 7) * SlotBytes);
            ulong significand = BitConverter.ToUInt64(image, slot);
            int exponent = BitConverter.ToUInt16(image, slot + sizeof(ulong)) & ExponentMask;
            bool isNormal = exponent is not (0 or ExponentMask) && (significand & IntegerBit) != 0;
            uint tag = isNormal ? 0u : exponent == 0 && significand == 0 ? 1u : 2u;
            tags |= (((image[ValidOffset] >> physical) & 1) == 0 ? 3u : tag) << (2 * physical);
        }

        return tags;
    }

    private static byte ValidOf(uint tags)
    {
        uint valid = 0;
        for (int physical = 0; physical < X87Registers; physical++)
        {
            valid |= ((tags >> (2 * physical)) & 3) == 3 ? 0 : 1u << physical;
        }

        return (byte)valid;
    }
}
