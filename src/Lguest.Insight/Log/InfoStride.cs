using Lguest.Insight.Memory;

namespace Lguest.Insight.Log;

/// <summary>
/// How large a <c>struct printk_info</c> is. It depends on the kernel's configuration; but record <em>n</em> is always at a
/// place whose number has the low bits of <em>n</em>, so a wrong size shows.
/// </summary>
internal sealed class InfoStride
{
    /// <summary>With the device's names, as every kernel but the newest has it: 24 + 16 + 48 bytes.</summary>
    private const uint Usual = 88;

    private const uint Smallest = 24;
    private const uint Largest = 256;
    private const uint Step = 4;
    private const int Checked = 64;

    private uint _stride = Usual;
    private bool _known;

    /// <summary>The size, as far as the ring shows it yet.</summary>
    public uint Of(IGuestMemoryReader memory, in RingLayout layout)
    {
        if (layout.Fields.InfoSize is { } said)
        {
            return (uint)said;
        }

        if (_known)
        {
            return _stride;
        }

        if (Fits(memory, layout, Usual, out int seen))
        {
            // The first place alone is the same whatever the size is.
            _known = seen > 1;
            return Usual;
        }

        for (uint stride = Smallest; stride <= Largest; stride += Step)
        {
            if (Fits(memory, layout, stride, out _))
            {
                _known = true;
                _stride = stride;
                return stride;
            }
        }

        return Usual;
    }

    private static bool Fits(IGuestMemoryReader memory, in RingLayout layout, uint stride, out int seen)
    {
        seen = 0;
        uint held = (layout.HeadId - layout.TailId) & (layout.Count - 1);
        for (uint back = 0; back < Checked && back < held; back++)
        {
            uint index = layout.IndexOf(layout.HeadId - back);
            if (!memory.TryReadUInt64(layout.Infos + (index * stride), out ulong sequence) || (uint)sequence % layout.Count != index)
            {
                return false;
            }

            seen++;
        }

        return true;
    }
}
