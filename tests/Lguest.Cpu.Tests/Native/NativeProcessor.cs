using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// The host's own processor, one instruction at a time: loads a <see cref="NativeState"/>, executes, and stores
/// it back. For comparing what our semantics do with what the hardware does.
/// </summary>
/// <remarks>
/// The instruction runs in 64-bit mode, so give it only encodings that mean the same there, with 64-bit pointers
/// in the registers that address memory, and small numbers where BT, BTS, BTR and BTC find a bit's offset: it reaches
/// 256 MiB either way, and nobody would catch them there. It must not use the stack. An instruction that may fault is
/// safe only where <see cref="CatchesFaults"/>. Not thread-safe; a test makes one of its own.
/// </remarks>
internal sealed unsafe class NativeProcessor : IDisposable
{
    private const int MostBytes = 32;

    private readonly nint _page;
    private readonly byte[] _current = new byte[MostBytes];
    private int _currentLength = -1;
    private int _entry;

    /// <summary>Makes one, with a fresh state.</summary>
    public NativeProcessor()
    {
        State = (NativeState*)NativeMemory.AlignedAlloc(NativeState.Size, 64);
        State->Reset();
        _page = ExecutableArena.Rent();
        _ = CatchesFaults;
    }

    /// <summary>Whether the host can execute the guest's instructions at all.</summary>
    public static bool IsSupported => RuntimeInformation.ProcessArchitecture == Architecture.X64
        && (OperatingSystem.IsLinux() || OperatingSystem.IsWindows() || OperatingSystem.IsMacOS());

    /// <summary>Whether a fault becomes a result rather than the end of the process.</summary>
    public static bool CatchesFaults => IsSupported && FaultCatcher.IsInstalled;

    /// <summary>What the next instruction finds, and what the last one left.</summary>
    public NativeState* State { get; }

    /// <summary>Address of <see cref="NativeState.Scratch"/>, for a register that points to memory.</summary>
    public ulong ScratchAddress => (ulong)State->Scratch;

    /// <summary>Skips the test that calls this, with the reason, where there is no such processor.</summary>
    public static void SkipUnlessSupported() =>
        Assert.SkipUnless(IsSupported, "This host's processor isn't x86-64: there is nothing to compare with.");

    /// <summary>Executes one instruction.</summary>
    /// <param name="instruction">Its bytes: at most 15, or a few more to see them refused.</param>
    public void Execute(ReadOnlySpan<byte> instruction)
    {
        if (_currentLength != instruction.Length || !instruction.SequenceEqual(_current.AsSpan(0, _currentLength)))
        {
            Load(instruction);
        }

        State->Signal = 0;
        ((delegate* unmanaged<NativeState*, void>)(_page + _entry))(State);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        ExecutableArena.Return(_page);
        NativeMemory.AlignedFree(State);
    }

    internal static byte[] Encode(Assembler assembler, nint address)
    {
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), (ulong)address);
        return stream.ToArray();
    }

    private void Load(ReadOnlySpan<byte> instruction)
    {
        byte[] before = AssembleBefore();
        byte[] after = AssembleAfter();
        _entry = sizeof(ulong);
        byte[] code = new byte[_entry + before.Length + instruction.Length + after.Length];
        nint goOn = _page + _entry + before.Length + instruction.Length;
        MemoryMarshal.Write(code, goOn);
        before.CopyTo(code, _entry);
        instruction.CopyTo(code.AsSpan(_entry + before.Length));
        after.CopyTo(code, _entry + before.Length + instruction.Length);
        ExecutableArena.Write(_page, code);
        instruction.CopyTo(_current);
        _currentLength = instruction.Length;
    }

    private static byte[] AssembleBefore()
    {
        var a = new Assembler(64);
        a.push(rbx);
        a.push(rbp);
        a.push(rsi);
        a.push(rdi);
        a.push(r12);
        a.push(r13);
        a.push(r14);
        a.push(r15);
        a.mov(r15, OperatingSystem.IsWindows() ? rcx : rdi);
        if (OperatingSystem.IsLinux())
        {
            HostSystemCalls.BlockSignals(
                a, __[r15 + NativeState.BlockedSignalsOffset], __[r15 + NativeState.SignalsBeforeOffset]);
        }

        a.fxsave(__[r15 + NativeState.HostOffset]);
        a.fxrstor(__[r15]);
        a.push(__qword_ptr[r15 + NativeState.FlagsOffset]);
        a.popfq();
        a.mov(rax, __qword_ptr[r15 + General(0)]);
        a.mov(rcx, __qword_ptr[r15 + General(1)]);
        a.mov(rdx, __qword_ptr[r15 + General(2)]);
        a.mov(rbx, __qword_ptr[r15 + General(3)]);
        a.mov(rbp, __qword_ptr[r15 + General(5)]);
        a.mov(rsi, __qword_ptr[r15 + General(6)]);
        a.mov(rdi, __qword_ptr[r15 + General(7)]);
        return Encode(a, 0);
    }

    private static byte[] AssembleAfter()
    {
        var a = new Assembler(64);
        a.mov(__qword_ptr[r15 + General(0)], rax);
        a.mov(__qword_ptr[r15 + General(1)], rcx);
        a.mov(__qword_ptr[r15 + General(2)], rdx);
        a.mov(__qword_ptr[r15 + General(3)], rbx);
        a.mov(__qword_ptr[r15 + General(5)], rbp);
        a.mov(__qword_ptr[r15 + General(6)], rsi);
        a.mov(__qword_ptr[r15 + General(7)], rdi);
        a.pushfq();
        a.pop(__qword_ptr[r15 + NativeState.FlagsOffset]);
        a.fxsave(__[r15]);
        a.fxrstor(__[r15 + NativeState.HostOffset]);
        a.push(0x202);
        a.popfq();
        if (OperatingSystem.IsLinux())
        {
            HostSystemCalls.RestoreSignals(a, __[r15 + NativeState.SignalsBeforeOffset]);
        }

        a.pop(r15);
        a.pop(r14);
        a.pop(r13);
        a.pop(r12);
        a.pop(rdi);
        a.pop(rsi);
        a.pop(rbp);
        a.pop(rbx);
        a.ret();
        return Encode(a, 0);
    }

    private static int General(int number) => NativeState.GeneralOffset + number * sizeof(ulong);
}
