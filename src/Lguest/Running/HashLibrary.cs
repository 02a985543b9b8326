using System.Runtime.InteropServices;
using Lguest.Boot;

namespace Lguest.Running;

/// <summary>
/// The library that .NET's SHA-256 is in: OpenSSL's libssl brings it. Where there is none, the runtime ends the process at the first hash, without an exception.
/// </summary>
internal static class HashLibrary
{
    // Those that .NET looks for, in its order, after one that a variable names.
    private static readonly string[] Names =
    [
        $"libssl.so.{Environment.GetEnvironmentVariable("CLR_OPENSSL_VERSION_OVERRIDE")}",
        "libssl.so.3",
        "libssl.so.1.1",
        "libssl.so.1.0.2",
        "libssl.so.1.0.0",
        "libssl.so.10",
    ];

    private static readonly Lazy<bool> IsThere = new(() => Names.Any(name => NativeLibrary.TryLoad(name, out _)));

    /// <summary>Sees to it that hashes can be made.</summary>
    /// <exception cref="BootException">They can't.</exception>
    public static void Require()
    {
        if (!IsThere.Value)
        {
            throw new BootException("reports, saved states and suites need hashes, and those OpenSSL's libssl.so.3, which is not on this host: install it (Debian: libssl3)");
        }
    }
}
