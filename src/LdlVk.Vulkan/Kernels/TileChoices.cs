using System.Buffers;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// The tilings that were measured to be fastest, by product, in a file for each device and version of its driver. All tilings give the same
/// bits, and a name counts only if it is one of the device's candidates, so a wrong file can only cost time. A missing, damaged, foreign or
/// unwritable file is ignored. The file names the kernels that it was measured with; other kernels use the default tilings.
/// </summary>
internal sealed class TileChoices
{
    /// <summary>At some hundred bytes a choice, more than all models of a machine need.</summary>
    private const int MaxBytes = 4 << 20;

    private static readonly Lazy<string> LinearShaders = new(HashOfShaders);

    private readonly string _device, _kernels;
    private readonly Dictionary<TilingKey, string> _chosen = [], _own = [];

    /// <summary>Reads the choices for a device.</summary>
    /// <param name="folder">The cache folder; null to keep nothing.</param>
    /// <param name="facts">The device.</param>
    public TileChoices(string? folder, PhysicalDeviceFacts facts)
        : this(
            folder is null ? null : Path.Combine(folder, NameFor(facts.Properties)), DriverKey.Of(facts.Properties),
            $"{LinearShaders.Value} {SizesOf(facts.MatrixUnits)}")
    {
    }

    /// <summary>Reads the choices in a file.</summary>
    /// <param name="path">The file; null to keep nothing.</param>
    /// <param name="device">The device and its driver.</param>
    /// <param name="kernels">The version of the kernels.</param>
    internal TileChoices(string? path, string device, string kernels)
    {
        (FilePath, _device, _kernels) = (path, device, kernels);
        Load();
    }

    /// <summary>The file; null where nothing is kept.</summary>
    public string? FilePath { get; }

    /// <summary>The name of the tiling for a product; null where nothing was chosen.</summary>
    public string? this[in TilingKey key]
    {
        get => _chosen.GetValueOrDefault(key);
        set => _chosen[key] = _own[key] = value!;
    }

    /// <summary>The file's name for a device and its driver's version.</summary>
    public static string NameFor(PhysicalDeviceProperties p) => $"tiles-{DriverKey.Of(p)}.json";

    /// <summary>Writes the choices, together with those that other processes have written since they were read.</summary>
    /// <returns>Whether they were written.</returns>
    public bool Save()
    {
        if (FilePath is null) return false;
        Load();
        foreach ((TilingKey key, string name) in _own) _chosen[key] = name;
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true })) Write(json);
        return bytes.WrittenCount <= MaxBytes && CacheFile.Replace(FilePath, bytes.WrittenSpan);
    }

    private void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("device", _device);
        json.WriteString("kernels", _kernels);
        json.WriteStartArray("choices");
        foreach ((TilingKey key, string name) in _chosen)
        {
            json.WriteStartObject();
            json.WriteString("kernel", Name(key.Kernel));
            json.WriteString("format", Name(key.Format));
            json.WriteBoolean("gated", key.Gated);
            json.WriteNumber("outputs", key.OutputFeatures);
            json.WriteNumber("inputs", key.InputFeatures);
            json.WriteNumber("rows", key.Rows);
            json.WriteString("tiles", name);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Reads the file's choices, if it is intact and of this device, driver and version of the kernels.</summary>
    private void Load()
    {
        byte[] file = FilePath is null ? [] : CacheFile.Read(FilePath, 2, MaxBytes);
        if (file.Length == 0) return;
        try
        {
            using JsonDocument json = JsonDocument.Parse(file);
            JsonElement root = json.RootElement;
            if (Text(root, "device") != _device || Text(root, "kernels") != _kernels) return;
            Dictionary<TilingKey, string> choices = [];
            foreach (JsonElement choice in root.GetProperty("choices").EnumerateArray())
            {
                TilingKey key = new(
                    Parse<TiledKernel>(Text(choice, "kernel")), Parse<WeightFormat>(Text(choice, "format")),
                    choice.GetProperty("gated").GetBoolean(), choice.GetProperty("outputs").GetInt32(),
                    choice.GetProperty("inputs").GetInt32(), choice.GetProperty("rows").GetInt32());
                choices[key] = Text(choice, "tiles");
            }

            foreach ((TilingKey key, string name) in choices) _chosen[key] = name;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            // Not a file of ours: it is ignored.
        }
    }

    private static string Text(JsonElement parent, string name) => parent.GetProperty(name).GetString() ?? throw new FormatException(name);

    private static T Parse<T>(string name) where T : struct, Enum
    {
        foreach (T value in Enum.GetValues<T>())
            if (Name(value) == name) return value;
        throw new FormatException(name);
    }

    private static string Name<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    /// <summary>The units' sizes, as existing files spell them: with another spelling every device would be tuned again.</summary>
    private static string SizesOf(MatrixUnits? units) => units is null ? ""
        : $"MatrixUnits {{ M = {units.M}, N = {units.N}, K = {units.K}, SubgroupSize = {units.SubgroupSize}, MostSums = {units.MaxSums} }}";

    /// <summary>The version of the kernels: another version may be fastest with other tilings.</summary>
    private static string HashOfShaders()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Assembly assembly = typeof(TileChoices).Assembly;
        IEnumerable<string> linear = assembly.GetManifestResourceNames().Where(n => n.StartsWith("linear_", StringComparison.Ordinal));
        foreach (string shader in linear.Order(StringComparer.Ordinal))
        {
            using Stream code = assembly.GetManifestResourceStream(shader)!;
            byte[] bytes = new byte[code.Length];
            code.ReadExactly(bytes);
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
