using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Integers;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>
/// Accesses that are looked up together, around a border between pages that aren't next to each other in memory: both engines do
/// the same wherever they begin.
/// </summary>
public sealed class GroupTests
{
    private const uint Code = 0x3000;
    private const uint Low = 0x10_0000;
    private const uint High = Low + 0x1000;
    private const int Rounds = 5;

    /// <summary>Loops over accesses through EBX and ESP.</summary>
    public static TheoryData<string> Names => [.. Programs.Keys];

    private static Dictionary<string, Action<Assembler>> Programs { get; } = new()
    {
        ["upwards"] = a =>
        {
            a.add(__dword_ptr[ebx], 5);
            a.add(eax, __dword_ptr[ebx + 4]);
            a.adc(__word_ptr[ebx + 8], 7);
        },
        ["downwards"] = a =>
        {
            a.mov(eax, __dword_ptr[ebx + 8]);
            a.xor(__dword_ptr[ebx], eax);
            a.rol(__byte_ptr[ebx - 5], 3);
        },
        ["pushes"] = a =>
        {
            a.push(eax);
            a.push(ebx);
            a.push(0x1234);
            a.pop(ecx);
            a.pop(edx);
            a.pop(esi);
            a.add(eax, ecx);
        },
        ["pops"] = a =>
        {
            a.pop(eax);
            a.pop(ecx);
            a.push(ecx);
            a.push(ebx);
            a.inc(ebx);
        },
        ["frame"] = a =>
        {
            a.sub(esp, 8);
            a.mov(__dword_ptr[esp + 4], eax);
            a.mov(ecx, __dword_ptr[esp]);
            a.lea(esp, __[esp + 8]);
            a.mov(edx, __dword_ptr[esp - 8]);
            a.inc(eax);
        },
        ["changing"] = a =>
        {
            a.add(__dword_ptr[ebx], 3);
            a.xchg(ebx, edi);
            a.add(__dword_ptr[ebx], 4);
            a.add(__dword_ptr[ebx + 4], 5);
            a.xchg(ebx, edi);
        },
        ["written at last"] = a =>
        {
            // ESI leads to a page that can only be read.
            Label skip = a.CreateLabel();
            a.mov(eax, __dword_ptr[esi]);
            a.dec(edx);
            a.jns(skip);
            a.mov(__dword_ptr[esi + 4], eax);
            a.Label(ref skip);
            a.inc(ecx);
        },
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void A_border_between_pages_changes_nothing(string name)
    {
        TestEngine.SkipUnlessTranslating();
        for (int distance = -24; distance <= 24; distance++)
        {
            Assert.Equal(Run(name, distance, translate: false), Run(name, distance, translate: true));
        }
    }

    /// <summary>What is left of some rounds: registers, flags, count, exceptions, and the memory on both sides of the border.</summary>
    private static string Run(string name, int distance, bool translate)
    {
        using var machine = new PagedMachine();
        if (translate)
        {
            machine.Machine.Cpu.TryTranslate(threshold: 0);
        }

        machine.Map(Low, High + 0x3000);
        machine.Map(High, Low + 0x6000);
        machine.MapReadOnly(Low + 0x2000);
        var assembler = new Assembler(32);
        Label loop = assembler.CreateLabel();
        assembler.Label(ref loop);
        Programs[name](assembler);
        assembler.jmp(loop);
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), Code);
        machine.Machine.Memory.Write(Code, code.ToArray());
        var random = new Random(distance);
        var data = new byte[0x10000];
        random.NextBytes(data);
        machine.Machine.Memory.Write(Low, data);
        ref ProcessorState state = ref machine.Cpu.State;
        state.Eip = Code;
        state.Eax = 0x1234_5678;
        state.Ebx = state.Esp = (uint)(High + distance);
        state.Edi = Low + 0x40;
        state.Esi = Low + 0x2040;
        state.Edx = 3;
        int instructions = 0;
        var decoder = Decoder.Create(32, code.ToArray());
        while (decoder.IP < (ulong)code.Length)
        {
            decoder.Decode();
            instructions++;
        }

        StopReason reason = machine.Cpu.Run((ulong)(instructions * Rounds));
        machine.Machine.Memory.Span(Low, (uint)data.Length).CopyTo(data);
        string registers = string.Join(' ', Enumerable.Range(0, 8).Select(i => $"{machine.Cpu.State.GetGeneral(i):x}"));
        string hash = Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(data));
        return $"{name} {distance}: {reason} {machine.Cpu.Retired} {registers} {machine.Cpu.State.Eflags:x} {string.Join(' ', machine.Machine.Exceptions)} {hash}";
    }
}
