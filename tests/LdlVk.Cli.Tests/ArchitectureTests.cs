using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>The arrows between rooms: docs/architecture.md.</summary>
public partial class ArchitectureTests
{
    /// <summary>The layer of each assembly; an assembly may reference those of lower layers only.</summary>
    private static readonly Dictionary<string, int> Layers = new(StringComparer.Ordinal)
    {
        ["LdlVk.Runtime"] = 0,
        ["LdlVk.Cpu"] = 1, ["LdlVk.Vulkan"] = 1, ["LdlVk.DirectML"] = 1,
        ["LdlVk"] = 2,
        ["LdlVk.Datasets"] = 3,
        ["LdlVk.Server"] = 4, ["LdlVk.Evaluation"] = 4, ["LdlVk.Hub"] = 4, ["LdlVk.Benchmarking"] = 4,
        ["LdlVk.Cli"] = 5,
    };

    public static TheoryData<string> Assemblies => [.. Layers.Keys];

    [Fact]
    public void Every_project_has_a_layer() =>
        Assert.Equal(Layers.Keys.Order(), Directory.GetDirectories(Repository.Path("src")).Select(d => Path.GetFileName(d)).Order());

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void A_project_references_lower_layers_only(string name) => Assert.All(ProjectReferences("src", name), reference => AssertBelow(reference, name));

    /// <summary>What the compiled assembly uses, which a project also has from the projects that it references.</summary>
    [Theory]
    [MemberData(nameof(Assemblies))]
    public void An_assembly_uses_lower_layers_only(string name)
    {
        using PEReader file = new(File.OpenRead(Path.Combine(AppContext.BaseDirectory, $"{name}.dll")));
        MetadataReader metadata = file.GetMetadataReader();
        string[] used = [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
        Assert.All(used.Where(Layers.ContainsKey), reference => AssertBelow(reference, name));
    }

    [Fact]
    public void Conformance_does_not_reference_the_command_line() => Assert.DoesNotContain("LdlVk.Cli", ProjectReferences("tests", "LdlVk.Conformance"));

    /// <summary>
    /// A namespace below another belongs to it, as Model.Heads to Model. The namespace LdlVk, in the folder Api, has the types that all
    /// share, and is left out.
    /// </summary>
    [Fact]
    public void Namespaces_of_the_runtime_have_no_cycles()
    {
        Dictionary<string, HashSet<string>> uses = new(StringComparer.Ordinal);
        foreach (string path in Sources("LdlVk.Runtime"))
        {
            string code = File.ReadAllText(path);
            if (!Namespace().Match(code).Groups[1].Value.StartsWith("LdlVk.Runtime.", StringComparison.Ordinal)) continue;
            string room = Room().Match(Namespace().Match(code).Groups[1].Value).Groups[1].Value;
            if (!uses.TryGetValue(room, out HashSet<string>? used)) uses[room] = used = new(StringComparer.Ordinal);
            used.UnionWith(Using().Matches(code).Select(m => m.Groups[1].Value).Where(other => other != room));
        }

        // Rooms that use none but rooms taken away are taken away, until none is left.
        Assert.InRange(uses.Count, 5, 20);
        while (uses.Count > 0)
        {
            string[] free = [.. uses.Where(u => !u.Value.Any(uses.ContainsKey)).Select(u => u.Key)];
            Assert.True(free.Length > 0, "These namespaces use each other in a cycle: "
                + string.Join("; ", uses.Select(u => $"{u.Key} → {string.Join(", ", u.Value.Where(uses.ContainsKey))}")));
            foreach (string room in free) uses.Remove(room);
        }
    }

    /// <summary>IDE0130 passes over a namespace that does not begin with the project's own.</summary>
    [Fact]
    public void A_namespace_is_the_path_of_its_folder()
    {
        string api = Repository.Path("src", "LdlVk.Runtime", "Api");
        foreach (string name in Layers.Keys)
        {
            foreach (string path in Sources(name).Where(path => Path.GetDirectoryName(path) != api))
            {
                string folder = Path.GetRelativePath(Repository.Path("src"), Path.GetDirectoryName(path)!);
                Match given = Namespace().Match(File.ReadAllText(path));
                if (given.Success) Assert.Equal((path, folder.Replace(Path.DirectorySeparatorChar, '.')), (path, given.Groups[1].Value));
            }
        }
    }

    [Fact]
    public void No_source_file_is_longer_than_400_lines() =>
        Assert.All(Layers.Keys.SelectMany(Sources), path => Assert.True(File.ReadLines(path).Count() <= 400, path));

    private static void AssertBelow(string reference, string name) =>
        Assert.True(Layers[reference] < Layers[name], $"{name} may not reference {reference}.");

    private static string[] ProjectReferences(string folder, string name) =>
    [
        .. XDocument.Load(Repository.Path(folder, name, $"{name}.csproj")).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value))
            .Where(Layers.ContainsKey),
    ];

    /// <summary>The source files of a project, without what a build makes.</summary>
    private static IEnumerable<string> Sources(string name) =>
        Directory.EnumerateFiles(Repository.Path("src", name), "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin"));

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^LdlVk\.Runtime\.(\w+)")]
    private static partial Regex Room();

    [GeneratedRegex(@"^using (?:static )?LdlVk\.Runtime\.(\w+)", RegexOptions.Multiline)]
    private static partial Regex Using();
}
