namespace Lguest.CommandLine;

/// <summary>The command line can't be understood. The message is one sentence that says why and what to do.</summary>
internal sealed class CommandLineException(string message) : Exception(message);
