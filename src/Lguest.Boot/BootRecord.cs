namespace Lguest.Boot;

/// <summary>How a guest that is in memory is to be entered.</summary>
/// <param name="EntryPoint">EIP of the first instruction: a virtual address.</param>
/// <param name="PageOffset">Virtual minus physical address of the kernel's linear mapping of RAM.</param>
/// <param name="PageDirectory">Physical address of the first page directory, for CR3.</param>
/// <param name="BootParameters">Physical address of the boot parameters, for ESI.</param>
public sealed record BootRecord(uint EntryPoint, uint PageOffset, uint PageDirectory, uint BootParameters);

/// <summary>What the user wants started.</summary>
/// <param name="KernelPath">A vmlinux or bzImage.</param>
/// <param name="InitrdPath">An initial RAM disk, or null for none.</param>
/// <param name="CommandLine">The kernel's command line.</param>
public sealed record BootRequest(string KernelPath, string? InitrdPath, string CommandLine);
