using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Vulkan.Tests;

/// <summary>The committed SPIR-V is what eng/spirv makes of the shaders.</summary>
[Trait("Duration", "Long")]
public sealed partial class SpirvTests
{
    private static readonly string Shaders = Repository.Path("shaders"), Spirv = Repository.Path("shaders", "spirv");

    /// <summary>Fails if a shader or an include was edited and eng/spirv was not run.</summary>
    [Fact]
    public void The_kernels_are_compiled_from_the_current_sources()
    {
        string[] expected = [.. Kernels(Shaders, ".comp").Select(name => $"{name} {SourceDigest(name)} {Digest(File.ReadAllBytes(Path.Combine(Spirv, name + ".spv")))}")];
        string[] stale = [.. expected.Except(File.ReadAllLines(Path.Combine(Spirv, "SOURCES"))).Select(line => line.Split(' ')[0])];
        Assert.True(stale.Length == 0, $"shaders/spirv is not what the shaders say for {string.Join(", ", stale)}: run eng/spirv and commit what it changes.");
        Assert.Equal(expected, File.ReadAllLines(Path.Combine(Spirv, "SOURCES")));
    }

    /// <summary>No kernel is missing or superfluous, and those in the assembly are the committed ones.</summary>
    [Fact]
    public void The_assembly_embeds_the_committed_kernels()
    {
        string[] names = Kernels(Shaders, ".comp");
        Assert.NotEmpty(names);
        Assert.Equal(names, Kernels(Spirv, ".spv"));
        Assert.Equal(names, typeof(VulkanBackend).Assembly.GetManifestResourceNames().Order(StringComparer.Ordinal));
        foreach (string name in names)
        {
            using Stream resource = typeof(VulkanBackend).Assembly.GetManifestResourceStream(name)!;
            byte[] embedded = new byte[resource.Length];
            resource.ReadExactly(embedded);
            Assert.Equal(File.ReadAllBytes(Path.Combine(Spirv, name + ".spv")), embedded);
        }
    }

    /// <summary>The compiler that made the committed kernels makes the same bytes again.</summary>
    [Fact]
    public async Task The_lab_compiles_the_same_bytes()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("LDLVK_LAB") == "1", "compiles the kernels in the lab (eng/lab) only");
        (string version, _) = await Run("glslc", "--version");
        string committed = await File.ReadAllTextAsync(Path.Combine(Spirv, "COMPILER"), TestContext.Current.CancellationToken);
        Assert.SkipUnless(version == committed, $"the lab's compiler is {version.Split('\n')[0]}, the committed kernels are from {committed.Split('\n')[0]}");

        DirectoryInfo folder = Directory.CreateTempSubdirectory("ldlvk-spirv");
        try
        {
            (string output, int exitCode) = await Run(Repository.Path("eng", "spirv"), "--to", folder.FullName);
            Assert.True(exitCode == 0, output);
            Assert.Equal(FileNames(Spirv), FileNames(folder.FullName));
            foreach (string name in FileNames(Spirv))
                Assert.True(
                    File.ReadAllBytes(Path.Combine(Spirv, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder.FullName, name))),
                    $"shaders/spirv/{name} is not what {committed.Split('\n')[0]} makes of the shaders: run eng/spirv and commit what it changes.");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string[] Kernels(string folder, string extension) =>
        [.. Directory.GetFiles(folder, "*" + extension).Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal)];

    private static string[] FileNames(string folder) => [.. Directory.GetFiles(folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    /// <summary>The digest that eng/spirv records: of that script, the shader and its includes, by name.</summary>
    private static string SourceDigest(string name)
    {
        string shader = Path.Combine(Shaders, name + ".comp");
        SortedSet<string> included = new(StringComparer.Ordinal);
        Include(shader);
        return Digest([.. new[] { Repository.Path("eng", "spirv"), shader }.Concat(included).SelectMany(File.ReadAllBytes)]);

        void Include(string file)
        {
            foreach (Match match in IncludeLine().Matches(File.ReadAllText(file)))
            {
                string path = Path.Combine(Shaders, "include", match.Groups[1].Value);
                if (included.Add(path)) Include(path);
            }
        }
    }

    private static string Digest(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static async Task<(string Output, int ExitCode)> Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (output, process.ExitCode);
    }

    [GeneratedRegex("^#include \"(.*)\"", RegexOptions.Multiline)]
    private static partial Regex IncludeLine();
}
