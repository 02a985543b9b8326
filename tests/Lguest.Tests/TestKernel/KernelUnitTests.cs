using System.Xml.Linq;
using Lguest.Results.Reports;
using Lguest.Tests.Insight;
using Lguest.TestSupport;
using static Lguest.Tests.TestKernel.TestKernelRun;

namespace Lguest.Tests.TestKernel;

/// <summary>KUnit in a real kernel that is quiet: what its tests say comes out of its log.</summary>
public sealed class KernelUnitTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tests_pass_and_are_skipped_one_by_one_and_nothing_is_wrong()
    {
        RunReport report = Run(ShippedImages.TestImage("vmlinux"));

        Assert.True(report.Outcome.ExitCode == 0 && report.Health.Count == 0, Describe(report));
        Assert.Empty(report.TestErrors);
        Assert.Equal("passed", Status(report, "example", "example_simple_test"));
        Assert.Equal("skipped", Status(report, "example", "example_skip_test"));
        Assert.Equal("passed", Status(report, "list_sort", "list_sort_test"));
        Assert.Equal(["passed", "skipped"], report.Tests.Select(test => test.Status).Distinct().Order(StringComparer.Ordinal));
        Assert.InRange(report.Tests.Count(test => !test.IsSuite), 60, 200);
    }

    [Fact]
    public void Nothing_of_it_runs_without_being_asked_for()
    {
        RunReport report = Command(_folder, "true", string.Empty, "--clock=virtual");

        Assert.True(report.Outcome.ExitCode == 0, Describe(report));
        Assert.Empty(report.Tests);
        Assert.Empty(report.Health);
    }

    [Fact]
    public void A_test_that_fails_makes_the_exit_code_1_although_the_kernel_ends_well()
    {
        string kernel = new SabotagedKernel(_folder, ShippedImages.TestImage("vmlinux")).WithCode("list_sort", 0xc3).Write();

        RunReport report = Run(kernel, "kunit.filter_glob=l*", $"--junit={_folder.Path("x")}");

        Assert.True(report.Outcome.ExitCode == 1 && report.Outcome.GuestStatus == 0, Describe(report));
        Assert.Equal("the kernel's test output says: list_sort.list_sort_test failed", report.Outcome.Sentence);
        Assert.Equal("failed", Status(report, "list_sort", "list_sort_test"));
        Assert.Equal("passed", Status(report, "lib_sort", "test_sort"));
        XElement failure = Assert.Single(XElement.Load(_folder.Path("x")).Descendants("failure"));
        Assert.Contains("lib/test_list_sort.c:", failure.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_crash_belongs_to_the_test_that_ran_and_those_after_it_have_not_run()
    {
        RunReport report = Run(Crashing(), "kunit.filter_glob=cmdline", "oops=panic", $"--junit={_folder.Path("x")}");

        Assert.True(report.Outcome.ExitCode == 100, Describe(report));
        Assert.Equal(["crashed", "notrun", "notrun", "notrun"], report.Tests.Where(test => !test.IsSuite).Select(test => test.Status));
        Assert.Equal("crashed", Status(report, "cmdline", "case 1"));
        Assert.StartsWith("oops/get_option/", report.Health[0].Fingerprint, StringComparison.Ordinal);
        Assert.All(report.Health, each => Assert.Equal("cmdline.case 1", each.RunningTest));
        Assert.Empty(XElement.Load(_folder.Path("x")).Descendants("failure"));
    }

    [Fact]
    public void A_crash_that_the_kernel_survives_counts_more_than_what_its_tests_say_afterwards()
    {
        RunReport report = Run(Crashing(), "kunit.filter_glob=cmdline");

        Assert.True(report.Outcome.ExitCode == 104 && report.Outcome.GuestStatus == 0, Describe(report));
        Assert.Equal(["failed", "failed", "failed", "failed"], report.Tests.Where(test => !test.IsSuite).Select(test => test.Status));
        Assert.Equal(4, report.Health.Sum(each => each.Occurrences));
        Assert.Contains("the kernel's test output says: cmdline.cmdline_test_noint failed", report.Outcome.Also!);
    }

    /// <summary>A kernel in which what reads numbers from command lines reads at address 8.</summary>
    private string Crashing() => new SabotagedKernel(_folder, ShippedImages.TestImage("vmlinux")).WithCode("get_option", 0x55, 0x89, 0xe5, 0xa1, 8, 0, 0, 0, 0xc9, 0xc3).Write();

    private RunReport Run(string kernel, params string[] arguments) =>
        Report(_folder, ["64m", kernel, "--clock=virtual", .. arguments, "quiet", "kunit.enable=1", "kunit_shutdown=poweroff"]);

    private static string Status(RunReport report, string suite, string name) =>
        Assert.Single(report.Tests, test => test.Suite == suite && test.Name == name).Status;
}
