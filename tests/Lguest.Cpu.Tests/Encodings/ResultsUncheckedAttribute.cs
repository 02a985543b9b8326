namespace Lguest.Cpu.Tests.Encodings;

/// <summary>
/// The tests of this class execute instructions to see whether they fault, or whatever comes of them: what an instruction
/// computes isn't their subject, and so they cover none that executes.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ResultsUncheckedAttribute : Attribute;
