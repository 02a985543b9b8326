using Lguest.Cpu.Instructions;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>
/// What processors of different vendors do differently: the table, what was recorded, this host's processor and ours. With
/// LGUEST_RECORD_VENDOR=1, what the host's does is recorded.
/// </summary>
[ResultsUnchecked]
public sealed class VendorTests
{
    private const string Variable = "LGUEST_RECORD_VENDOR";

    public static TheoryData<string> Rows() => [.. VendorDifferences.All.Select(row => row.Name)];

    [Theory]
    [MemberData(nameof(Rows))]
    public void A_row_says_that_nobody_has_recorded_it_when_that_is_so(string name)
    {
        VendorDifference row = Row(name);
        Assert.Equal(row.Amd != VendorDifferences.NotRecorded, IsRecorded(HostVendor.Amd, name));
        Assert.Equal(row.Intel != VendorDifferences.NotRecorded, IsRecorded(HostVendor.Intel, name));
        Assert.Equal(row.Choice == VendorChoice.Own, row.Own is not null);
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Ours_does_what_its_row_says(string name)
    {
        VendorDifference row = Row(name);
        bool differs = false;
        foreach (VendorCase one in CasesOf(name))
        {
            string ours = one.OnOurs();
            string[] amd = [.. VendorRecord.ResultsOf(HostVendor.Amd, one)];
            string[] intel = [.. VendorRecord.ResultsOf(HostVendor.Intel, one)];
            string[] chosen = row.Choice switch { VendorChoice.Intel => intel, VendorChoice.Amd => amd, _ => [] };
            Assert.True(chosen.Length == 0 || chosen.Contains(ours), $"{one}: {ours}, recorded {string.Join(" or ", chosen)}");
            differs |= (row.Choice == VendorChoice.Intel ? amd : intel.Concat(amd)).Any(result => result != ours);
        }

        Assert.True(differs || row.Choice == VendorChoice.Amd, $"In no case of '{name}' anything differs.");
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void The_host_does_what_its_vendor_does(string name)
    {
        HostVendor? host = HostVendor.Current;
        Assert.SkipWhen(host is null, "This host's processor isn't x86-64: there is nothing to compare with.");
        foreach (VendorCase one in CasesOf(name))
        {
            string? actual = one.OnHost();
            string[] recorded = [.. host.Name is HostVendor.Amd or HostVendor.Intel
                ? VendorRecord.ResultsOf(host.Name, one)
                : VendorRecord.ResultsOf(HostVendor.Amd, one).Concat(VendorRecord.ResultsOf(HostVendor.Intel, one))];
            if (actual is null || recorded.Length == 0)
            {
                TestContext.Current.TestOutputHelper?.WriteLine($"{one}: {actual ?? "can't be tried"}; nobody has recorded it for {host}");
                continue;
            }

            Assert.True(recorded.Contains(actual), $"{one}: {actual} on {host}, recorded {string.Join(" or ", recorded)}");
        }
    }

    [Fact]
    public void What_the_host_does_can_be_recorded()
    {
        HostVendor? host = HostVendor.Current;
        Assert.SkipWhen(host is null, "This host's processor isn't x86-64: there is nothing to compare with.");
        VendorRecord record = VendorRecord.Of(host);
        int known = 0;
        foreach (VendorCase one in VendorCase.All)
        {
            if (one.OnHost() is { } result)
            {
                record.Set(one, result);
                known++;
            }
        }

        Assert.True(known > 0 || !Native.NativeProcessor.CatchesFaults, "Nothing could be tried.");
        if (Environment.GetEnvironmentVariable(Variable) == "1")
        {
            record.Save();
        }
    }

    [Fact]
    public void Every_recorded_case_is_one_of_a_row()
    {
        string[] names = [.. VendorDifferences.All.Select(row => row.Name)];
        Assert.All(VendorRecord.All, record => Assert.Empty(record.Leftovers));
        Assert.Empty(VendorCase.All.Select(one => one.Row).Distinct().Except(names));
        Assert.Equal(VendorCase.All.Count, VendorCase.All.Select(one => one.ToString()).Distinct().Count());
    }

    private static VendorDifference Row(string name) => VendorDifferences.All.Single(row => row.Name == name);

    private static IEnumerable<VendorCase> CasesOf(string name) => VendorCase.All.Where(one => one.Row == name);

    private static bool IsRecorded(string vendor, string row) =>
        VendorRecord.All.Any(record => record.Vendor.Name == vendor && record.Rows.Contains(row));
}
