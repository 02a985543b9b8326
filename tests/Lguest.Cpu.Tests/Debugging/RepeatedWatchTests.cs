using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.Debugging;

/// <summary>
/// Data breakpoints on what a repeated string instruction touches: the trap comes after each element that is watched, not at the end (SDM 3B,
/// 17.2.5).
/// </summary>
[ResultsUnchecked]
public sealed class RepeatedWatchTests : IDisposable
{
    private const uint Source = 0x2fe8;
    private const uint Destination = 0x4ff0;
    private const uint Bytes = 32;
    private const uint NoStatus = 0xffff_0ff0;
    private const uint OnWrite = 1;
    private const uint OnReadOrWrite = 3;

    private readonly ProtectedMachine _machine = new();
    private readonly byte[] _fresh;

    public RepeatedWatchTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _fresh = _machine.Cpu.Save();
    }

    private ref ProcessorState State => ref _machine.State;

    public static TheoryData<string> Repetitions()
    {
        var codes = new TheoryData<string>();
        foreach (string opcode in (string[])["A4", "A5", "A6", "A7", "AA", "AB", "AC", "AD", "AE", "AF", "6C", "6D", "6E", "6F"])
        {
            foreach (string prefix in (string[])["F3", "F366", "F367", "F326"])
            {
                codes.Add(prefix + opcode);
            }
        }

        return codes;
    }

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void Four_watched_bytes_of_a_copy_of_bytes_are_four_stops()
    {
        Prepare([0xF3, 0xA4], backward: false, size: 1);
        Watch(Destination + 8, bytes: 4, OnWrite);
        foreach (uint left in new uint[] { 0x17, 0x16, 0x15, 0x14 })
        {
            Assert.Equal(StopReason.Requested, _machine.Cpu.Run(10));
            Assert.Equal((left, Machine.CodeBase, NoStatus | 1), (State.Ecx, State.Eip, State.GetDebug(6)));
        }

        _machine.Cpu.Run(5);
        Assert.Equal((0u, 4), (State.Ecx, _machine.Exceptions.Count));
    }

    [Theory]
    [MemberData(nameof(Repetitions))]
    public void A_repetition_stops_after_each_element_that_is_watched(string code)
    {
        byte[] bytes = Convert.FromHexString(code);
        foreach (bool backward in new[] { false, true })
        {
            foreach (uint watched in new[] { Source, Destination })
            {
                // The first element, the last, and those at the edge of a page.
                foreach (uint place in new uint[] { 0, 8, 0x10, 0x14, 0x18, Bytes - 4, Bytes })
                {
                    foreach (uint length in new uint[] { 1, 2, 4 })
                    {
                        Check(bytes, backward, watched + place, length, OnWrite);
                        Check(bytes, backward, watched + place, length, OnReadOrWrite);
                    }
                }
            }
        }
    }

    private void Check(byte[] code, bool backward, uint watch, uint length, uint condition)
    {
        Instruction instruction = Decoder.Create(32, code).Decode();
        uint size = (uint)instruction.MemorySize.GetSize();
        Prepare(code, backward, size);
        Watch(watch, length, condition);
        string what = $"{instruction}, backward: {backward}, {length} watched at {watch:X} on {condition}";
        uint count = Bytes / size;
        for (uint i = 0; i < count; i++)
        {
            uint place = (backward ? count - 1 - i : i) * size;
            bool isHit = (HasSource(instruction) && condition == OnReadOrWrite && Overlaps(Source + place, size, watch, length))
                || (HasDestination(instruction) && (condition == OnReadOrWrite || IsWriting(instruction))
                    && Overlaps(Destination + place, size, watch, length));
            if (isHit)
            {
                _machine.Exceptions.Clear();
                Assert.True(_machine.Cpu.Run(10) == StopReason.Requested, $"{what}: no stop at element {i}");
                Assert.Equal((ExceptionVector.Debug, ExceptionOrigin.Trap), (_machine.Exceptions[0].Vector, _machine.Exceptions[0].Origin));
                Assert.True(count - 1 - i == State.Ecx, $"{what}: {State.Ecx} left after element {i}");
                Assert.Equal(State.Ecx == 0 ? Machine.CodeBase + (uint)code.Length : Machine.CodeBase, State.Eip);
                Assert.Equal(NoStatus | 1, State.GetDebug(6));
            }
        }

        int stops = _machine.Exceptions.Count;
        _machine.Cpu.Run(5);
        Assert.True(State.Ecx == 0 && _machine.Exceptions.Count == stops, $"{what}: {State.Ecx} left");
    }

    private static bool Overlaps(uint address, uint size, uint watch, uint length) =>
        address < (watch & ~(length - 1)) + length && (watch & ~(length - 1)) < address + size;

    private static bool HasSource(in Instruction instruction) => instruction.Mnemonic
        is not (Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd
            or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd);

    private static bool HasDestination(in Instruction instruction) => instruction.Mnemonic
        is not (Mnemonic.Lodsb or Mnemonic.Lodsw or Mnemonic.Lodsd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd);

    private static bool IsWriting(in Instruction instruction) => instruction.Mnemonic
        is Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd
            or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd;

    private void Prepare(byte[] code, bool backward, uint size)
    {
        _machine.Cpu.Load(_fresh);
        _machine.Exceptions.Clear();
        _machine.Memory.Write(Machine.CodeBase, [.. code, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90]);
        _machine.Memory.Span(0x2000, 0x4000).Clear();
        uint first = backward ? Bytes - size : 0;
        State.Esi = Source + first;
        State.Edi = Destination + first;
        State.Ecx = Bytes / size;
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Eflags = backward ? Eflags.Df : 0u;
    }

    private void Watch(uint address, uint bytes, uint condition)
    {
        State.SetDebug(0, address);
        State.SetDebug(7, 0x402 | (condition << 16) | ((bytes - 1) << 18));
        _machine.Cpu.UpdateMode();
    }
}
