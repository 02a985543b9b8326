namespace Lguest.Cpu.Translator;

/// <summary>Where the distance of an emitted jump is, to be set when its target is known.</summary>
/// <param name="Address">As it is written.</param>
internal readonly record struct JumpDistance(nint Address);
