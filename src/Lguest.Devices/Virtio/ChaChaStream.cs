using System.Buffers.Binary;
using System.Numerics;

namespace Lguest.Devices.Virtio;

/// <summary>The key stream of ChaCha20 (RFC 8439, 2.3), with a nonce of zero and a counter of 64 bits, as its author had it.</summary>
internal sealed class ChaChaStream
{
    private const int KeySize = 32;
    private const int Words = 16;
    private const int KeyStart = 4;
    private const int CounterLow = 12;
    private const int CounterHigh = 13;
    private const int DoubleRounds = 10;
    private const int BlockSize = Words * sizeof(uint);

    private readonly uint[] _state = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// <summary>Begins a stream.</summary>
    /// <param name="key">Of these, the first 32 bytes; what is missing is zero.</param>
    public ChaChaStream(ReadOnlySpan<byte> key)
    {
        Span<byte> whole = stackalloc byte[KeySize];
        whole.Clear();
        key[..Math.Min(key.Length, KeySize)].CopyTo(whole);
        for (int i = 0; i < KeySize / sizeof(uint); i++)
        {
            _state[KeyStart + i] = BinaryPrimitives.ReadUInt32LittleEndian(whole[(i * sizeof(uint))..]);
        }
    }

    /// <summary>Blocks that have been used.</summary>
    public ulong Position
    {
        get => _state[CounterLow] | ((ulong)_state[CounterHigh] << 32);
        set => (_state[CounterLow], _state[CounterHigh]) = ((uint)value, (uint)(value >> 32));
    }

    /// <summary>Fills a span with whole blocks, and what the last one has over is dropped.</summary>
    public void Fill(Span<byte> destination)
    {
        Span<uint> mixed = stackalloc uint[Words];
        Span<byte> block = stackalloc byte[BlockSize];
        while (!destination.IsEmpty)
        {
            _state.CopyTo(mixed);
            for (int i = 0; i < DoubleRounds; i++)
            {
                QuarterRound(mixed, 0, 4, 8, 12);
                QuarterRound(mixed, 1, 5, 9, 13);
                QuarterRound(mixed, 2, 6, 10, 14);
                QuarterRound(mixed, 3, 7, 11, 15);
                QuarterRound(mixed, 0, 5, 10, 15);
                QuarterRound(mixed, 1, 6, 11, 12);
                QuarterRound(mixed, 2, 7, 8, 13);
                QuarterRound(mixed, 3, 4, 9, 14);
            }

            for (int i = 0; i < Words; i++)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(block[(i * sizeof(uint))..], mixed[i] + _state[i]);
            }

            Position++;
            int length = Math.Min(destination.Length, BlockSize);
            block[..length].CopyTo(destination);
            destination = destination[length..];
        }
    }

    private static void QuarterRound(Span<uint> x, int a, int b, int c, int d)
    {
        x[a] += x[b];
        x[d] = BitOperations.RotateLeft(x[d] ^ x[a], 16);
        x[c] += x[d];
        x[b] = BitOperations.RotateLeft(x[b] ^ x[c], 12);
        x[a] += x[b];
        x[d] = BitOperations.RotateLeft(x[d] ^ x[a], 8);
        x[c] += x[d];
        x[b] = BitOperations.RotateLeft(x[b] ^ x[c], 7);
    }
}
