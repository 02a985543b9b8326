using System.Buffers.Binary;
using System.Security.Cryptography;
using Lguest.Devices.Backends;
using Lguest.Host;

namespace Lguest.Running;

/// <summary>What a guest's random numbers begin with.</summary>
internal static class RandomSeed
{
    private const int Size = 32;
    private const string LinuxSource = "/dev/urandom";

    /// <summary>Makes the bytes.</summary>
    /// <param name="seed">What the user wants them to come from; null for no wish.</param>
    /// <param name="clock">Without a wish, a run in virtual time has the same bytes each time, and one in real time has its own.</param>
    public static byte[] Bytes(ulong? seed, ClockKind clock)
    {
        byte[] bytes = new byte[Size];
        if (seed is not null || clock == ClockKind.Virtual)
        {
            Expand(seed ?? 0, bytes);
        }
        else if (OperatingSystem.IsLinux())
        {
            // The framework's would load a library for it.
            using Stream source = HostFile.OpenForReading(LinuxSource);
            source.ReadExactly(bytes);
        }
        else
        {
            RandomNumberGenerator.Fill(bytes);
        }

        return bytes;
    }

    /// <summary>SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).</summary>
    private static void Expand(ulong state, Span<byte> bytes)
    {
        for (; !bytes.IsEmpty; bytes = bytes[sizeof(ulong)..])
        {
            state += 0x9e37_79b9_7f4a_7c15;
            ulong mixed = (state ^ (state >> 30)) * 0xbf58_476d_1ce4_e5b9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d0_49bb_1331_11eb;
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, mixed ^ (mixed >> 31));
        }
    }
}
