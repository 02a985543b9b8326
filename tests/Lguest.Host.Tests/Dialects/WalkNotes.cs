using System.Text;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a kernel notes in its memory as it goes, and what it should have noted.</summary>
public sealed class WalkNotes
{
    /// <summary>What a note is until the kernel gets there.</summary>
    private const uint NotReached = 0xdead_0bad;

    private readonly List<(string What, Func<uint, string?> Complaint)> _notes = [];

    /// <summary>What the kernel is about.</summary>
    public string Step { get; set; } = "";

    /// <summary>Adds a note; where the kernel writes it.</summary>
    /// <param name="what">What is noted.</param>
    /// <param name="complaint">Null for a value that is right; otherwise what it should be.</param>
    public uint Add(string what, Func<uint, string?> complaint)
    {
        _notes.Add(($"{Step}: {what}", complaint));
        return DialectGuest.Results + ((uint)(_notes.Count - 1) * 4);
    }

    public void Clear(DialectGuest guest)
    {
        for (int i = 0; i < _notes.Count; i++)
        {
            guest.Write(DialectGuest.Results + ((uint)i * 4), NotReached);
        }
    }

    /// <summary>Compares everything; a kernel that ended early has a first note that it did not reach.</summary>
    public void Verify(DialectGuest guest, GuestOutcome expected, GuestOutcome outcome)
    {
        var wrong = new StringBuilder();
        for (int i = 0; i < _notes.Count; i++)
        {
            uint value = guest.Read(DialectGuest.Results + ((uint)i * 4));
            if (value == NotReached && outcome != expected)
            {
                wrong.Append("not reached: ").AppendLine(_notes[i].What);
                break;
            }

            if (_notes[i].Complaint(value) is string complaint)
            {
                wrong.Append(_notes[i].What).Append(": 0x").Append($"{value:x8}").Append(", not ").AppendLine(complaint);
            }
        }

        if (outcome != expected)
        {
            wrong.Append(outcome).Append(", not ").Append(expected).AppendLine();
        }

        Assert.True(wrong.Length == 0, wrong.ToString());
    }
}
