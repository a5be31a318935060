using System.Collections.Immutable;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
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
        ["LdlVk.Cpu"] = 1, ["LdlVk.Vulkan"] = 1, ["LdlVk.DirectML"] = 1, ["LdlVk.SelfTest"] = 1,
        ["LdlVk"] = 2,
        ["LdlVk.Datasets"] = 3, ["LdlVk.Extensions.AI"] = 3,
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

    /// <summary>The evaluator is for programs that want nothing of the command line.</summary>
    [Fact]
    public void The_evaluator_references_the_library_alone() => Assert.Equal(["LdlVk"], ProjectReferences("src", "LdlVk.Extensions.AI"));

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
    public void No_source_file_is_longer_than_400_lines_nor_one_of_the_command_line_than_200() =>
        Assert.All(
            Layers.Keys.SelectMany(name => Sources(name).Select(path => (Path: path, Max: name == "LdlVk.Cli" ? 200 : 400))),
            source => Assert.True(File.ReadLines(source.Path).Count() <= source.Max, source.Path));

    [Fact]
    public void No_line_of_source_is_longer_than_140_columns() =>
        None(((string[])["*.cs", "*.csproj", "*.html", "*.css", "*.js"])
            .SelectMany(pattern => Layers.Keys.SelectMany(name => Sources(name, pattern)))
            .SelectMany(path => File.ReadLines(path).Index().Where(line => line.Item.Length > 140).Select(line => $"{path}:{line.Index + 1}")));

    /// <summary>Libraries name options as values (OptionName), for each surface to word.</summary>
    [Fact]
    public void No_library_names_a_flag() =>
        None(Layers.Keys.Where(name => name != "LdlVk.Cli").SelectMany(Sources).SelectMany(path =>
            File.ReadLines(path).Index().Where(line => Flag().IsMatch(line.Item)).Select(line => $"{path}:{line.Index + 1}")));

    /// <summary>Asserts that there are none, and names all that there are.</summary>
    private static void None(IEnumerable<string> places) => Assert.True(!places.Any(), string.Join('\n', places));

    /// <summary>In a plain string the options of a message are worded as C# has them, and no surface can word them any more.</summary>
    [Theory]
    [MemberData(nameof(Assemblies))]
    public void No_message_is_put_into_a_plain_string(string name)
    {
        using PEReader file = new(File.OpenRead(Path.Combine(AppContext.BaseDirectory, $"{name}.dll")));
        MetadataReader metadata = file.GetMetadataReader();
        int seen = 0;
        for (int row = 1; row <= metadata.GetTableRowCount(TableIndex.MethodSpec); row++)
        {
            MethodSpecification call = metadata.GetMethodSpecification(MetadataTokens.MethodSpecificationHandle(row));
            if (call.Method.Kind != HandleKind.MemberReference) continue;
            MemberReference method = metadata.GetMemberReference((MemberReferenceHandle)call.Method);
            if (metadata.GetString(method.Name) != "AppendFormatted" || method.Parent.Kind != HandleKind.TypeReference) continue;
            if (metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)method.Parent).Name) != "DefaultInterpolatedStringHandler") continue;
            seen++;
            Assert.DoesNotContain("Notice", call.DecodeSignature(new TypeNames(), null));
        }

        Assert.True(seen > 0, "The test sees no interpolated string.");
    }

    private static void AssertBelow(string reference, string name) =>
        Assert.True(Layers[reference] < Layers[name], $"{name} may not reference {reference}.");

    private static string[] ProjectReferences(string folder, string name) =>
    [
        .. XDocument.Load(Repository.Path(folder, name, $"{name}.csproj")).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value))
            .Where(Layers.ContainsKey),
    ];

    /// <summary>The source files of a project, without what a build makes.</summary>
    private static IEnumerable<string> Sources(string name) => Sources(name, "*.cs");

    private static IEnumerable<string> Sources(string name, string pattern) =>
        Directory.EnumerateFiles(Repository.Path("src", name), pattern, SearchOption.AllDirectories)
            .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin"));

    [GeneratedRegex("\"[^\"]*(?<![\\w-])--[a-z][a-z-]+")]
    private static partial Regex Flag();

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^LdlVk\.Runtime\.(\w+)")]
    private static partial Regex Room();

    [GeneratedRegex(@"^using (?:static )?LdlVk\.Runtime\.(\w+)", RegexOptions.Multiline)]
    private static partial Regex Using();

    /// <summary>Names of the types in a signature, without namespaces.</summary>
    private sealed class TypeNames : ISignatureTypeProvider<string, object?>
    {
        public string GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) =>
            reader.GetString(reader.GetTypeDefinition(handle).Name);

        public string GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) =>
            reader.GetString(reader.GetTypeReference(handle).Name);

        public string GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

        public string GetPrimitiveType(PrimitiveTypeCode typeCode) => typeCode.ToString();

        public string GetSZArrayType(string elementType) => $"{elementType}[]";

        public string GetArrayType(string elementType, ArrayShape shape) => $"{elementType}[]";

        public string GetByReferenceType(string elementType) => elementType;

        public string GetPointerType(string elementType) => elementType;

        public string GetPinnedType(string elementType) => elementType;

        public string GetModifiedType(string modifier, string unmodifiedType, bool isRequired) => unmodifiedType;

        public string GetGenericInstantiation(string genericType, ImmutableArray<string> typeArguments) =>
            $"{genericType}<{string.Join(",", typeArguments)}>";

        public string GetGenericMethodParameter(object? genericContext, int index) => $"!!{index}";

        public string GetGenericTypeParameter(object? genericContext, int index) => $"!{index}";

        public string GetFunctionPointerType(MethodSignature<string> signature) => "function";
    }
}
