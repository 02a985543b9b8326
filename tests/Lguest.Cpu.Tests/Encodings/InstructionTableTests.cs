using Lguest.Cpu.Tests.Native;
using Lguest.Cpu.Tests.Unicorn;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>docs/instructions.md: every encoding, what becomes of it here, and the tests that were seen to cover it.</summary>
public sealed class InstructionTableTests
{
    private const string Document = "instructions.md";
    [Fact]
    public void Every_encoding_is_covered_and_the_documentation_says_by_what()
    {
        Assert.SkipWhen(TestEngine.Current != Engine.Interpreter, "This is the run that another one records.");
        Assert.SkipUnless(
            NativeProcessor.CatchesFaults, "Many tests compare with an x86-64 processor on Linux: without one, less is covered.");
        UnicornProcessor.SkipUnlessInstalled();
        string path = Path.GetTempFileName();
        try
        {
            TestProcess.RunAll("traced", path);
            var table = new InstructionTable(ExecutionRecord.Read(path));
            string[] uncovered = [.. table.Uncovered];
            Assert.True(uncovered.Length == 0, $"No test covers\n{string.Join('\n', uncovered)}");
            Documentation.AssertUpToDate(Document, table.Render());
        }
        finally
        {
            File.Delete(path);
        }
    }
}
