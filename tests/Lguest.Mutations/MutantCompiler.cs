using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;

namespace Lguest.Mutations;

/// <summary>Compiles the processor with a fault in it, in this process: a second rather than the ten of a build.</summary>
internal sealed class MutantCompiler
{
    private const string Project = "src/Lguest.Cpu";

    private readonly CSharpCompilation _original;
    private readonly string _sources;

    /// <summary>Asks the build how it would compile the processor, even if nothing has changed.</summary>
    /// <param name="root">The clone.</param>
    public MutantCompiler(string root)
    {
        _sources = Path.Combine(root, Project);
        string generated = Path.Combine(_sources, "obj", "mutations");
        Run(root, "build", "-p:EmitCompilerGeneratedFiles=true", $"-p:CompilerGeneratedFilesOutputPath={generated}", "--no-incremental");
        CSharpCommandLineArguments arguments = CSharpCommandLineParser.Default.Parse(
            ReadArguments(Run(root, "msbuild", "-p:SkipCompilerExecution=true", "-p:ProvideCommandLineArgs=true",
                "-p:NonExistentFile=none", "-t:Compile", "-getItem:CscCommandLineArgs")),
            _sources,
            sdkDirectory: null);
        IEnumerable<string> files = arguments.SourceFiles.Select(file => file.Path)
            .Concat(Directory.EnumerateFiles(generated, "*.cs", SearchOption.AllDirectories));
        _original = CSharpCompilation.Create(
            arguments.CompilationName,
            files.Select(path => Parse(path, arguments.ParseOptions)),
            arguments.MetadataReferences.Select(reference => MetadataReference.CreateFromFile(reference.Reference)),
            arguments.CompilationOptions.WithGeneralDiagnosticOption(ReportDiagnostic.Default));
        Directory.Delete(generated, recursive: true);
    }

    /// <summary>The files of a folder of the processor.</summary>
    public IEnumerable<SyntaxTree> FilesOf(string folder)
    {
        string prefix = Path.Combine(_sources, folder) + Path.DirectorySeparatorChar;
        return _original.SyntaxTrees.Where(tree => tree.FilePath.StartsWith(prefix, StringComparison.Ordinal));
    }

    /// <summary>Compiles without a fault, to a file.</summary>
    /// <returns>False when that is impossible.</returns>
    public bool TryCompile(string path) => TryEmit(_original, path);

    /// <summary>Compiles with a fault, to a file.</summary>
    /// <returns>False when the fault is one that the compiler finds.</returns>
    public bool TryCompile(Mutation mutation, string path) =>
        TryEmit(_original.ReplaceSyntaxTree(mutation.Tree, mutation.Apply()), path);

    private static bool TryEmit(CSharpCompilation compilation, string path)
    {
        using FileStream stream = File.Create(path);
        return compilation.Emit(stream).Success;
    }

    private static SyntaxTree Parse(string path, CSharpParseOptions options) =>
        CSharpSyntaxTree.ParseText(SourceText.From(File.ReadAllText(path), System.Text.Encoding.UTF8), options, path);

    private static ImmutableArray<string> ReadArguments(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return [.. document.RootElement.GetProperty("Items").GetProperty("CscCommandLineArgs").EnumerateArray()
            .Select(item => item.GetProperty("Identity").GetString()!)];
    }

    private static string Run(string root, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = root, RedirectStandardOutput = true };
        start.ArgumentList.Add(arguments[0]);
        start.ArgumentList.Add(Path.Combine(Project, "Lguest.Cpu.csproj"));
        start.ArgumentList.Add("-p:Configuration=Release");
        start.ArgumentList.Add("-m:1");
        foreach (string argument in arguments.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException("dotnet can't be started.");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"The processor doesn't build:\n{output}");
    }
}
