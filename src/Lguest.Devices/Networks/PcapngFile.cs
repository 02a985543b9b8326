using System.Buffers.Binary;
using System.Text;
using Lguest.Devices.Backends;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Networks;

/// <summary>A file of recorded frames for Wireshark and its like: pcapng, with an interface for each network.</summary>
/// <remarks>
/// Every block is written at once and whole, with one call and no buffer, so that the file is complete up to the last frame
/// however the run ends, and a pipe shows frames as they come. The first error ends the recording and not the guest. All is
/// done by one thread.
/// </remarks>
public sealed class PcapngFile : IDisposable
{
    private const uint SectionHeaderBlock = 0x0a0d0d0a;
    private const uint InterfaceDescriptionBlock = 1;
    private const uint EnhancedPacketBlock = 6;
    private const uint ByteOrderMagic = 0x1a2b3c4d;
    private const ushort Major = 1;
    private const ushort Minor = 0;
    private const long UnknownLength = -1;
    private const ushort Ethernet = 1;

    private const ushort EndOfOptions = 0;
    private const ushort ApplicationOption = 4;
    private const ushort NameOption = 2;
    private const ushort ResolutionOption = 9;
    private const ushort FlagsOption = 2;
    private const uint FlagInbound = 1;
    private const uint FlagOutbound = 2;

    /// <summary>Time stamps count 10 to the power of -7 of a second, as .NET does.</summary>
    private const byte Resolution = 7;
    private const int Alignment = 4;

    /// <summary>Room for a longest frame and all that is around it.</summary>
    private const int LongestBlock = IPacketPort.LongestSegment + 128;

    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly byte[] _block = new byte[LongestBlock];
    private int _used;
    private long _length;
    private uint _interfaces;
    private bool _hasFailed;

    private PcapngFile(string path, SafeFileHandle file, TimeProvider time, ILogger logger)
    {
        _path = path;
        _file = file;
        _time = time;
        _logger = logger;
    }

    /// <summary>Creates a file, or empties one that is there.</summary>
    /// <param name="path">A file, or a named pipe.</param>
    /// <param name="time">Stamps frames.</param>
    /// <param name="logger">Hears of the first error.</param>
    /// <exception cref="BackendException">The file can't be created.</exception>
    public static PcapngFile Create(string path, TimeProvider time, ILogger logger)
    {
        try
        {
            var file = new PcapngFile(
                path, HostFile.Create(path), time, logger);
            file.WriteHeader();
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new BackendException(
                $"--pcap={path}: the file cannot be created ({e.Message.TrimEnd('.')}): give one in a folder that you may write", e);
        }
    }

    /// <summary>Adds a network.</summary>
    /// <param name="name">What the guest calls it: eth0.</param>
    public IFrameRecorder AddInterface(string name)
    {
        Begin(InterfaceDescriptionBlock);
        Append16(Ethernet);
        Append16(0);
        Append32(IPacketPort.LongestSegment);
        AppendOption(NameOption, Encoding.UTF8.GetBytes(name));
        AppendOption(ResolutionOption, [Resolution]);
        AppendOption(EndOfOptions, []);
        End();
        return new Recorder(this, _interfaces++);
    }

    /// <inheritdoc />
    public void Dispose() => _file.Dispose();

    private void WriteHeader()
    {
        Begin(SectionHeaderBlock);
        Append32(ByteOrderMagic);
        Append16(Major);
        Append16(Minor);
        BinaryPrimitives.WriteInt64LittleEndian(Room(sizeof(long)), UnknownLength);
        AppendOption(ApplicationOption, "lguest"u8);
        AppendOption(EndOfOptions, []);
        End();
    }

    private void WriteFrame(uint number, bool sent, ReadOnlySpan<byte> frame)
    {
        if (_hasFailed)
        {
            return;
        }

        ulong ticks = (ulong)(_time.GetUtcNow().UtcTicks - DateTimeOffset.UnixEpoch.Ticks);
        Span<byte> flags = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(flags, sent ? FlagOutbound : FlagInbound);
        Begin(EnhancedPacketBlock);
        Append32(number);
        Append32((uint)(ticks >> 32));
        Append32((uint)ticks);
        Append32((uint)frame.Length);
        Append32((uint)frame.Length);
        AppendPadded(frame);
        AppendOption(FlagsOption, flags);
        AppendOption(EndOfOptions, []);
        End();
    }

    private void Begin(uint type)
    {
        _used = 0;
        Append32(type);
        Append32(0);
    }

    /// <summary>Writes the block, whose length stands before and after its body.</summary>
    private void End()
    {
        int length = _used + sizeof(uint);
        Append32((uint)length);
        BinaryPrimitives.WriteInt32LittleEndian(_block.AsSpan(sizeof(uint)), length);
        if (_hasFailed)
        {
            return;
        }

        try
        {
            HostFile.Write(_file, _block.AsSpan(0, length), _length);
            _length += length;
        }
        catch (IOException e)
        {
            GiveUp(e);
        }
    }

    private void GiveUp(IOException error)
    {
        _hasFailed = true;
        BackendLog.RecordingEnded(_logger, _path, error.Message);
        try
        {
            RandomAccess.SetLength(_file, _length);
        }
        catch (Exception e) when (e is IOException or NotSupportedException)
        {
            // A pipe has no length.
        }
    }

    private void AppendOption(ushort code, ReadOnlySpan<byte> value)
    {
        Append16(code);
        Append16((ushort)value.Length);
        AppendPadded(value);
    }

    private void AppendPadded(ReadOnlySpan<byte> value)
    {
        Span<byte> room = Room((value.Length + Alignment - 1) / Alignment * Alignment);
        value.CopyTo(room);
        room[value.Length..].Clear();
    }

    private void Append16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Room(sizeof(ushort)), value);

    private void Append32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Room(sizeof(uint)), value);

    private Span<byte> Room(int length)
    {
        Span<byte> room = _block.AsSpan(_used, length);
        _used += length;
        return room;
    }

    /// <summary>One network's way into the file.</summary>
    private sealed class Recorder(PcapngFile file, uint number) : IFrameRecorder
    {
        public void Record(bool sent, ReadOnlySpan<byte> frame) => file.WriteFrame(number, sent, frame);
    }
}
