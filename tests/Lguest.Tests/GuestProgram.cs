using Iced.Intel;
using Lguest.TestSupport;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Tests;

/// <summary>
/// Little guests that do one thing each: a ring-1 program of a few instructions in an ELF file that the launcher
/// takes for a kernel.
/// </summary>
internal static class GuestProgram
{
    private const uint PageOffset = 0xc0000000;
    private const uint ImageAddress = 0x100000;
    private const uint CodeAddress = ImageAddress + 13;
    private const uint DataAddress = 0x110000;
    private const uint Stack = PageOffset + 0x120000;

    // What the guests keep in memory, all zero at first but for texts.
    private const uint LguestData = DataAddress;
    private const uint OutputDma = DataAddress + 0x1000;
    private const uint InputDma = DataAddress + 0x1100;
    private const uint InputBuffer = DataAddress + 0x1200;
    private const uint Texts = DataAddress + 0x2000;
    private const int CallStatus = 20;
    private const int CallSlots = 64;
    private const int DmaLengths = 4 + (16 * 4);
    private const int InputSize = 256;

    private const uint Init = 1;
    private const uint Crash = 2;
    private const uint Halt = 10;
    private const uint BindDma = 12;
    private const uint SendDma = 13;
    private const byte HypercallVector = 0x1f;
    private const uint ConsoleIrq = 1;

    /// <summary>Prints a text, then powers off.</summary>
    public static byte[] Greeter(string text) => Build(guest =>
    {
        guest.Print(text);
        guest.Crash("Power down");
    });

    /// <summary>Panics with a text.</summary>
    public static byte[] Panicker(string text) => Build(guest => guest.Crash(text));

    /// <summary>Makes a hypercall that there isn't.</summary>
    public static byte[] Offender() => Build(guest =>
    {
        guest.Code.mov(eax, 99);
        guest.Code.@int(HypercallVector);
    });

    /// <summary>Asks for a restart.</summary>
    public static byte[] Restarter() => Build(guest =>
    {
        guest.Code.mov(eax, 0xfe);
        guest.Code.@out(0x64, al);
        guest.Spin();
    });

    /// <summary>Prints a text, then does nothing for ever, busily.</summary>
    public static byte[] Spinner(string text) => Build(guest =>
    {
        guest.Print(text);
        guest.Spin();
    });

    /// <summary>Prints so many bytes of the kernel's command line, then powers off.</summary>
    public static byte[] CommandLinePrinter(int length) => Build(guest =>
    {
        const uint CommandLine = 4096;
        guest.Describe(OutputDma, CommandLine, length);
        guest.Hypercall(SendDma, 0, OutputDma, 0);
        guest.Crash("Power down");
    });

    /// <summary>Does nothing for ever, busily, without a word.</summary>
    public static byte[] SilentSpinner() => Build(guest => guest.Spin());

    /// <summary>Sleeps, and never wakes up.</summary>
    public static byte[] Sleeper() => Build(guest => guest.Hypercall(Halt, 0, 0, 0));

    /// <summary>Prints a text over and over.</summary>
    public static byte[] Chatterer(string text) => Build(guest =>
    {
        Label again = guest.Code.CreateLabel();
        guest.Code.Label(ref again);
        guest.Print(text);
        guest.Code.jmp(again);
    });

    /// <summary>Prints a text, then prints all input as it comes, until one ends with a q, or a q and a line end: then it powers off.</summary>
    /// <param name="text">What it prints first.</param>
    /// <param name="last">Another letter than the q.</param>
    public static byte[] Echoer(string text, char last = 'q') => Build(guest =>
    {
        Assembler code = guest.Code;
        guest.Describe(InputDma, InputBuffer, InputSize);
        guest.Hypercall(BindDma, 0, InputDma, (1 << 8) | ConsoleIrq);
        guest.Print(text);

        Label wait = code.CreateLabel();
        Label done = code.CreateLabel();
        code.Label(ref wait);
        code.mov(ecx, __dword_ptr[PageOffset + InputDma]);
        code.test(ecx, ecx);
        code.je(wait);
        guest.Describe(OutputDma, InputBuffer, InputSize);
        code.mov(__word_ptr[PageOffset + OutputDma + DmaLengths], cx);
        guest.Hypercall(SendDma, 0, OutputDma, 0);
        code.mov(__dword_ptr[PageOffset + OutputDma], 0);
        for (uint fromEnd = 1; fromEnd <= 2; fromEnd++)
        {
            code.mov(ecx, __dword_ptr[PageOffset + InputDma]);
            code.cmp(__byte_ptr[ecx + (PageOffset + InputBuffer - fromEnd)], (byte)last);
            code.je(done);
        }

        code.mov(__dword_ptr[PageOffset + InputDma], 0);
        code.jmp(wait);
        code.Label(ref done);
        guest.Crash("Power down");
    });

    /// <summary>A kernel in ring 0 that says which drivers it has, and then nothing any more, busily.</summary>
    /// <param name="drivers">Bit n: for devices of type n; null says nothing.</param>
    public static byte[] SilentRingZero(uint? drivers)
    {
        const uint SizeWithDrivers = 1176;
        var code = new Assembler(32);
        code.mov(eax, Init);
        code.mov(edx, DataAddress);
        code.mov(ebx, drivers is null ? 0 : SizeWithDrivers);
        code.@int(HypercallVector);
        Label here = code.CreateLabel();
        code.Label(ref here);
        code.jmp(here);
        var text = new MemoryStream();
        code.Assemble(new StreamCodeWriter(text), ImageAddress);

        byte[] data = new byte[SizeWithDrivers];
        data.AsSpan(CallStatus, CallSlots).Fill(0xff);
        BitConverter.TryWriteBytes(data.AsSpan(1128), drivers ?? 0);
        return TestImages.Elf(
            ImageAddress,
            new ElfPart(PageOffset + ImageAddress, ImageAddress, text.ToArray()),
            new ElfPart(PageOffset + DataAddress, DataAddress, data));
    }

    private static byte[] Build(Action<Builder> body)
    {
        var builder = new Builder();
        builder.Code.mov(esp, Stack);
        builder.Hypercall(Init, LguestData, 0, 0);
        body(builder);
        return builder.ToElf();
    }

    private sealed class Builder
    {
        private readonly List<byte> _texts = [];

        public Assembler Code { get; } = new(32);

        public void Hypercall(uint number, uint edxValue, uint ebxValue, uint ecxValue)
        {
            Code.mov(eax, number);
            Code.mov(edx, edxValue);
            Code.mov(ebx, ebxValue);
            if (number != SendDma)
            {
                Code.mov(ecx, ecxValue);
            }

            Code.@int(HypercallVector);
        }

        public void Describe(uint dma, uint buffer, int length)
        {
            Code.mov(__dword_ptr[PageOffset + dma + 4], buffer);
            Code.mov(__word_ptr[PageOffset + dma + DmaLengths], (short)length);
        }

        public void Print(string text)
        {
            Describe(OutputDma, AddText(text), text.Length);
            Hypercall(SendDma, 0, OutputDma, 0);
            Code.mov(__dword_ptr[PageOffset + OutputDma], 0);
        }

        public void Crash(string text)
        {
            Hypercall(GuestProgram.Crash, AddText(text), 0, 0);
            Spin();
        }

        public void Spin()
        {
            Label here = Code.CreateLabel();
            Code.Label(ref here);
            Code.jmp(here);
        }

        public byte[] ToElf()
        {
            var code = new MemoryStream();
            code.Write("GenuineLguest"u8);
            Code.Assemble(new StreamCodeWriter(code), PageOffset + CodeAddress);
            return TestImages.Elf(
                new ElfPart(PageOffset + ImageAddress, ImageAddress, code.ToArray()),
                new ElfPart(PageOffset + LguestData, LguestData, [.. new byte[CallStatus], .. Enumerable.Repeat((byte)0xff, CallSlots)]),
                new ElfPart(PageOffset + Texts, Texts, _texts.ToArray(), MemorySize: 0x1000));
        }

        private uint AddText(string text)
        {
            uint address = Texts + (uint)_texts.Count;
            _texts.AddRange(System.Text.Encoding.Latin1.GetBytes(text));
            _texts.Add(0);
            return address;
        }
    }
}
