using System.Diagnostics;
using System.Globalization;
using Lguest.Mutations;
using Microsoft.Win32.SafeHandles;

// Puts faults into the processor, one at a time, and asks its tests whether they notice:
//
//     Lguest.Mutations [SEED [COUNT [FIRST [TEST OPTIONS...]]]]
//
// Build the tests before. The same seed chooses the same faults; FIRST skips so many of them. A fault that changes nothing
// anyone can see is told from a missing test by reading it, and once it has been, harmless.txt says so.
string[] folders = ["Instructions", "FloatingPoint", "Interpreter", "Memory", "State"];
int seed = Number(0, otherwise: 1);
int count = Number(1, otherwise: 100);
int first = Number(2, otherwise: 0);
string[] filters = [.. args.Skip(3)];
using var report = new StreamWriter(new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write)) { AutoFlush = true };

string root = AppContext.BaseDirectory;
while (!File.Exists(Path.Combine(root, "Lguest.sln")))
{
    root = Path.GetDirectoryName(root) ?? throw new InvalidOperationException("This isn't in a clone of the repository.");
}

var compiler = new MutantCompiler(root);
using var tester = new MutantTester(root);
Mutation[] all = [.. folders.SelectMany(compiler.FilesOf).OrderBy(tree => tree.FilePath, StringComparer.Ordinal).SelectMany(MutationSites.Find)];
var harmless = new HarmlessFaults(root);
if (harmless.FindStale(all.Select(mutation => mutation.GetChange(root))) is { } stale)
{
    report.WriteLine($"harmless.txt has a fault that can't be made any more: {stale.Path}, {stale.After}");
    return 1;
}

new Random(seed).Shuffle(all);
Mutation[] wanted = [.. all.Where(mutation => !harmless.Contains(mutation.GetChange(root)))];
report.WriteLine(
    $"{all.Length} possible faults, {all.Length - wanted.Length} known to be harmless; seed {seed}, {count} of the rest from number {first}.");

// Without a fault the tests must pass, or nothing that follows means anything.
long start = Stopwatch.GetTimestamp();
string? broken = compiler.TryCompile(tester.ProcessorPath)
    ? tester.FindFailure(TimeSpan.FromHours(1), filters)
    : "it doesn't compile";
if (broken is not null)
{
    report.WriteLine($"Without any fault the processor fails: {broken}.");
    return 1;
}

TimeSpan limit = (Stopwatch.GetElapsedTime(start) * 4) + TimeSpan.FromMinutes(2);
int caught = 0;
int tried = 0;
int number = 0;
foreach (Mutation mutation in wanted)
{
    if (tried == count)
    {
        break;
    }

    if (!compiler.TryCompile(mutation, tester.ProcessorPath) || number++ < first)
    {
        continue;
    }

    tried++;
    long began = Stopwatch.GetTimestamp();
    string? failure = tester.FindFailure(limit, filters);
    caught += failure is null ? 0 : 1;
    report.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{first + tried}: {mutation.Describe(root)}\n  {(failure is null ? "SURVIVED" : "caught: " + failure)} ({Stopwatch.GetElapsedTime(began).TotalSeconds:F0} s)"));
}

report.WriteLine($"{caught} of {tried} caught.");
return 0;

int Number(int index, int otherwise) =>
    args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : otherwise;
