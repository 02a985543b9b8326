using Lguest.Host.Hypercalls;

namespace Lguest.Host.Abi;

/// <summary>What a hypercall's handler does.</summary>
/// <param name="context">The parts of the guest it may act on.</param>
/// <param name="arguments">What the guest passed.</param>
/// <returns>What the register of the call's number becomes, or null when it stays.</returns>
/// <exception cref="GuestFaultException">The guest is over.</exception>
public delegate uint? HypercallHandler(HypercallContext context, in HypercallArguments arguments);

/// <summary>One row of an ABI's table of hypercalls.</summary>
/// <param name="Number">What the guest puts into the number's register.</param>
/// <param name="Name">Linux's name without LHCALL_, for messages and counts.</param>
/// <param name="Handler">What it does.</param>
public sealed record HypercallDefinition(uint Number, string Name, HypercallHandler Handler);

/// <summary>The arguments of a hypercall, in the ABI's order.</summary>
/// <param name="First">EDX in Linux 2.6.23.</param>
/// <param name="Second">EBX there.</param>
/// <param name="Third">ECX there.</param>
public readonly record struct HypercallArguments(uint First, uint Second, uint Third);

/// <summary>Which general registers carry a hypercall (Intel's numbers, 0 to 7).</summary>
/// <param name="Number">The call's number, and its result.</param>
/// <param name="First">The first argument.</param>
/// <param name="Second">The second one.</param>
/// <param name="Third">The third one.</param>
public sealed record HypercallRegisters(int Number, int First, int Second, int Third)
{
    private const int Eax = 0;
    private const int Ecx = 1;
    private const int Edx = 2;
    private const int Ebx = 3;

    /// <summary>Linux 2.6.23's.</summary>
    public static HypercallRegisters Linux2623 { get; } = new(Eax, Edx, Ebx, Ecx);

    /// <summary>Those from Linux 2.6.30 on.</summary>
    public static HypercallRegisters Linux2630 { get; } = new(Eax, Ebx, Ecx, Edx);
}
