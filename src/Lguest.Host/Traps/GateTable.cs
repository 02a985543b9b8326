namespace Lguest.Host.Traps;

/// <summary>
/// The guest's trap handlers, as it gave them by LOAD_IDT_ENTRY, and the stack on which they start when a
/// user program is interrupted.
/// </summary>
/// <param name="lastGate">The last vector that can have a gate, but for the system call's: 63 to 255.</param>
public sealed class GateTable(int lastGate = GateTable.LastInterruptVector)
{
    /// <summary>Vector of IRQ 0.</summary>
    public const int FirstInterruptVector = 32;

    /// <summary>Linux's system call, whose vector can always have a gate.</summary>
    public const int SystemCallVector = 0x80;

    /// <summary>Vector of the last IRQ.</summary>
    public const int LastInterruptVector = 63;

    private const int Vectors = 256;

    // Never the guest's: NMI, the double fault, the spurious interrupt and the hypercall itself.
    private const int Nmi = 2;
    private const int DoubleFault = 8;
    private const int Spurious = 15;
    private const int Hypercall = 0x1f;

    private readonly Gate[] _gates = new Gate[Vectors];

    /// <summary>Bit n is set while vector 32 + n has a gate.</summary>
    public uint InterruptGates { get; private set; }

    /// <summary>The kernel's stack, from SET_STACK.</summary>
    public KernelStackTop Stack { get; set; }

    /// <summary>All of it.</summary>
    public GateTableState State
    {
        get => new([.. _gates], Stack);
        set
        {
            Stack = value.Stack;
            InterruptGates = 0;
            for (int vector = 0; vector < Vectors; vector++)
            {
                Store(vector, value.Gates[vector]);
            }
        }
    }

    /// <summary>A vector's gate; one that was never given isn't present and has DPL 0.</summary>
    public Gate this[int vector] => _gates[vector];

    /// <summary>Takes a gate from the guest.</summary>
    /// <param name="vector">
    /// Ignored, whatever the gate, when it is the host's. One that has no place in the table is ignored too by the host of a kernel for which some
    /// vectors have none; where all have, there is no such vector.
    /// </param>
    /// <param name="low">The gate descriptor's first dword.</param>
    /// <param name="high">Its second one; a gate that isn't present clears the vector's.</param>
    /// <exception cref="GuestFaultException">It is present, and neither an interrupt nor a trap gate; or there is no such vector.</exception>
    public void Load(uint vector, uint low, uint high)
    {
        if (vector >= Vectors && lastGate == Vectors - 1)
        {
            throw new GuestFaultException($"there is no vector {vector} to have a gate: {lastGate} is the last");
        }

        if (vector is Nmi or DoubleFault or Spurious or Hypercall || (vector > lastGate && vector != SystemCallVector))
        {
            return;
        }

        Store((int)vector, Gate.FromDescriptor(low, high));
    }

    private void Store(int vector, Gate gate)
    {
        _gates[vector] = gate;
        if (vector is >= FirstInterruptVector and <= LastInterruptVector)
        {
            uint bit = 1u << (vector - FirstInterruptVector);
            InterruptGates = gate.IsPresent ? InterruptGates | bit : InterruptGates & ~bit;
        }
    }
}

/// <summary>A trap handler: the parts of a gate descriptor that are the guest's to choose.</summary>
/// <param name="IsPresent">Whether there is a handler.</param>
/// <param name="Offset">Its EIP; the selector is always the kernel's.</param>
/// <param name="Privilege">The least privileged level that may come here by INT n.</param>
/// <param name="MasksInterrupts">An interrupt gate, rather than a trap gate.</param>
public readonly record struct Gate(bool IsPresent, uint Offset, int Privilege, bool MasksInterrupts)
{
    private const int InterruptType = 0xe;
    private const int TrapType = 0xf;
    private const int TypeShift = 8;
    private const uint TypeMask = 0xf;
    private const int PrivilegeShift = 13;
    private const uint PrivilegeMask = 3;
    private const uint PresentBit = 1 << 15;
    private const uint LowHalf = 0xffff;

    /// <summary>Reads a gate descriptor (SDM 3A, figure 6-2).</summary>
    /// <exception cref="GuestFaultException">It is present, and neither an interrupt nor a trap gate.</exception>
    public static Gate FromDescriptor(uint low, uint high)
    {
        if ((high & PresentBit) == 0)
        {
            return default;
        }

        uint type = (high >> TypeShift) & TypeMask;
        if (type is not (InterruptType or TrapType))
        {
            throw new GuestFaultException($"the gate 0x{high:x8}:0x{low:x8} has type 0x{type:x}, which is neither 0xe nor 0xf");
        }

        return new Gate(
            true,
            (high & ~LowHalf) | (low & LowHalf),
            (int)((high >> PrivilegeShift) & PrivilegeMask),
            type == InterruptType);
    }
}

/// <summary>Where the kernel's stack is when a user program is interrupted.</summary>
/// <param name="Selector">For SS; RPL 1.</param>
/// <param name="Offset">For ESP, before anything is pushed.</param>
public readonly record struct KernelStackTop(ushort Selector, uint Offset);

/// <summary>The saved state of gates.</summary>
/// <param name="Gates">By vector, 256.</param>
/// <param name="Stack">The kernel's stack.</param>
public sealed record GateTableState(IReadOnlyList<Gate> Gates, KernelStackTop Stack);
