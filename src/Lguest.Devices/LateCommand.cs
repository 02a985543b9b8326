namespace Lguest.Devices;

/// <summary>
/// A command that isn't known while the guest boots: the guest asks for input then, is saved, and each guest that goes on from there gets
/// a command of its own (docs/guest.md).
/// </summary>
/// <param name="News">
/// What a guest that goes on is told first, as input: a line with the date, and random bytes. Not looked at where there is no command.
/// </param>
public sealed record LateCommand(ReadOnlyMemory<byte> News = default);
