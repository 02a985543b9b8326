using System.Text;
using Iced.Intel;
using Lguest.CommandLine;
using Lguest.Cpu;
using Lguest.Cpu.State;

namespace Lguest.Running;

/// <summary>
/// Logs instructions before they execute: how many have retired, CPL, EIP, bytes, and the instruction in Intel's syntax.
/// </summary>
internal sealed class InstructionTracer : IInstructionTracer, IDisposable
{
    private const int BufferSize = 64 * 1024;
    private const int Bits = 32;
    private const string Unfetched = "(not fetched)";

    private readonly TraceStart _start;
    private readonly StreamWriter _writer;
    private readonly MasmFormatter _formatter = new();
    private readonly StringOutput _text = new();
    private bool _started;
    private bool _isLost;

    /// <summary>Makes a tracer.</summary>
    /// <param name="start">From where on it logs.</param>
    /// <param name="output">Where to; buffered here until the end.</param>
    public InstructionTracer(TraceStart start, Stream output)
    {
        _start = start;
        _writer = new StreamWriter(output, new UTF8Encoding(false), BufferSize) { NewLine = "\n" };
    }

    /// <summary>Raised once, when the trace can't be written any more. The argument is what the host said.</summary>
    public event Action<string>? Lost;

    /// <inheritdoc />
    public void OnInstruction(Processor processor, ReadOnlySpan<byte> code)
    {
        ref ProcessorState state = ref processor.State;
        ulong retired = processor.Retired;
        _started |= state.Eip == _start.Address || retired >= _start.Retired;
        if (!_started || _isLost)
        {
            return;
        }

        try
        {
            Write(retired, ref state, code);
        }
        catch (IOException e)
        {
            _isLost = true;
            Lost?.Invoke(e.Message);
        }
    }

    /// <summary>Writes what is buffered.</summary>
    public void Dispose()
    {
        try
        {
            _writer.Dispose();
        }
        catch (IOException)
        {
            // Nobody reads the trace any more.
        }
    }

    private void Write(ulong retired, ref ProcessorState state, ReadOnlySpan<byte> code)
    {
        string bytes = Unfetched;
        if (!code.IsEmpty)
        {
            var decoder = Iced.Intel.Decoder.Create(Bits, code.ToArray());
            decoder.IP = state.Eip;
            Instruction instruction = decoder.Decode();
            _formatter.Format(instruction, _text);
            bytes = Convert.ToHexStringLower(code[..Math.Min(code.Length, instruction.Length)]);
        }

        _writer.WriteLine($"{retired,12} {state.Cpl} {state.Eip:x8} {bytes,-22} {_text.ToStringAndReset()}");
    }
}
