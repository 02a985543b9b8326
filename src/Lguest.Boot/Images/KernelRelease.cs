using System.Globalization;

namespace Lguest.Boot.Images;

/// <summary>A release of Linux: 2.6.23.17 is (2, 6, 23), and 6.1.176 is (6, 1, 176).</summary>
/// <param name="Major">The first number.</param>
/// <param name="Minor">The second.</param>
/// <param name="Patch">The third; 0 when there is none.</param>
public sealed record KernelRelease(int Major, int Minor, int Patch) : IComparable<KernelRelease>
{
    private const string BannerStart = "Linux version ";

    /// <summary>Reads the first word of a bzImage's version text, or of what follows "Linux version".</summary>
    /// <returns>Null when it doesn't begin with two numbers.</returns>
    public static KernelRelease? FromBanner(string? banner)
    {
        if (banner is null)
        {
            return null;
        }

        string text = banner.StartsWith(BannerStart, StringComparison.Ordinal) ? banner[BannerStart.Length..] : banner;
        string[] parts = text.Split('.', 4);
        return parts.Length >= 2 && Number(parts[0], whole: true) is { } major && Number(parts[1], whole: parts.Length > 2) is { } minor
            ? new KernelRelease(major, minor, parts.Length > 2 ? Number(parts[2], whole: false) ?? 0 : 0)
            : null;
    }

    /// <inheritdoc />
    public int CompareTo(KernelRelease? other) =>
        other is null ? 1
        : Major != other.Major ? Major.CompareTo(other.Major)
        : Minor != other.Minor ? Minor.CompareTo(other.Minor)
        : Patch.CompareTo(other.Patch);

    /// <summary>Whether this comes before another.</summary>
    public static bool operator <(KernelRelease left, KernelRelease right) => left.CompareTo(right) < 0;

    /// <summary>Whether this comes after another.</summary>
    public static bool operator >(KernelRelease left, KernelRelease right) => left.CompareTo(right) > 0;

    /// <summary>Whether this is another or comes before it.</summary>
    public static bool operator <=(KernelRelease left, KernelRelease right) => left.CompareTo(right) <= 0;

    /// <summary>Whether this is another or comes after it.</summary>
    public static bool operator >=(KernelRelease left, KernelRelease right) => left.CompareTo(right) >= 0;

    /// <inheritdoc />
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}.{Patch}");

    // The number that a text is, or begins with.
    private static int? Number(string text, bool whole)
    {
        int length = 0;
        while (length < text.Length && char.IsAsciiDigit(text[length]))
        {
            length++;
        }

        return (!whole || length == text.Length)
            && int.TryParse(text.AsSpan(0, length), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : null;
    }
}
