using System.Diagnostics;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>eng/new-op finds every place in which an op is named, as they are now.</summary>
public sealed partial class NewOpTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_new_op_stands_wherever_Add_stands()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("eng/new-op is a script of bash.");
        foreach (string file in Sources().Append(Repository.Path("eng", "new-op")))
        {
            string copy = Path.Combine(_folder.Path, Path.GetRelativePath(Repository.Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        (int code, string output) = NewOp("ScaleAdd");

        Assert.True(code == 0, output);
        Assert.Equal(Places("Add", "add"), Places("ScaleAdd", "scale_add"));
        (code, output) = NewOp("ScaleAdd");
        Assert.True(code == 1 && output.Contains("there is an op ScaleAdd already", StringComparison.Ordinal), output);
        Assert.Equal(2, NewOp("scale-add").Code);
    }

    /// <summary>The files that hold an op: the compiler and the conformance tests ask for each of them. AddNorm is made of Add.</summary>
    private static IEnumerable<string> Sources() =>
        from folder in (string[])["src/LdlVk.Runtime/Devices", "src/LdlVk.Cpu", "src/LdlVk.Vulkan", "src/LdlVk.DirectML", "src/LdlVk.SelfTest", "tests/LdlVk.Tests", "tests/LdlVk.Testing", "tests/LdlVk.Conformance", "shaders"]
        from file in Directory.EnumerateFiles(Repository.Path(folder), "*", SearchOption.AllDirectories)
        where Path.GetExtension(file) is ".cs" or ".comp" && !BuildOutput().IsMatch(file) && Path.GetFileName(file) != "AddNormOp.cs"
        select file;

    /// <summary>How often each file of the copy names an op, with the name taken out.</summary>
    private string[] Places(string name, string kernel) =>
    [
        .. from file in Directory.EnumerateFiles(_folder.Path, "*.cs", SearchOption.AllDirectories)
                .Concat(Directory.EnumerateFiles(_folder.Path, "*.comp", SearchOption.AllDirectories))
           let count = Regex.Count(File.ReadAllText(file), $@"\b{name}Op\b|void {name}\((ITensor|ICheckedDevice)|(Ops|Reference64|OpChecks|IDevice)\.{name}\b|""{name}[,""]|""{name} on |\b{kernel}\.comp\b|\(""{kernel}""")
           where count > 0
           let place = $"{Path.GetRelativePath(_folder.Path, file)} {count}".Replace($"/{name}Op.cs", "/*Op.cs", StringComparison.Ordinal).Replace($"/{kernel}.comp", "/*.comp", StringComparison.Ordinal)
           orderby place
           select place
    ];

    private (int Code, string Output) NewOp(string name)
    {
        using Process process = Process.Start(new ProcessStartInfo("/bin/bash", [Path.Combine(_folder.Path, "eng", "new-op"), name])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.Result;
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    [GeneratedRegex(@"[/\\](bin|obj)[/\\]")]
    private static partial Regex BuildOutput();
}
