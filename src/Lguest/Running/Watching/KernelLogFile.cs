using System.Globalization;
using System.Text;
using Lguest.Devices.Backends;
using Lguest.Insight.Log;

namespace Lguest.Running.Watching;

/// <summary>
/// The kernel's log in a file, as <c>dmesg --raw</c> shows it. It is the host's as soon as it is written here, so that it survives the end
/// of this process, whatever that is.
/// </summary>
internal sealed class KernelLogFile : IDisposable
{
    private const int FacilityShift = 3;

    private readonly string _path;
    private readonly FileStream _file;
    private readonly StringBuilder _text = new();
    private bool _isLost;

    private KernelLogFile(string path, FileStream file)
    {
        _path = path;
        _file = file;
    }

    /// <summary>Raised once, when the file can't be written any more: a sentence that says so.</summary>
    public event Action<string>? Lost;

    /// <summary>Creates the file, or empties it.</summary>
    /// <exception cref="BackendException">It can't be written.</exception>
    public static KernelLogFile Create(string path)
    {
        try
        {
            return new KernelLogFile(path, new FileStream(HostFile.Create(path), FileAccess.Write, bufferSize: 0));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new BackendException($"the kernel's log can't be written to '{path}': {e.Message.TrimEnd('.')}", e);
        }
    }

    /// <summary>Appends records.</summary>
    /// <param name="records">What has come.</param>
    /// <param name="lost">How many were overwritten before it.</param>
    public void Append(IReadOnlyList<KernelRecord> records, ulong lost)
    {
        if (_isLost)
        {
            return;
        }

        _text.Clear();
        if (lost > 0)
        {
            _text.Append(CultureInfo.InvariantCulture, $"-- here the kernel has overwritten {lost} of its log before it could be read --\n");
        }

        foreach (KernelRecord record in records)
        {
            int priority = ((record.Facility ?? KernelRecord.KernelFacility) << FacilityShift) | record.Level;
            foreach (string line in record.ToString().Split('\n'))
            {
                _text.Append(CultureInfo.InvariantCulture, $"<{priority}>{line}\n");
            }
        }

        try
        {
            _file.Write(Encoding.UTF8.GetBytes(_text.ToString()));
        }
        catch (IOException e)
        {
            _isLost = true;
            Lost?.Invoke($"ended because the kernel's log can't be written to '{_path}': {e.Message.TrimEnd('.')}");
        }
    }

    /// <inheritdoc />
    public void Dispose() => _file.Dispose();
}
