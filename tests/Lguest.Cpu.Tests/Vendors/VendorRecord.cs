using System.Globalization;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>
/// What was recorded on one processor: a file in Vendors/Recorded, named for vendor, family and model. A line is a row of
/// the table, a case, and its result, with bars between them.
/// </summary>
internal sealed class VendorRecord
{
    private const char Separator = '|';
    private const char Comment = '#';

    private readonly SortedDictionary<(string Row, string Case), string> _results = [];

    private VendorRecord(HostVendor vendor) => Vendor = vendor;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<VendorRecord> All { get; } = [.. Directory.GetFiles(Folder, "*.txt").Order(StringComparer.Ordinal).Select(Load)];

    /// <summary>The processor.</summary>
    public HostVendor Vendor { get; }

    private static string Folder => Path.Combine(Documentation.Root, "tests", "Lguest.Cpu.Tests", "Vendors", "Recorded");

    private string FilePath => Path.Combine(
        Folder, string.Create(CultureInfo.InvariantCulture, $"{Vendor.Name}-{Vendor.Family}-{Vendor.Model}.txt"));

    /// <summary>The rows that something was recorded of.</summary>
    public IEnumerable<string> Rows => _results.Keys.Select(key => key.Row).Distinct();

    /// <summary>What was recorded of a processor; nothing, if it is a new one.</summary>
    public static VendorRecord Of(HostVendor vendor) => All.FirstOrDefault(record => record.Vendor == vendor) ?? new VendorRecord(vendor);

    /// <summary>What processors of a vendor did in a case; nothing if nobody has recorded it.</summary>
    public static IEnumerable<string> ResultsOf(string vendor, VendorCase which) => All
        .Where(record => record.Vendor.Name == vendor)
        .Select(record => record.Find(which))
        .OfType<string>();

    /// <summary>The result of a case, or null.</summary>
    public string? Find(VendorCase which) => _results.GetValueOrDefault((which.Row, which.Name));

    /// <summary>Replaces the result of a case.</summary>
    public void Set(VendorCase which, string result) => _results[(which.Row, which.Name)] = result;

    /// <summary>Results of what isn't a case any more.</summary>
    public IEnumerable<(string Row, string Case)> Leftovers => _results.Keys.Except(VendorCase.All.Select(one => (one.Row, one.Name)));

    /// <summary>Writes the file, without leftovers.</summary>
    public void Save() => File.WriteAllLines(
        FilePath,
        [
            $"{Comment} {Vendor}",
            .. _results.ExceptBy(Leftovers, entry => entry.Key)
                .Select(entry => $"{entry.Key.Row} {Separator} {entry.Key.Case} {Separator} {entry.Value}"),
        ]);

    private static VendorRecord Load(string path)
    {
        string[] parts = Path.GetFileNameWithoutExtension(path).Split('-');
        var record = new VendorRecord(new HostVendor(
            parts[0], int.Parse(parts[1], CultureInfo.InvariantCulture), int.Parse(parts[2], CultureInfo.InvariantCulture)));
        foreach (string line in File.ReadLines(path).Where(line => line.Length > 0 && line[0] != Comment))
        {
            string[] words = line.Split(Separator, StringSplitOptions.TrimEntries);
            record._results[(words[0], words[1])] = words[2];
        }

        return record;
    }
}
