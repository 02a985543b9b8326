namespace Lguest.Devices.Backends;

/// <summary>
/// Watches for ^], after which the next key is for lguest and not for the guest. A second ^] is the guest's, and after an s
/// comes a letter for Linux's SysRq.
/// </summary>
/// <param name="pressed">Is told of each key of lguest's, and of ^] itself.</param>
internal sealed class EscapeKey(Action<char> pressed)
{
    /// <summary>^], as it opens the menu.</summary>
    public const char Escape = '\u001d';

    /// <summary>What stands for the Break before a SysRq on a console of hvc (Linux, drivers/tty/hvc/hvc_console.c): ^O.</summary>
    private const byte Break = 0x0f;
    private const char SysRq = 's';

    private readonly List<byte> _passed = [];
    private State _state;

    private enum State
    {
        Outside,
        Menu,
        SysRq,
    }

    /// <summary>Takes lguest's own keys out of input that has just arrived.</summary>
    /// <returns>What the guest gets.</returns>
    public byte[] Filter(ReadOnlySpan<byte> input)
    {
        _passed.Clear();
        foreach (byte key in input)
        {
            Take(key);
        }

        return [.. _passed];
    }

    private void Take(byte key)
    {
        State before = _state;
        _state = State.Outside;
        switch (before)
        {
            case State.Outside when key == Escape:
                _state = State.Menu;
                pressed(Escape);
                break;
            case State.Outside:
                _passed.Add(key);
                break;
            case State.Menu when key == Escape:
                _passed.Add(key);
                break;
            case State.Menu:
                _state = key == SysRq ? State.SysRq : State.Outside;
                pressed((char)key);
                break;
            default:
                _passed.AddRange([Break, key]);
                break;
        }
    }
}
