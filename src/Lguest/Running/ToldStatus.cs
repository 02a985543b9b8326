using System.Globalization;
using Lguest.Results.Matching;

namespace Lguest.Running;

/// <summary>
/// The status of a guest that tells it on its console: a line that ends with <c>lguest-status TOKEN N</c>. Who doesn't know the token
/// can't tell one, and the first that is told counts.
/// </summary>
internal sealed class ToldStatus
{
    /// <summary>The file that the guest finds the token in, which root alone may read.</summary>
    public const string File = "lguest-status-token";

    private const string Word = "lguest-status ";

    private readonly string _beginning;
    private readonly ConsoleText _text;

    /// <summary>Makes one.</summary>
    /// <param name="token">What only this guest's root knows.</param>
    public ToldStatus(string token)
    {
        _beginning = $"{Word}{token} ";
        _text = new ConsoleText(Read);
    }

    /// <summary>The status, 0 to 255; null while none has been told.</summary>
    public int? Status { get; private set; }

    /// <summary>Takes the next bytes of the console.</summary>
    public void Write(ReadOnlySpan<byte> bytes) => _text.Write(bytes);

    // A message of the kernel's may have been printed before it in the same line.
    private void Read(string line)
    {
        int at = line.IndexOf(_beginning, StringComparison.Ordinal);
        if (at >= 0 && byte.TryParse(line.AsSpan(at + _beginning.Length).TrimEnd(), NumberStyles.None, CultureInfo.InvariantCulture, out byte status))
        {
            Status ??= status;
        }
    }
}
