using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// The linear page after the one that code is fetched from, translated only when an instruction reaches
/// into it: a fault there must not be raised for code that ends before.
/// </summary>
internal unsafe ref struct SecondPageSource(ProcessorState* state, uint linear, bool user)
{
    private bool _tried;
    private byte* _host;
    private uint _page;

    /// <summary>The fault that the translation ended in.</summary>
    public ExceptionInfo Fault;

    /// <summary>Whether the page was asked for and can't be fetched from.</summary>
    public readonly bool HasFaulted => _tried && _host == null;

    /// <summary>Translates, once.</summary>
    public bool TryGet(out byte* host, out uint page)
    {
        if (!_tried)
        {
            _tried = true;
            _host = MemoryAccess.Translate(state, linear, AccessKind.Execute, user, out ulong physical, out Fault);
            _page = (uint)(physical >> PhysicalMemory.PageShift);
        }

        host = _host;
        page = _page;
        return _host != null;
    }
}
